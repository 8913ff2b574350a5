//! A project is edited at random, one to three edits at a time. The reasons of every step that runs again are exactly those of the edits, and
//! where the edits are taken back, every step hits. What `kiln plan` says before each build is what the build does.
//!
//! The seed is told and can be given as `KILN_SEED`; `KILN_MODES=all` makes 20 rounds, `KILN_NIGHTLY=1` 400.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::plan;
use crate::support::random::{Random, often, seed};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    reasons_are_those_of_the_edits,
}

/// What is edited: everything has a number that says what it is now.
const SLOTS: [Slot; 15] = [
    Slot::File("a"),
    Slot::File("d/x"),
    Slot::Mode,
    Slot::Presence,
    Slot::Argument,
    Slot::Variable,
    Slot::FirstText,
    Slot::SecondText,
    Slot::Owner,
    Slot::Folder,
    Slot::Extra,
    Slot::Mounted,
    Slot::Memory,
    Slot::Step,
    Slot::Comment,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    /// The content of a file.
    File(&'static str),
    /// The mode of `b`.
    Mode,
    /// Whether `n` is there.
    Presence,
    /// The build argument `K`.
    Argument,
    /// `ENV E`.
    Variable,
    /// A word of the first RUN, and of the second.
    FirstText,
    SecondText,
    /// `--chown` of the first COPY.
    Owner,
    /// The WORKDIR of the first stage.
    Folder,
    /// A file of the named context.
    Extra,
    /// A file that is mounted.
    Mounted,
    /// `--shm-size`.
    Memory,
    /// Whether there is one more step.
    Step,
    /// A comment: no reason.
    Comment,
}

/// A state of the project.
type State = BTreeMap<Slot, u64>;

/// The steps, as the test calls them.
const COPY: &str = "COPY --chown=";
const FIRST: &str = "RUN cat /in/a /in/x";
const EXTRA: &str = "COPY --from=extra";
const MORE: &str = "RUN echo more";
const SECOND: &str = "RUN --mount";
const FOLDER: &str = "WORKDIR";
const LAST: [&str; 2] = ["COPY --from=one", "COPY --from=two"];

fn text(state: &State) -> String {
    let now = |slot: Slot| state[&slot];
    let more = match now(Slot::Step) {
        0 => String::new(),
        number => format!("RUN echo more {number} > /more\n"),
    };
    format!(
        "# {}\nFROM tools AS one\nARG K\nENV E={}\nWORKDIR /w{}\nCOPY --chown={} a b n* d /in/\n\
         RUN cat /in/a /in/x > /sum && echo $K $E {} >> /sum\nFROM tools AS two\nCOPY --from=extra e /e\n{more}\
         RUN --mount=source=m,target=/m cat /m /e > /out && echo {} >> /out\n\
         FROM scratch\nCOPY --from=one /sum /\nCOPY --from=two /out /\n",
        now(Slot::Comment),
        now(Slot::Variable),
        now(Slot::Folder),
        now(Slot::Owner),
        now(Slot::FirstText),
        now(Slot::SecondText),
    )
}

fn write(space: &Space, state: &State) {
    for path in ["a", "d/x"] {
        space.write(path, format!("{}\n", state[&Slot::File(path)]));
    }
    let b = space.write("b", "b");
    fs::set_permissions(b, Permissions::from_mode(mode(state[&Slot::Mode]))).unwrap();
    match state[&Slot::Presence] {
        0 => drop(fs::remove_file(space.context().join("n"))),
        _ => drop(space.write("n", "n")),
    }
    space.write_in("extra", "e", format!("{}\n", state[&Slot::Extra]));
    space.write("m", format!("{}\n", state[&Slot::Mounted]));
}

fn build(space: &Space, state: &State) -> Kiln {
    write(space, state);
    space.build_json(&text(state)).args(flags(space, state))
}

fn flags(space: &Space, state: &State) -> [String; 6] {
    let extra = format!("extra={}", space.path("extra").display());
    let argument = format!("K={}", state[&Slot::Argument]);
    let memory = format!("{}k", 4096 + 4 * state[&Slot::Memory]);
    [
        "--build-context".to_owned(),
        extra,
        "--build-arg".to_owned(),
        argument,
        "--shm-size".to_owned(),
        memory,
    ]
}

/// What is expected of a step: its own reasons, and the steps with which it began.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    own: BTreeSet<String>,
    began: BTreeSet<&'static str>,
}

/// What follows from the edits, by step.
fn expected(old: &State, new: &State) -> BTreeMap<&'static str, Expected> {
    let mut all: BTreeMap<&str, Expected> = BTreeMap::new();
    let has_more = now_has(old, Slot::Step) && now_has(new, Slot::Step);
    for slot in SLOTS.into_iter().filter(|slot| old[slot] != new[slot]) {
        for (step, reason) in own(slot, old[&slot], new[&slot]) {
            if step != MORE || has_more || slot == Slot::Step {
                all.entry(step).or_default().own.insert(reason);
            }
        }
    }
    if let Some(files) = of_files(old, new) {
        all.entry(COPY).or_default().own.insert(files);
    }
    let edited = |slots: &[Slot]| slots.iter().any(|slot| old[slot] != new[slot]);
    spread(&mut all, edited);
    // a new step has one reason: it is new
    let is_new = !now_has(old, Slot::Step) && now_has(new, Slot::Step);
    if let Some(more) = all.get_mut(MORE).filter(|_| is_new) {
        more.began.clear();
    }
    all
}

/// The reasons of steps because of something that is no file of the main context.
fn own(slot: Slot, before: u64, now: u64) -> Vec<(&'static str, String)> {
    let words = |text: &str| {
        format!(
            "text: {}",
            text.replace('?', &format!("[-{before}-]{{+{now}+}}"))
        )
    };
    match slot {
        Slot::Argument => vec![(FIRST, format!("ARG K: {before} → {now}"))],
        Slot::Variable => vec![(FIRST, format!("ENV E: {before} → {now}"))],
        Slot::FirstText => vec![(FIRST, words("RUN … $K $E ? >> /sum"))],
        Slot::SecondText => vec![(SECOND, words("RUN … && echo ? >> /out"))],
        Slot::Owner => vec![(COPY, format!("--chown: {before} → {now}"))],
        Slot::Folder => vec![
            (FOLDER, format!("text: WORKDIR [-/w{before}-]{{+/w{now}+}}")),
            (FIRST, format!("WORKDIR: /w{before} → /w{now}")),
        ],
        Slot::Extra => vec![(EXTRA, "extra: e changed".to_owned())],
        Slot::Mounted => vec![(SECOND, "m changed".to_owned())],
        Slot::Memory => {
            let bytes = |memory: u64| (4096 + 4 * memory) * 1024;
            let reason = format!("--shm-size: {} → {}", bytes(before), bytes(now));
            [FIRST, SECOND, MORE]
                .map(|step| (step, reason.clone()))
                .into()
        }
        Slot::Step => match (before, now) {
            (0, _) => vec![(MORE, "a new step".to_owned())],
            (_, 0) => vec![(
                SECOND,
                format!("no longer after RUN echo more {before} > /more"),
            )],
            _ => vec![(MORE, words("RUN echo more ? > /more"))],
        },
        Slot::File(_) | Slot::Mode | Slot::Presence | Slot::Comment => Vec::new(),
    }
}

/// The mode of `b`.
fn mode(number: u64) -> u32 {
    (0o600 + u32::try_from(number % 0o100).unwrap()) | 0o044
}

/// The files of the main context, as reasons name them.
fn of_files(old: &State, new: &State) -> Option<String> {
    let mut files = BTreeMap::new();
    for path in ["a", "d/x"] {
        if old[&Slot::File(path)] != new[&Slot::File(path)] {
            files.insert(path, "changed".to_owned());
        }
    }
    let (before, now) = (mode(old[&Slot::Mode]), mode(new[&Slot::Mode]));
    if before != now {
        files.insert("b", format!("mode {before:o} → {now:o}"));
    }
    match (old[&Slot::Presence], new[&Slot::Presence]) {
        (0, 1) => drop(files.insert("n", "added".to_owned())),
        (1, 0) => drop(files.insert("n", "removed".to_owned())),
        _ => {}
    }
    let files: Vec<String> = files
        .iter()
        .map(|(path, what)| format!("{path} {what}"))
        .collect();
    Some(files.join(", ")).filter(|files| !files.is_empty())
}

fn now_has(state: &State, slot: Slot) -> bool {
    state[&slot] != 0
}

/// What begins with a step goes on with those below it, where it gives something else.
fn spread(all: &mut BTreeMap<&'static str, Expected>, edited: impl Fn(&[Slot]) -> bool) {
    let copied = [Slot::File("a"), Slot::File("d/x")];
    let first = [Slot::Argument, Slot::Variable, Slot::FirstText];
    let gives_other = |step: &str| match step {
        FIRST => edited(&copied) || edited(&first),
        MORE => edited(&[Slot::Step, Slot::Extra]),
        SECOND => edited(&[Slot::Extra, Slot::Mounted, Slot::SecondText]),
        _ => true,
    };
    let below: [(&str, &[&str]); 6] = [
        (COPY, &[FOLDER]),
        (FIRST, &[COPY]),
        (MORE, &[EXTRA]),
        (SECOND, &[MORE, EXTRA]),
        (LAST[0], &[FIRST]),
        (LAST[1], &[LAST[0], SECOND]),
    ];
    for (step, inputs) in below {
        let mut began = BTreeSet::new();
        for input in inputs.iter().filter(|input| gives_other(input)) {
            if let Some(found) = all.get(input) {
                began.extend(found.began.iter().copied());
                began.extend((!found.own.is_empty()).then_some(*input));
            }
        }
        if !began.is_empty() {
            all.entry(step).or_default().began.extend(began);
        }
    }
}

fn reasons_are_those_of_the_edits(space: &Space) {
    let random = &mut Random::new(seed("why fuzz", space));
    let mut state: State = SLOTS.iter().map(|slot| (*slot, 1)).collect();
    fs::create_dir(space.path("extra")).unwrap();
    build(space, &state).ok();
    let mut checked = 0;
    for round in 0..often(20) {
        let before = state.clone();
        for _ in 0..=random.below(3) {
            edit(&mut state, random);
        }
        let changed = build(space, &state);
        let planned = plan::of(space, &text(&state), &flags(space, &state));
        let built = changed.ok();
        plan::holds(&planned, &built);
        let expected = expected(&before, &state);
        let told = told(space);
        for (title, reasons) in &told {
            let step = name(title);
            assert!(
                expected.get(step) == Some(reasons),
                "round {round}: {title}\nexpected {:?}\nfound {reasons:?}\n{built}",
                expected.get(step)
            );
            checked += 1;
        }
        if random.once_in(3) {
            let again = build(space, &before).ok();
            assert_eq!(again.events().ran(), [""; 0], "round {round}: {again}");
            state = before;
        }
    }
    assert!(checked > 0);
}

fn edit(state: &mut State, random: &mut Random) {
    let slot = SLOTS[random.index(SLOTS.len())];
    let now = match slot {
        Slot::Presence | Slot::Step if state[&slot] != 0 && random.once_in(2) => 0,
        Slot::Presence => 1,
        Slot::Owner | Slot::Mode => 1 + random.below(60),
        _ => 1 + random.below(1 << 20),
    };
    state.insert(slot, now);
}

/// What the test calls the step with this instruction.
fn name(title: &str) -> &'static str {
    let names = [FOLDER, COPY, FIRST, EXTRA, MORE, SECOND, LAST[0], LAST[1]];
    let is_it = |name: &&&str| title.starts_with(**name);
    names.iter().find(is_it).copied().unwrap_or("")
}

/// The steps that ran, by instruction, with what was told of them: all of it when they ended, or when they started.
fn told(space: &Space) -> Vec<(String, Expected)> {
    let json = space.kiln(["why", "--format", "json"]).ok().stdout;
    let steps: Vec<Value> = serde_json::from_str(&json).unwrap();
    let ran = steps.iter().filter(|step| step["began_us"].is_u64());
    let told = ran.map(|step| {
        (
            step["title"].as_str().unwrap().to_owned(),
            reasons(&step["because"]),
        )
    });
    told.collect()
}

fn reasons(because: &Value) -> Expected {
    let mut found = Expected::default();
    for reason in because.as_array().unwrap() {
        let reason = reason.as_str().unwrap();
        let Some(steps) = reason.strip_prefix("started by ") else {
            found.own.insert(reason.to_owned());
            continue;
        };
        // each begins with its place in brackets
        let steps = steps.split("] ").skip(1);
        found.began.extend(steps.map(name));
    }
    found
}
