//! A step that installs dependencies after a COPY of everything is executed again whenever any file changes: copy what says the
//! dependencies first. It only tells: which files say it, a person knows better.

use super::Finding;
use super::subject::{Context, Subject, Written};

/// Words of a command that installs dependencies, and the files that say them.
type Installer = (&'static [&'static str], &'static [&'static str]);

/// To add one: a line.
const INSTALLERS: [Installer; 10] = [
    (&["npm", "ci"], &["package.json", "package-lock.json"]),
    (&["npm", "install"], &["package.json", "package-lock.json"]),
    (&["yarn", "install"], &["package.json", "yarn.lock"]),
    (&["pnpm", "install"], &["package.json", "pnpm-lock.yaml"]),
    (&["pip", "install", "-r"], &["requirements.txt"]),
    (&["pip3", "install", "-r"], &["requirements.txt"]),
    (&["go", "mod", "download"], &["go.mod", "go.sum"]),
    (&["bundle", "install"], &["Gemfile", "Gemfile.lock"]),
    (
        &["composer", "install"],
        &["composer.json", "composer.lock"],
    ),
    (&["poetry", "install"], &["pyproject.toml", "poetry.lock"]),
];

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let (written, Some(context)) = (subject.written(), subject.context) else {
        return Vec::new();
    };
    let Some(at) = written.iter().position(copies_all) else {
        return Vec::new();
    };
    let found = written[at + 1..].iter().filter_map(|step| {
        let files = files(step, context)?;
        Some(finding(subject, &written[at], step, &files))
    });
    found.take(1).collect()
}

/// Whether a step copies the whole context.
fn copies_all(step: &Written<'_>) -> bool {
    let copy = step.copy().filter(|copy| copy.from.is_none());
    let is_all = |source: &str| matches!(source, "." | "./" | "/" | "./." | "*");
    copy.is_some_and(|copy| copy.transfer.sources().any(|word| is_all(&word.text)))
}

/// The files of the context that say which dependencies a step installs.
fn files(step: &Written<'_>, context: &Context) -> Option<Vec<&'static str>> {
    let installs =
        |words: &[&str], (known, _): &Installer| known.iter().all(|word| words.contains(word));
    let mut commands = step.clauses.iter().map(super::clause::Clause::texts);
    let (_, files) = commands.find_map(|words| {
        let mut all = INSTALLERS.iter();
        all.find(|installer| installs(&words, installer))
    })?;
    let there = files
        .iter()
        .copied()
        .filter(|file| context.names.contains(*file));
    Some(there.collect()).filter(|files: &Vec<_>| !files.is_empty())
}

fn finding(
    subject: &Subject<'_>,
    copy: &Written<'_>,
    step: &Written<'_>,
    files: &[&str],
) -> Finding {
    Finding {
        line: Some(copy.line),
        seconds: subject.seconds.get(&step.line).copied(),
        what: format!(
            "line {} installs dependencies, and is executed again whenever any file of the context changes",
            step.line
        ),
        advice: format!(
            "COPY {} ./ before line {}, and the rest after it",
            files.join(" "),
            step.line
        ),
        ..Finding::default()
    }
}
