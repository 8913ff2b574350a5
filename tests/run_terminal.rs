//! `kiln run -it` as a person has it: size, Ctrl-C, Ctrl-Z, exit codes, and a terminal that is as it was whatever happens.

use std::fs;

use rustix::process::Signal;

use crate::support::contained::contained;
use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::screen::Screen;
use crate::support::{Space, plain_cases, user_cases};

user_cases! {
    a_terminal_of_its_own_that_follows_this_one,
    keys_send_signals_to_the_foreground,
    exit_codes_are_passed_on,
    the_last_words_are_as_they_were_written,
    a_terminal_is_given_back_whatever_happens,
    it_ends_with_its_terminal,
}

plain_cases! {
    a_terminal_without_namespaces,
    nothing_is_left_of_it_either,
}

/// An image whose shell has a prompt that is easily found.
fn image(space: &Space) {
    let text = "FROM tty-tools\nENV PS1='ready> '\nCMD [\"sh\", \"-i\"]\n";
    let tools = "tty-tools=host-tools:sh,stty,tty,sleep,cat";
    space.build(text).args(["--build-context", tools]).ok();
}

/// That shell.
fn shell(space: &Space, flags: &[&str]) -> Screen {
    image(space);
    let mut kiln = space.kiln(["run", "-it"]).args(flags).arg("app");
    let mut screen = Screen::start(kiln.command(), 80, 24);
    screen.shows(&["ready>"]);
    screen
}

fn a_terminal_of_its_own_that_follows_this_one(space: &Space) {
    let mut screen = shell(space, &[]);
    assert!(!screen.is_given_back(), "keys are edited here too");
    screen.press("stty size; tty; echo $TERM\r");
    screen.shows(&["24 80", "/dev/pts/0", "xterm"]);
    screen.resize(100, 30);
    screen.press(
        "until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo is $((30 * 100))\r",
    );
    screen.shows(&["is 3000"]);
    screen.press("exit\r");
    assert_eq!(screen.ends(), Some(0));
}

fn keys_send_signals_to_the_foreground(space: &Space) {
    for flags in [&[][..], &["--init"]] {
        let mut screen = shell(space, flags);
        let nap = unique_nap();
        screen.press(&format!("sleep {nap}; echo ended $?\r"));
        appears(&nap);
        screen.press("\x03");
        eventually("Ctrl-C ends nothing", || with_argument(&nap).is_empty());
        screen.press("echo still $((40 + 2))\r");
        screen.shows(&["still 42"]);
        screen.press(&format!("sleep {nap}\r"));
        appears(&nap);
        screen.press("\x1a");
        screen.shows(&["Stopped"]);
        screen.press("fg\r");
        // Ctrl-C takes away what was typed before it
        eventually("it is not continued", || !is_stopped(&nap));
        screen.press("\x03");
        eventually("it is not continued", || with_argument(&nap).is_empty());
        screen.press("cat\rechoed\r\x04echo end of $((6 * 7))\r");
        screen.shows(&["end of 42"]);
        screen.press("exit 5\r");
        assert_eq!(screen.ends(), Some(5));
    }
}

/// Whether the process with this argument is stopped.
fn is_stopped(nap: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", appears(nap)));
    let stat = stat.unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default();
    state.trim_start().starts_with('T')
}

fn exit_codes_are_passed_on(space: &Space) {
    let mut screen = shell(space, &[]);
    screen.press("exit 3\r");
    assert_eq!(screen.ends(), Some(3));
    let mut kiln = space.kiln(["run", "-it", "app", "no-such-program"]);
    let mut screen = Screen::start(kiln.command(), 80, 24);
    screen.shows(&["not found"]);
    assert_eq!(screen.ends(), Some(127));
}

/// Nothing is changed on the way, also of what is shown when the command has ended: this terminal is given back after it.
fn the_last_words_are_as_they_were_written(space: &Space) {
    image(space);
    let nap = unique_nap();
    let script = format!("sleep {nap}");
    let background = ["run", "-d", "--name", "web", "app", "sh", "-c", &script];
    space.kiln(background).ok();
    let say = "echo one; seq=1; while [ $seq -lt 200 ]; do echo $seq; seq=$((seq + 1)); done";
    let command = ["sh", "-c", say];
    for words in [&["run", "--rm", "-it", "app"][..], &["exec", "-it", "web"]] {
        for _ in 0..4 {
            let mut kiln = space.kiln(words).args(command);
            let mut screen = Screen::start(kiln.command(), 80, 24);
            assert_eq!(screen.end(), Some(0));
            // the kernel hands it over in its own time
            screen.until("the end is missing", |screen| {
                screen.written.ends_with(b"199\r\n") || screen.written.ends_with(b"199\r\r\n")
            });
            let text = String::from_utf8_lossy(&screen.written);
            let shown = text.split_once("one\r\n").map(|(_, rest)| rest);
            let expected: String = (1..200).map(|number| format!("{number}\r\n")).collect();
            assert_eq!(shown, Some(&*expected), "{words:?}: {text:?}");
        }
    }
    space.kiln(["rm", "-f", "web"]).ok();
}

fn a_terminal_is_given_back_whatever_happens(space: &Space) {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut screen = shell(space, &[]);
        let nap = unique_nap();
        // a trap does not wait for the end of `wait`, as it does for that of a program
        screen.press(&format!("trap 'exit 0' TERM; sleep {nap} & wait\r"));
        appears(&nap);
        screen.signal(signal);
        screen.ends();
        eventually("it goes on", || with_argument(&nap).is_empty());
        nothing_left(&space.store());
    }
}

fn it_ends_with_its_terminal(space: &Space) {
    let mut screen = shell(space, &[]);
    let nap = unique_nap();
    screen.press(&format!("sleep {nap}\r"));
    appears(&nap);
    screen.close();
    screen.ends();
    eventually("it goes on", || with_argument(&nap).is_empty());
    nothing_left(&space.store());
}

fn a_terminal_without_namespaces(space: &Space) {
    image(space);
    let mut kiln = contained(space, "run -it --isolation supervised app");
    let mut screen = Screen::start(kiln.command(), 80, 24);
    screen.shows(&["ready>"]);
    assert!(!screen.is_given_back(), "keys are edited here too");
    screen.press("stty size; [ -t 0 ] && echo on a $((2 * 21)) terminal\r");
    screen.shows(&["24 80", "on a 42 terminal"]);
    screen.resize(100, 30);
    screen.press(
        "until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo is $((30 * 100))\r",
    );
    screen.shows(&["is 3000"]);
    let nap = unique_nap();
    screen.press(&format!("sleep {nap}; echo ended $?\r"));
    appears(&nap);
    screen.press("\x03");
    eventually("Ctrl-C ends nothing", || with_argument(&nap).is_empty());
    screen.press("exit 5\r");
    assert_eq!(screen.ends(), Some(5));
    nothing_left(&space.store());
}

fn nothing_is_left_of_it_either(space: &Space) {
    image(space);
    let mut kiln = contained(space, "run -it --isolation supervised app");
    let mut screen = Screen::start(kiln.command(), 80, 24);
    screen.shows(&["ready>"]);
    let nap = unique_nap();
    screen.press(&format!("sleep {nap}\r"));
    appears(&nap);
    screen.signal(Signal::KILL);
    screen.ends();
    eventually("it goes on", || with_argument(&nap).is_empty());
    nothing_left(&space.store());
}
