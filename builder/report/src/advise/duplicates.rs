//! Files with the same content at several paths. It only tells: whether a link will do, a person has to know.

use super::Finding;
use super::subject::{File, Subject};
use crate::classify::Class;
use crate::units::bytes;
use kiln_cache::{ContentDigest, EntryKind};
use std::collections::{BTreeMap, HashMap};

const LEAST: u64 = 100_000;

/// Where the same content is, by the layer and the folder of the second file.
struct Group {
    bytes: u64,
    files: usize,
    example: (String, String),
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let first = first_places(subject);
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for layer in subject.own() {
        for file in subject.files(layer) {
            let content = content(&file).filter(|_| file.fate.class == Class::Duplicate);
            let Some(original) = content.and_then(|content| first.get(&content)) else {
                continue;
            };
            let group = groups.entry(layer).or_insert_with(|| Group {
                bytes: 0,
                files: 0,
                example: (original.clone(), file.path()),
            });
            group.bytes += file.fate.bytes;
            group.files += 1;
        }
    }
    let large = groups.into_iter().filter(|(_, group)| group.bytes >= LEAST);
    large
        .map(|(layer, group)| finding(subject, layer, &group))
        .collect()
}

/// The first live file of each content.
fn first_places(subject: &Subject<'_>) -> HashMap<ContentDigest, String> {
    let mut places = HashMap::new();
    for layer in 0..subject.image.layers.len() {
        let live = subject
            .files(layer)
            .filter(|file| file.fate.class == Class::Live);
        for file in live {
            if let Some(content) = content(&file) {
                places.entry(content).or_insert_with(|| file.path());
            }
        }
    }
    places
}

fn content(file: &File<'_>) -> Option<ContentDigest> {
    match file.entry.kind {
        EntryKind::File { content, .. } => Some(content),
        _ => None,
    }
}

fn finding(subject: &Subject<'_>, layer: usize, group: &Group) -> Finding {
    let (original, copy) = &group.example;
    let what = format!(
        "{} files, {}, have the content of other files: /{copy} is /{original}",
        group.files,
        bytes(group.bytes)
    );
    let line = subject.line_of(layer);
    Finding::of_bytes(line, Class::Duplicate, group.bytes, what)
        .advised("copy them once, and link to them where a second path is needed")
}
