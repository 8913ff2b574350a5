//! Frames on terminals of all sizes.

use super::*;
use crate::printable::unstyled;
use crate::render::transfers::Transfer;
use kiln_engine::event::{Direction, Event, EventKind, Outcome, StepInfo};

fn steps(stages: &[(&str, usize)]) -> Steps {
    let of_stage = |(stage, of): &(&str, usize)| {
        let (stage, of) = ((*stage).to_owned(), *of);
        (1..=of).map(move |number| (stage.clone(), number, of))
    };
    let numbered = stages.iter().flat_map(of_stage).enumerate();
    let infos = numbered.map(|(step, (stage, number, of))| StepInfo {
        step,
        title: format!("RUN make 構築 {stage} {number} && a command that goes on for long"),
        stage,
        number,
        of,
        line: 0,
        platforms: Vec::new(),
        needs: Vec::new(),
    });
    let mut steps = Steps::default();
    steps.note(&event(EventKind::Planned {
        steps: infos.collect(),
    }));
    steps
}

fn event(kind: EventKind) -> Event {
    Event {
        build: String::new(),
        time: jiff::Timestamp::UNIX_EPOCH,
        at_us: 0,
        kind,
    }
}

/// Two stages under way: steps that have ended, are executed and are written, output, and six blobs on their way.
fn busy(steps: &Steps) -> Board {
    let mut board = Board::default();
    board.plan(steps);
    board.finish(0, Outcome::Cached, 5);
    board.start(1);
    board.finish(1, Outcome::Ran, 1_200_000);
    board.commit(1);
    for step in [2, 5, 6] {
        board.start(step);
        (0..100).for_each(|line| {
            board.print(
                step,
                format!("line {line} of 構築 {step}\t{}", "long ".repeat(60)),
            )
        });
    }
    board.finish(6, Outcome::Ran, 3_000_000);
    for blob in 0..6 {
        let kind = EventKind::Transfer {
            direction: Direction::Download,
            repository: "example.org/app".to_owned(),
            blob: format!("sha256:{blob:064}"),
            done: 1_500_000 * blob,
            total: 10_000_000,
            ended: false,
            took_us: 1,
        };
        board.transfer(&Transfer::of(&kind).unwrap());
    }
    board
}

fn lines(board: &Board, steps: &Steps, rows: usize, columns: usize) -> Vec<String> {
    let frame = Frame {
        board,
        steps,
        verb: "building",
        begun: Instant::now(),
        size: Size { rows, columns },
        color: true,
    };
    frame.lines().iter().map(|line| unstyled(line)).collect()
}

#[test]
fn a_frame_fits_every_terminal() {
    let steps = steps(&[("build", 4), ("assets", 4)]);
    let board = busy(&steps);
    for rows in 1..60 {
        for columns in [1, 2, 7, 20, 39, 40, 79, 80, 81, 132, 200] {
            let lines = lines(&board, &steps, rows, columns);
            assert!(lines.len() < rows.max(2), "{rows}x{columns}: {lines:#?}");
            for line in lines {
                assert!(line.width() < columns.max(2), "{rows}x{columns}: {line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}

#[test]
fn what_is_under_way_goes_before_what_has_ended() {
    let steps = steps(&[("build", 4), ("assets", 4)]);
    let board = busy(&steps);
    let at = |rows| lines(&board, &steps, rows, 80);
    let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    let small = at(10);
    assert_eq!(small[0], "building 0.0s  2/8 steps");
    for running in ["[build 3/4]", "[assets 2/4]", "[assets 3/4]"] {
        assert!(has(&small, running), "{small:#?}");
    }
    assert!(
        !has(&small, "[build 1/4]") && has(&small, "and 2 more"),
        "{small:#?}"
    );
    let large = at(50);
    assert!(
        has(&large, "[build 1/4]") && has(&large, "cached"),
        "{large:#?}"
    );
    assert!(has(&large, "writing, 3.00s"), "{large:#?}");
    let output = large.iter().filter(|line| line.contains("line 9"));
    assert_eq!(output.count(), 30, "{large:#?}");
}

#[test]
fn a_stage_that_has_ended_is_told_once() {
    let steps = steps(&[("build", 2), ("assets", 1)]);
    let mut board = Board::default();
    board.plan(&steps);
    board.finish(0, Outcome::Cached, 5);
    assert!(board.closed().is_empty());
    board.start(1);
    board.finish(1, Outcome::Ran, 7);
    assert!(board.closed().is_empty(), "its layer is still written");
    board.commit(1);
    assert_eq!(board.closed(), ["build"]);
    assert!(board.closed().is_empty());
    // another attempt
    board.plan(&steps);
    (0..3).for_each(|step| board.finish(step, Outcome::Cached, 5));
    assert_eq!(board.closed(), ["assets"]);
}
