//! `kiln explore` on a terminal: it shows what it should, and gives the terminal back whatever ends or stops it.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::screen::Screen;
use crate::support::unread::terminal;
use crate::support::{Space, plain_cases};

plain_cases! {
    screens_of_two_sizes,
    it_is_browsed_by_keys,
    signals_and_stops_give_the_terminal_back,
    it_ends_with_its_terminal,
    without_a_terminal_it_is_told_at_once,
}

fn start(space: &Space, image: &str) -> Screen {
    Screen::start(space.kiln(["explore", image]).command(), 80, 24)
}

/// Something of each class, and a name that no terminal should be told.
fn prepare(space: &Space) {
    space.write("big", vec![b'x'; 70_000]);
    space.write("app/one", "1".repeat(3000));
    space.write("app/.git/pack", "git\n".repeat(1000));
    space.write("app/\u{1b}[7mtwo", "2");
    space.write("new/one", "one");
    let text = "FROM scratch AS base\nCOPY big /opt/base\nFROM base\nCOPY app /srv/app\nCOPY big /opt/\n\
        COPY --chmod=700 app /srv/app\nCOPY new /srv/app\n";
    let build = |tag: &str, target: &[&str]| {
        let build = space.build(text).env("SOURCE_DATE_EPOCH", "1700000000");
        build.args(["-t", tag]).args(target).ok();
    };
    build("base:1", &["--target", "base"]);
    build("app:1", &[]);
}

fn screens_of_two_sizes(space: &Space) {
    prepare(space);
    for (columns, rows) in [(80, 24), (200, 50)] {
        let mut kiln = space.kiln(["explore", "app:1"]).env("NO_COLOR", "1");
        let mut screen = Screen::start(kiln.command(), columns, rows);
        let name = |what: &str| format!("explore/{columns}x{rows}-{what}.txt");
        screen.matches(&name("image"), "all layers");
        // the third layer, and in it the file that it has changed
        screen.press("\x1b[B\x1b[B\x1b[B\x1b[B\t\x00G");
        screen.matches(&name("layer"), "mode");
        screen.press("?");
        screen.matches(&name("keys"), "Ctrl-Space");
        screen.press("q");
        assert_eq!(screen.ends(), Some(0));
    }
}

fn it_is_browsed_by_keys(space: &Space) {
    prepare(space);
    let mut screen = start(space, "app:1");
    screen.shows(&["app:1", "quit"]);
    assert!(!screen.is_given_back());
    // the second layer, with its line, and all of its files
    screen.press("jj");
    screen.shows(&["Layer 2, Dockerfile:4", "COPY app /srv/app"]);
    screen.press("\t\x00");
    screen.shows(&["\\u{1b}[7mtwo", ".git"]);
    // which layers wrote a file
    screen.press("/ONE\r");
    screen.shows(&["/srv/app/one", "2 +", "4 ~"]);
    screen.press("\x06two\r");
    screen.until("the filter is not used", |screen| {
        !screen.text().contains("pack")
    });
    screen.press("\x1b");
    screen.shows(&["pack"]);
    // one class after the other
    screen.press("cccc");
    screen.shows(&["class: rewritten"]);
    screen.press("?");
    screen.shows(&["Keys", "Ctrl-Space"]);
    screen.press("x");
    // no key is lost that comes together with a new size
    for round in 0..20 {
        let is_shown = round % 2 == 1;
        screen.resize(132 + round, 40);
        screen.until("the screen is not drawn anew", |screen| {
            let text = screen.text();
            let lines: Vec<&str> = text.lines().collect();
            let is_drawn = lines.len() == 40 && lines[39].contains("quit");
            is_drawn && text.contains("Ctrl-Space") == is_shown
        });
        screen.press("?");
    }
    screen.press("q");
    assert_eq!(screen.ends(), Some(0));
    let archive = space.own().join("app.tar");
    space.kiln(["save", "app:1", "-o"]).arg(&archive).ok();
    let mut screen = start(space, archive.to_str().unwrap());
    screen.shows(&["app:1"]);
    screen.press("\x03");
    assert_eq!(screen.ends(), Some(0));
}

fn signals_and_stops_give_the_terminal_back(space: &Space) {
    prepare(space);
    let ends = [
        (Signal::TERM, Some(143)),
        (Signal::INT, Some(130)),
        (Signal::HUP, Some(130)),
        (Signal::QUIT, Some(0)),
    ];
    for (signal, code) in ends {
        let mut screen = start(space, "app:1");
        screen.shows(&["quit"]);
        screen.signal(signal);
        assert_eq!(screen.ends(), code, "{signal:?}");
    }
    let mut screen = start(space, "app:1");
    screen.shows(&["quit"]);
    // Ctrl-Z, then what others send
    screen.press("\x1a");
    for signal in [Signal::TSTP, Signal::STOP] {
        screen.stops();
        screen.until("the terminal is not given back", |screen| {
            screen.is_given_back()
        });
        screen.signal(Signal::CONT);
        screen.until("it is not drawn anew", |screen| {
            !screen.is_given_back() && screen.text().contains("quit")
        });
        screen.signal(signal);
    }
    // nobody can prepare for this one, and shells take the terminal back by themselves
    screen.stops();
    screen.signal(Signal::CONT);
    screen.press("q");
    assert_eq!(screen.ends(), Some(0));
}

fn it_ends_with_its_terminal(space: &Space) {
    prepare(space);
    let mut screen = start(space, "app:1");
    screen.shows(&["quit"]);
    screen.close();
    assert!(screen.ends().is_some());
}

fn without_a_terminal_it_is_told_at_once(space: &Space) {
    let told = space.kiln(["explore", "nothing"]).exits(2);
    told.says(&["kiln explore needs a terminal", "kiln size --tree"]);
    let (_person, program) = terminal();
    let side = || Stdio::from(program.try_clone().unwrap());
    let run = |image: &str, term: &str| {
        let mut kiln = space.kiln(["explore", image]).env("TERM", term);
        let command = kiln.command().stdin(side()).stdout(side());
        let ran = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        (ran.status.code(), said)
    };
    for term in ["dumb", ""] {
        let (code, said) = run("nothing", term);
        assert!(said.contains("TERM") && code == Some(2), "{said}");
    }
    // an image that is not there is told on a terminal that was never taken
    let (code, said) = run("/nothing.tar", "xterm");
    assert!(said.contains("nothing.tar") && code == Some(1), "{said}");
}
