//! A `chown` or `chmod` in a step of its own copies every file that it changes into one more layer: give the owner and the mode to the
//! step that writes the files.

use super::clause::Clause;
use super::subject::{File, Subject, Written, bytes_of, is_within};
use super::{Edit, Finding};
use crate::classify::Class;
use crate::units::bytes;
use std::collections::BTreeMap;

const LEAST: u64 = 10_000;
/// Programs that make users: what they make is no owner before.
const MAKE_USERS: [&str; 6] = [
    "useradd", "adduser", "groupadd", "addgroup", "usermod", "groupmod",
];

/// A plain `chown` or `chmod`.
struct Change<'a> {
    /// Position of the step.
    step: usize,
    /// The command.
    clause: &'a Clause,
    /// `chown` or `chmod`.
    program: &'static str,
    /// The owner or the mode.
    value: &'a str,
    /// The only path, as entries are named.
    path: String,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let written = subject.written();
    let mut by_changer: BTreeMap<usize, Vec<(usize, Vec<File<'_>>)>> = BTreeMap::new();
    for ((from, by), files) in subject.hidden(Class::Rewritten) {
        by_changer.entry(by).or_default().push((from, files));
    }
    let found = by_changer.into_iter().filter_map(|(by, writers)| {
        let size = writers.iter().map(|(_, files)| bytes_of(files)).sum();
        (size >= LEAST).then(|| finding(subject, &written, by, &writers, size))
    });
    found.collect()
}

fn finding(
    subject: &Subject<'_>,
    written: &[Written<'_>],
    by: usize,
    writers: &[(usize, Vec<File<'_>>)],
    size: u64,
) -> Finding {
    let step = written.iter().position(|step| step.layer == Some(by));
    let change = step.and_then(|step| change(written, step));
    let edits = change
        .as_ref()
        .and_then(|change| edits(subject, written, change, writers));
    let flag = change.map_or("chown", |change| change.program);
    let lines = writers.iter().map(|(from, _)| subject.name_of(*from));
    let lines: Vec<String> = lines.collect();
    let (told, lines) = (bytes(size), lines.join(", "));
    let what = format!("this step copies {told} to change only their owner, mode or time");
    let advice = format!("use COPY --{flag}, or change them in the RUN that writes them: {lines}");
    let found = Finding::of_bytes(subject.line_of(by), Class::Rewritten, size, what);
    let found = found.advised(advice);
    // what is changed is the same as before, so no path may differ
    found.edited(edits.unwrap_or_default(), Vec::new())
}

/// The only plain `chown` or `chmod` of a step.
fn change<'a>(written: &'a [Written<'_>], step: usize) -> Option<Change<'a>> {
    let programs = ["chown", "chmod"];
    let found = written[step].clauses.iter().filter_map(|clause| {
        let words = clause.texts();
        let program = programs
            .into_iter()
            .find(|name| words.first() == Some(name))?;
        Some((clause, program, words))
    });
    let [(clause, program, words)] = found.collect::<Vec<_>>().try_into().ok()?;
    let mut operands = words
        .into_iter()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let (value, path) = (operands.next()?, operands.next()?);
    let is_plain = operands.next().is_none() && path.starts_with('/') && !path.contains(['*', '?']);
    is_plain.then(|| Change {
        step,
        clause,
        program,
        value,
        path: path.trim_matches('/').to_owned(),
    })
}

/// The edits of all writers, and of the step itself.
fn edits(
    subject: &Subject<'_>,
    written: &[Written<'_>],
    change: &Change<'_>,
    writers: &[(usize, Vec<File<'_>>)],
) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    for (from, _) in writers {
        let at = written.iter().position(|step| step.layer == Some(*from))?;
        let has_users = change.program != "chown" || has_users(written, change, at);
        let edit = match written[at].copy() {
            Some(_) => of_copy(subject, &written[at], change),
            None => of_run(subject, &written[at], change),
        };
        edits.push(edit.filter(|_| has_users)?);
    }
    let mut files = writers.iter().flat_map(|(_, files)| files);
    let is_file = files.any(|file| file.path() == change.path);
    edits.push(of_change(subject, written, change, is_file)?);
    Some(edits)
}

/// Whether the owner is a number, or known when the step at this position is executed.
fn has_users(written: &[Written<'_>], change: &Change<'_>, at: usize) -> bool {
    let is_number = change
        .value
        .starts_with(|first: char| first.is_ascii_digit());
    let mut later = written[at + 1..=change.step].iter();
    is_number || !later.any(|step| step.mentions(&MAKE_USERS))
}

/// A COPY with the flag, if all that it copies is to have it.
fn of_copy(subject: &Subject<'_>, step: &Written<'_>, change: &Change<'_>) -> Option<Edit> {
    let transfer = &step.copy()?.transfer;
    let is_octal = change.value.chars().all(|digit| digit.is_digit(8));
    let is_free = match change.program {
        // without a group, COPY takes the number of the user for one, and chown leaves the group as it is
        "chown" => transfer.options().chown.is_none() && has_group(change.value),
        _ => transfer.options().chmod.is_none() && is_octal,
    };
    let mut files = subject.files(step.layer?);
    let is_all = files.all(|file| is_within(&file.path(), &change.path));
    // a COPY that is linked knows nothing of the layers below, and so of their users
    let flag = format!(" --{}={}", change.program, change.value);
    (is_free && is_all && !transfer.options().link).then(|| Edit::insert(step.name.end, flag))
}

/// Whether an owner names a group.
fn has_group(owner: &str) -> bool {
    let named = owner.split_once(':');
    named.is_some_and(|(user, group)| !user.is_empty() && !group.is_empty())
}

/// A RUN that does it at its end.
fn of_run(subject: &Subject<'_>, step: &Written<'_>, change: &Change<'_>) -> Option<Edit> {
    let text = &subject.source?.text[change.clause.at.clone()];
    (!step.clauses.is_empty()).then(|| Edit::insert(step.at.end, format!(" && {text}")))
}

/// The step without the command; one for a tree stays for its folder, which may be the work of WORKDIR or of a COPY that only made it.
fn of_change(
    subject: &Subject<'_>,
    written: &[Written<'_>],
    change: &Change<'_>,
    is_file: bool,
) -> Option<Edit> {
    let step = &written[change.step];
    let mut words = change.clause.words().iter();
    let recursive = words.find(|(word, _)| word == "-R" && !is_file);
    match recursive {
        Some((_, at)) => Some(Edit::remove(at.start..at.end + 1)),
        None => Some(step.without(change.clause, subject.source?.text)),
    }
}
