//! Builds are killed at random moments, again and again; each time the store is whole and gives the same image.
//!
//! The seed is printed and can be given as `KILN_SEED`; `KILN_NIGHTLY=1` makes twenty times as many rounds.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::processes::nothing_left;
use crate::support::random::{Random, often, seed};
use crate::support::{Mode, Space, cases};

cases! {
    killed_at_any_moment,
}

const TEXT: &str = "FROM tools AS one
COPY folder /folder
RUN cat /folder/* > /all && mkdir /made && echo x > /made/x
RUN rm -r /folder && ln /all /made/all
FROM tools AS two
RUN echo two > /two && chmod 600 /two
FROM tools
COPY --from=one /made /made
COPY --from=two /two /
RUN cat /made/all /two > /sum
";

/// 50 rounds in all modes together; the two everyday ones have the most.
fn rounds(mode: Mode) -> u64 {
    often(match mode {
        Mode::Root => 20,
        Mode::Range => 16,
        Mode::Single => 8,
        _ => 4,
    })
}

fn killed_at_any_moment(space: &Space) {
    for number in 0..30 {
        space.write(
            &format!("folder/{number:02}"),
            format!("{number}\n").repeat(1000),
        );
    }
    let seed = seed("kill loop", space);
    let mut random = Random::new(seed);
    let build = || {
        space
            .build_json(TEXT)
            .env("SOURCE_DATE_EPOCH", "1600000000")
    };
    let begun = Instant::now();
    let expected = build().ok().events().id();
    let whole = begun.elapsed();
    for round in 0..rounds(space.mode) {
        // Half of the rounds begin without a store, so that its making is hit as well.
        let fresh = random.below(2) == 0;
        if fresh {
            space.remove_store();
        }
        let build_to_kill = if fresh {
            build()
        } else {
            build().arg("--no-cache")
        };
        kill_at(
            build_to_kill.spawn(),
            random.below(whole.as_micros() as u64),
            round,
            &mut random,
        );
        nothing_left(&space.store());
        space.is_clean();
        assert_eq!(
            build().ok().events().id(),
            expected,
            "round {round} of seed {seed}"
        );
    }
    space.is_clean();
}

/// Sends a signal that ends it, mostly SIGKILL, after so long.
pub fn kill_at(
    running: crate::support::process::Running,
    micros: u64,
    round: u64,
    random: &mut Random,
) {
    std::thread::sleep(Duration::from_micros(micros));
    let signal = [Signal::KILL, Signal::KILL, Signal::TERM, Signal::INT][random.below(4) as usize];
    running.signal(signal);
    let ended = running.wait();
    // 0: it was faster; none: SIGKILL, or a signal before the handler was there.
    assert!(
        matches!(ended.status.code(), None | Some(0 | 130 | 143)),
        "round {round}: {ended}"
    );
    ended.never_says(&["panicked"]);
}
