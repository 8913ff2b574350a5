//! Screens as people see them while kiln works and when it has ended, on a usual and on a large terminal: golden files in
//! `fixtures/golden/screens`. Times, rates and the lengths of bars are masked.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::emulator::Emulator;
use crate::support::processes::eventually;
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Kiln, Space, golden, plain_cases};

plain_cases! {
    a_build,
    a_build_that_fails,
    a_build_that_changes_nothing,
    ctrl_c_once,
    ctrl_c_twice,
    ctrl_c_at_once,
    a_push_and_a_pull,
    a_terminal_that_changes_its_size,
    an_archive_with_a_bar,
}

/// Long enough for a busy machine.
const PROMPT: Duration = Duration::from_secs(10);
/// Where they are in `fixtures/golden`.
const FOLDER: &str = "screens";
/// Rows and columns.
const SIZES: [(u16, u16); 2] = [(24, 80), (50, 200)];

/// Compares the last screen with its golden file.
#[track_caller]
fn is(space: &Space, name: &str, size: (u16, u16), screen: &[String]) {
    golden::matches(&file(name, size), &text(space, screen));
}

/// Compares a screen that is still drawn. A frame comes in pieces, so one look may see a part of it.
#[track_caller]
fn becomes(space: &Space, name: &str, size: (u16, u16), look: impl Fn() -> Vec<String>) {
    let begun = Instant::now();
    while !golden::is(&file(name, size), &text(space, &look())) {
        if begun.elapsed() > PROMPT {
            return is(space, name, size, &look());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn file(name: &str, (rows, columns): (u16, u16)) -> String {
    format!("{FOLDER}/{name}-{columns}x{rows}.txt")
}

fn text(space: &Space, screen: &[String]) -> String {
    let text: String = screen.iter().map(|row| calm(space, row) + "\n").collect();
    text.trim_end().to_owned() + "\n"
}

/// A row without what differs from time to time: gaps, which are as wide as a time is short, bars, rates.
fn calm(space: &Space, row: &str) -> String {
    let is_bar = |c: char| "━╸─".contains(c);
    let row = row.replace(space.context().to_str().unwrap(), "CONTEXT");
    let row = match row.split_once(is_bar) {
        None => row,
        Some((before, after)) => {
            let sizes = after.trim_start_matches(is_bar).trim();
            let sizes: Vec<&str> = sizes.split_whitespace().take(3).collect();
            format!("{before}BAR {}", sizes.join(" "))
        }
    };
    let indent = row.len() - row.trim_start().len();
    let row = untimed(&row);
    let parts: Vec<&str> = row
        .split("  ")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    format!("{}{}", " ".repeat(indent), parts.join("  "))
}

/// A time in parentheses is masked here; others are by [`golden::matches`].
fn untimed(row: &str) -> String {
    let is_time = |word: &str| {
        let inner = word
            .strip_prefix('(')
            .and_then(|word| word.strip_suffix("s)"));
        inner.is_some_and(|inner| inner.starts_with(|c: char| c.is_ascii_digit()))
    };
    let words: Vec<&str> = row
        .split(' ')
        .map(|word| if is_time(word) { "(TIME)" } else { word })
        .collect();
    words.join(" ")
}

/// Two stages at once: each prints, and waits until its gate is opened.
fn gated(space: &Space) -> Kiln {
    let lines: String = (1..=30)
        .map(|line| format!("compiling part {line} of 30\n"))
        .collect();
    space.write("lines", lines);
    let wait = |name: &str| format!("until [ -e /gate/{name} ]; do sleep 0.02; done");
    let text = format!(
        "FROM tools AS build\nWORKDIR /src\nRUN --mount=target=/c cat /c/lines; {}\nFROM tools AS assets\nRUN echo bundling; {}\n\
         FROM assets\nCOPY --from=build /bin/sh /a\n",
        wait("build"),
        wait("assets")
    );
    let gate = space.path("own/gate");
    if !gate.exists() {
        space.own_folder("own/gate");
    }
    let volume = format!("{}:/gate", gate.display());
    space
        .build(&text)
        .args(["--no-cache", "-v", &volume])
        .env("NO_COLOR", "1")
}

fn open(space: &Space, gate: &str) {
    std::fs::write(space.path("own/gate").join(gate), "").unwrap();
}

fn close(space: &Space) {
    for gate in ["build", "assets"] {
        // it may be closed
        let _ = std::fs::remove_file(space.path("own/gate").join(gate));
    }
}

/// A build on a terminal, as far as both stages wait.
fn waiting(space: &Space, (rows, columns): (u16, u16)) -> Emulator {
    let screen = Emulator::start(gated(space).command().stdin(Stdio::null()), rows, columns);
    screen.shows(|rows| {
        let has = |text: &str| rows.iter().any(|row| row.contains(text));
        has("part 30 of 30") && has("bundling") && has(" 2/5 steps")
    });
    screen
}

fn a_build(space: &Space) {
    for size in SIZES {
        close(space);
        let screen = waiting(space, size);
        becomes(space, "build", size, || screen.lines());
        open(space, "assets");
        screen.has("done    assets");
        becomes(space, "build-with-a-stage-done", size, || screen.lines());
        open(space, "build");
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(0), "{rows:#?}");
        is(space, "build-done", size, &rows);
    }
}

fn a_build_that_fails(space: &Space) {
    let text = "FROM tools AS build\nWORKDIR /src\nRUN echo compiling && \\\n    echo 'main.c:1: error' && \\\n    exit 3\nFROM tools\nCOPY --from=build /bin/sh /a\n";
    for size in SIZES {
        let mut build = space.build(text).arg("--no-cache").env("NO_COLOR", "1");
        let screen = Emulator::start(build.command().stdin(Stdio::null()), size.0, size.1);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(1), "{rows:#?}");
        is(space, "failure", size, &rows);
    }
}

fn a_build_that_changes_nothing(space: &Space) {
    let text = "FROM tools AS build\nWORKDIR /src\nRUN echo 1 > a\nFROM tools\nCOPY --from=build /src/a /\n";
    space.build(text).ok();
    for size in SIZES {
        let mut build = space.build(text).env("NO_COLOR", "1");
        let screen = Emulator::start(build.command().stdin(Stdio::null()), size.0, size.1);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(0), "{rows:#?}");
        is(space, "cached", size, &rows);
    }
}

fn ctrl_c_once(space: &Space) {
    for size in SIZES {
        close(space);
        let screen = waiting(space, size);
        screen.signal(Signal::INT);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(130), "{rows:#?}");
        is(space, "ctrl-c-once", size, &rows);
    }
    space.is_clean();
}

/// The second signal may come before the first one has done its work, while that is told, or after it.
fn ctrl_c_twice(space: &Space) {
    for size in SIZES {
        close(space);
        let screen = waiting(space, size);
        screen.signal(Signal::INT);
        screen.signal(Signal::INT);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(130), "{rows:#?}");
        let is_told = golden::is(&file("ctrl-c-once", size), &text(space, &rows));
        let is_at_once = rows.iter().any(|row| row.starts_with("stopped at once; "));
        if !is_told && !is_at_once {
            is(space, "ctrl-c-twice", size, &rows);
        }
    }
    space.kiln(["fsck"]).ok();
}

/// Where nothing has to be kept, the first signal is the last one.
fn ctrl_c_at_once(space: &Space) {
    space.write("big", vec![7; 6 << 20]);
    space.build("FROM scratch\nCOPY big /\n").ok();
    let fifo = space.path("own/fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    space.give(&fifo);
    for size in SIZES {
        // nobody opens the pipe
        let screen = on(space.kiln(["save", "-o"]).arg(&fifo).arg("app"), size);
        screen.has("saving ");
        screen.signal(Signal::INT);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(130), "{rows:#?}");
        is(space, "ctrl-c-at-once", size, &rows);
    }
}

/// A command on a terminal.
fn on(mut kiln: Kiln, (rows, columns): (u16, u16)) -> Emulator {
    let command = kiln.command().env("NO_COLOR", "1").stdin(Stdio::null());
    Emulator::start(command, rows, columns)
}

fn a_push_and_a_pull(space: &Space) {
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    space.write("noise", noise);
    space.write("Dockerfile", "FROM scratch\nCOPY noise /a\nCOPY noise /b\n");
    for size in SIZES {
        let registry = Registry::start(Guard::Open);
        let name = format!("{}/app:v1", registry.host);
        let calm = |rows: Vec<String>| -> Vec<String> {
            rows.iter()
                .map(|row| row.replace(&registry.host, "REGISTRY"))
                .collect()
        };
        space
            .kiln(["build", "-q", "-t", &name])
            .arg(space.context())
            .ok();
        registry.fault("POST", "/uploads/", 2, Fault::Silence);
        let bars = |rows: &[String], verb: &str| {
            rows.iter()
                .filter(|row| row.contains(verb) && row.contains(" of "))
                .count()
        };
        let screen = on(space.kiln(["push", &name]), size);
        screen.shows(|rows| bars(rows, "pushing ") == 2);
        // a fault that nobody met would be met by the next command
        eventually("no upload", || registry.count("POST", "/uploads/") >= 2);
        becomes(space, "push", size, || calm(screen.lines()));
        screen.signal(Signal::INT);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(130), "{rows:#?}");
        let (code, rows) = on(space.kiln(["push", &name]), size).ends();
        assert_eq!(code, Some(0), "{rows:#?}");
        is(space, "push-done", size, &calm(rows));
        let other = space.own_folder(&format!("own/store-{}", size.0));
        let pull = || space.kiln(["pull", &name]).env("KILN_STORE", &other);
        let manifest: serde_json::Value =
            serde_json::from_slice(&registry.manifest_of("app/manifests/v1")).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        let layers: Vec<&str> = layers
            .map(|layer| layer["digest"].as_str().unwrap())
            .collect();
        for layer in &layers {
            registry.fault("GET", layer, 1, Fault::Stall(1000));
        }
        let screen = on(pull(), size);
        screen.shows(|rows| bars(rows, "pulling ") == 2);
        eventually("no download", || {
            layers.iter().all(|layer| registry.count("GET", layer) > 0)
        });
        becomes(space, "pull", size, || calm(screen.lines()));
        screen.signal(Signal::INT);
        let (code, rows) = screen.ends();
        assert_eq!(code, Some(130), "{rows:#?}");
        is(space, "pull-stopped", size, &calm(rows));
        let (code, rows) = on(pull(), size).ends();
        assert_eq!(code, Some(0), "{rows:#?}");
        is(space, "pull-done", size, &calm(rows));
    }
}

fn a_terminal_that_changes_its_size(space: &Space) {
    let screen = waiting(space, (24, 80));
    for (rows, columns) in [(24, 60), (24, 40), (24, 100), (30, 80)] {
        screen.resize(rows, columns);
        // the frame is there once, whole, and in the new size
        screen.shows(|shown| {
            let count = |text: &str| shown.iter().filter(|row| row.contains(text)).count();
            // what was printed above it is cut off by this terminal, and folded by others
            let above = shown.iter().take_while(|row| !row.contains("building "));
            let frame = shown.iter().skip(above.count());
            let widest = frame.map(|row| row.chars().count()).max().unwrap_or(0);
            count("building ") == 1 && count("[assets 1/1]") == 1 && widest < usize::from(columns)
        });
    }
    open(space, "assets");
    open(space, "build");
    let (code, rows) = screen.ends();
    assert_eq!(code, Some(0), "{rows:#?}");
    let built = rows
        .iter()
        .filter(|row| row.contains("built   docker.io/library/app:latest"));
    assert_eq!(built.count(), 1, "{rows:#?}");
}

fn an_archive_with_a_bar(space: &Space) {
    space.write("big", vec![7; 6 << 20]);
    space.build("FROM scratch\nCOPY big /\n").ok();
    let fifo = space.path("own/fifo");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    space.give(&fifo);
    let target = fifo.clone();
    // somebody opens the pipe, and reads it to its end when told to
    let (go, told) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut pipe = std::fs::File::open(target).unwrap();
        told.recv().unwrap();
        std::io::copy(&mut pipe, &mut std::io::sink()).unwrap()
    });
    let save = space.kiln(["save", "-o"]).arg(&fifo).arg("app");
    let screen = on(save, (24, 80));
    screen.has("saving app:latest ");
    go.send(()).unwrap();
    let (code, rows) = screen.ends();
    assert_eq!(code, Some(0), "{rows:#?}");
    assert!(reader.join().unwrap() > 6 << 20);
    assert!(rows.iter().all(String::is_empty), "{rows:#?}");
}
