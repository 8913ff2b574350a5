//! What a step writes and a later one deletes stays in the image: delete it in the step that wrote it.

use super::package_cache;
use super::subject::{File, Subject, Written, bytes_of, is_within};
use super::{Edit, Finding};
use crate::classify::Class;
use crate::units::bytes;

/// Fewer bytes are not worth a word.
const LEAST: u64 = 10_000;
const OF_COPY: &str =
    "leave them out of what is copied (.dockerignore, --exclude), or copy in a stage of its own";
const OF_RUN: &str =
    "delete them in the RUN that writes them, or do both in a stage of its own and copy the result";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let written = subject.written();
    let hidden = subject.hidden(Class::Deleted).into_iter();
    let found = hidden.filter_map(|((from, by), mut files)| {
        files.retain(|file| package_cache::of_path(&file.path()).is_none());
        let size = bytes_of(&files);
        (size >= LEAST).then(|| finding(subject, &written, (from, by), &files))
    });
    found.collect()
}

fn finding(
    subject: &Subject<'_>,
    written: &[Written<'_>],
    (from, by): (usize, usize),
    files: &[File<'_>],
) -> Finding {
    let moved = moved(subject, written, (from, by), files);
    let (paths, edit) = moved.unzip();
    let paths = paths.unwrap_or_default();
    let writer = written.iter().find(|step| step.layer == Some(from));
    let is_copy = writer.is_some_and(|step| step.run().is_none());
    let size = bytes_of(files);
    let (told, by) = (bytes(size), subject.name_of(by));
    let what = format!("{told} that this step writes are deleted by {by}");
    let advice = match (edit.is_some(), is_copy) {
        (true, _) => format!("delete {} in {}", paths.join(" "), subject.name_of(from)),
        (false, true) => OF_COPY.to_owned(),
        (false, false) => OF_RUN.to_owned(),
    };
    let folders = paths.iter().map(|path| folder(path).to_owned());
    Finding::of_bytes(subject.line_of(from), Class::Deleted, size, what)
        .advised(advice)
        .edited(edit.into_iter().collect(), folders.collect())
}

/// The paths of plain `rm` commands that deleted all of the files, and the edit that deletes them where they were written.
fn moved(
    subject: &Subject<'_>,
    written: &[Written<'_>],
    (from, by): (usize, usize),
    files: &[File<'_>],
) -> Option<(Vec<String>, Edit)> {
    let text = subject.source?.text;
    let place = |layer| written.iter().position(|step| step.layer == Some(layer));
    let (writer, deleter) = (place(from)?, place(by)?);
    let covers = |path: &str, file: &File<'_>| is_within(&file.path(), folder(path));
    let mut paths = deleted(&written[deleter]);
    paths.retain(|path| files.iter().any(|file| covers(path, file)));
    let are_covered = files
        .iter()
        .all(|file| paths.iter().any(|path| covers(path, file)));
    let mut between = written.get(writer + 1..deleter)?.iter();
    let is_used = between.any(|step| {
        let text = &text[step.at.clone()];
        paths.iter().any(|path| text.contains(folder(path)))
    });
    let writer = &written[writer];
    let is_plain = !writer.clauses.is_empty() && are_covered && !is_used;
    let command = format!(" && rm -rf {}", paths.join(" "));
    is_plain.then(|| (paths, Edit::insert(writer.at.end, command)))
}

/// What plain `rm` commands of a RUN name, from the root.
fn deleted(step: &Written<'_>) -> Vec<String> {
    let commands = step.clauses.iter().map(super::clause::Clause::texts);
    let commands = commands.filter(|words| words.first() == Some(&"rm"));
    let paths = commands.flat_map(|words| words.into_iter().skip(1).map(str::to_owned));
    let is_path = |path: &String| path.starts_with('/') && folder(path).len() > 1;
    paths.filter(is_path).collect()
}

/// The part of a path before the first pattern, as entries are named.
fn folder(path: &str) -> &str {
    let plain = path.find(['*', '?', '[']).map_or(path, |at| &path[..at]);
    let plain = match plain.len() == path.len() {
        true => plain,
        false => plain.rsplit_once('/').map_or("", |(folder, _)| folder),
    };
    plain.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn a_pattern_covers_its_folder() {
        let folders = ["/tmp/x", "/tmp/x/", "/tmp/x/*", "/tmp/x/a*"].map(folder);
        assert_eq!(folders, ["tmp/x"; 4]);
    }
}
