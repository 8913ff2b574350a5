//! Lists of packages that are fetched in one RUN and used in a later one: the cache keeps them while packages move on, so that some day nothing
//! can be installed; and both RUNs write them. Fetch them in the RUN that installs.

use super::clause::{Clause, blanked};
use super::subject::{Source, Subject, Written, bytes_of};
use super::{Edit, Finding, edit};
use crate::classify::Class;
use kiln_parser::instruction::Instruction;

/// A package manager whose lists have a command of their own.
struct Manager {
    programs: &'static [&'static str],
    /// Words that fetch the lists.
    fetch: &'static [&'static str],
    /// Words that use them.
    install: &'static [&'static str],
    /// Where they are, and what else changes with each of them.
    paths: &'static [&'static str],
}

/// To add one: a line.
static MANAGERS: [Manager; 4] = [
    Manager {
        programs: &["apt-get", "apt"],
        fetch: &["update"],
        install: &[
            "install",
            "upgrade",
            "dist-upgrade",
            "full-upgrade",
            "build-dep",
        ],
        paths: &["var/lib/apt/lists", "var/cache/apt"],
    },
    Manager {
        programs: &["apk"],
        fetch: &["update"],
        install: &["add", "upgrade"],
        paths: &["var/cache/apk", "etc/apk/cache", "lib/apk/db"],
    },
    Manager {
        programs: &["dnf", "microdnf", "yum"],
        fetch: &["makecache", "check-update", "update", "upgrade"],
        install: &["install", "groupinstall", "reinstall"],
        paths: &[
            "var/cache/dnf",
            "var/cache/yum",
            "var/cache/libdnf5",
            "var/lib/dnf",
            "var/lib/rpm",
        ],
    },
    Manager {
        programs: &["zypper"],
        fetch: &["refresh", "ref"],
        install: &["install", "in", "update", "up"],
        paths: &["var/cache/zypp"],
    },
];

/// Commands that change the shell for those that follow in the same RUN.
const STATEFUL: [&str; 12] = [
    "cd", "exit", "export", "set", "unset", "exec", "source", ".", "umask", "ulimit", "trap",
    "pushd",
];

/// What is wrong with a line.
const WHAT: &str =
    "installs from the lists that this step fetches, however old they are in the cache";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Fetch,
    Install,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(source) = subject.source else {
        return Vec::new();
    };
    let written = subject.written();
    let found = MANAGERS.iter().flat_map(|manager| {
        let fetching = (0..written.len()).filter_map(|at| {
            let end = used(source, &written, at, manager)?;
            finding(subject, source, written.get(at..=end)?, manager)
        });
        fetching.collect::<Vec<Finding>>()
    });
    found.collect()
}

/// The next step that uses the lists which the step at a position fetches, if it does not fetch them itself.
fn used(
    source: Source<'_>,
    written: &[Written<'_>],
    at: usize,
    manager: &Manager,
) -> Option<usize> {
    let deeds = |step: &Written<'_>| manager.deeds(source, step);
    if !deeds(&written[at]).contains(&Deed::Fetch) {
        return None;
    }
    let mut later = (at + 1..written.len()).map(|at| (at, deeds(&written[at])));
    let (end, deeds) = later.find(|(_, deeds)| !deeds.is_empty())?;
    (deeds.first() == Some(&Deed::Install)).then_some(end)
}

fn finding(
    subject: &Subject<'_>,
    source: Source<'_>,
    steps: &[Written<'_>],
    manager: &Manager,
) -> Option<Finding> {
    let [first, .., last] = steps else {
        return None;
    };
    let layers = first.layer.zip(last.layer);
    let twice = layers.map(|layers| twice(subject, layers));
    let twice = twice.filter(|bytes| *bytes > 0);
    let finding = Finding {
        line: Some(first.line),
        class: twice.map(|_| Class::Overwritten.name()),
        bytes: twice,
        what: format!("line {} {WHAT}", last.line),
        ..Finding::default()
    };
    let (edits, advice) = edits(source, steps, manager, last.line);
    let paths = manager.paths.iter().map(|path| (*path).to_owned());
    Some(finding.advised(advice).edited(edits, paths.collect()))
}

fn edits(
    source: Source<'_>,
    steps: &[Written<'_>],
    manager: &Manager,
    line: u32,
) -> (Vec<Edit>, String) {
    if let Some(joins) = joins(source, steps) {
        return (joins, format!("join it with line {line} in one RUN"));
    }
    let advice = format!("fetch them in the RUN of line {line}, before it installs");
    (moved(source, steps, manager).unwrap_or_default(), advice)
}

/// Bytes that one layer writes and the other one writes again.
fn twice(subject: &Subject<'_>, layers: (usize, usize)) -> u64 {
    let classes = [Class::Overwritten, Class::Rewritten].into_iter();
    let hidden = classes.filter_map(|class| Some(bytes_of(subject.hidden(class).get(&layers)?)));
    hidden.sum()
}

/// The edits that make one RUN of steps that follow one another.
fn joins(source: Source<'_>, steps: &[Written<'_>]) -> Option<Vec<Edit>> {
    let joins = steps.windows(2).map(|pair| {
        let [first, second] = [&pair[0], &pair[1]];
        let are_lists = !second.clauses.is_empty() && leaves_the_shell(first);
        let names = [first, second].map(|step| step.name.start);
        let joined = edit::joined(source.text, names[0], names[1]).filter(|_| are_lists);
        joined.map(|_| Edit::Join {
            first: names[0],
            second: names[1],
        })
    });
    joins.collect()
}

/// Whether the commands of a step are understood, and those after them find the shell as it was.
fn leaves_the_shell(step: &Written<'_>) -> bool {
    let changes = |word: &str| STATEFUL.contains(&word) || is_assignment(word);
    let mut clauses = step.clauses.iter();
    let changed = |clause: &Clause| {
        let mut parts = clause.parts();
        let first = parts.next().unwrap_or_default();
        // an assignment before a command is the command's alone
        changes(first) && (!is_assignment(first) || parts.next().is_none())
    };
    !step.clauses.is_empty() && !clauses.any(changed)
}

fn is_assignment(word: &str) -> bool {
    word.contains('=')
}

/// The edits that fetch the lists where they are used: other instructions stand between.
fn moved(source: Source<'_>, steps: &[Written<'_>], manager: &Manager) -> Option<Vec<Edit>> {
    let [first, between @ .., last] = steps else {
        return None;
    };
    let (text, own) = (source.text, first.flags(source.text));
    let is_same = own.is_empty() || own == last.flags(text);
    let is_free = !between.iter().any(changes_who_runs) && !is_staged(source, first, last);
    let does = |clause: &&Clause, deed| manager.deed(clause.parts()) == Some(deed);
    let of = |step: &Written<'_>, deed| {
        let found = step.clauses.iter().find(|clause| does(clause, deed));
        found.cloned()
    };
    let fetch = of(first, Deed::Fetch).filter(|fetch| !fetch.texts().is_empty())?;
    let install = of(last, Deed::Install).filter(|_| is_same && is_free)?;
    let command = format!("{} && ", text.get(fetch.at.clone())?);
    let mut edits = vec![Edit::insert(install.at.start, command)];
    // what installs itself needs its lists
    if of(first, Deed::Install).is_none() && leaves_the_shell(first) {
        edits.push(first.without(&fetch, text));
    }
    Some(edits)
}

/// Whether later RUNs have another user or another shell.
fn changes_who_runs(step: &Written<'_>) -> bool {
    matches!(
        step.instruction,
        Instruction::User(_) | Instruction::Shell(_)
    )
}

/// Whether the steps are in different stages: others may continue the first one.
fn is_staged(source: Source<'_>, first: &Written<'_>, last: &Written<'_>) -> bool {
    let mut lines = source.dockerfile.lines.iter();
    lines.any(|line| {
        let is_between = first.at.end <= line.span.start() && line.span.start() < last.at.start;
        is_between && line.name().eq_ignore_ascii_case("FROM")
    })
}

impl Manager {
    /// What a RUN does, in order.
    fn deeds(&self, source: Source<'_>, step: &Written<'_>) -> Vec<Deed> {
        if step.run().is_none() {
            return Vec::new();
        }
        let escape = source.dockerfile.escape;
        let text = blanked(source.text.get(step.at.clone()).unwrap_or_default());
        let text = text
            .replace("\r\n", "\n")
            .replace(&format!("{escape}\n"), " ");
        let commands = text.split(['&', ';', '|', '\n']);
        commands
            .filter_map(|command| self.deed(command.split_whitespace()))
            .collect()
    }

    /// What a command does.
    fn deed<'a>(&self, words: impl Iterator<Item = &'a str>) -> Option<Deed> {
        let plain =
            words.map(|word| word.trim_matches(['"', '\'', ',', '[', ']', '(', ')', '{', '}']));
        let mut arguments = plain
            .skip_while(|word| !self.programs.contains(word))
            .skip(1);
        arguments.find_map(|word| match word {
            _ if self.fetch.contains(&word) => Some(Deed::Fetch),
            _ if self.install.contains(&word) => Some(Deed::Install),
            _ => None,
        })
    }
}
