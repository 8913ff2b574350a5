//! Compilers that stay in the final image. It only tells: what the program needs at run time, a person has to know.

use super::Finding;
use super::subject::Subject;
use crate::classify::Class;
use crate::units::bytes;
use std::collections::BTreeSet;

const ADVICE: &str = "build in a stage of its own, and COPY --from it what the program needs";
/// What alone is no compiler.
const HEADERS: &str = "headers";

/// Folders and files of compilers and of what only they read, from the root; `*` ends a name. To add one: a line.
const KNOWN: [(&str, &str); 10] = [
    ("gcc", "usr/lib/gcc"),
    ("gcc", "usr/libexec/gcc"),
    ("clang", "usr/lib/llvm*"),
    (HEADERS, "usr/include"),
    ("Go", "usr/local/go"),
    ("Rust", "usr/local/rustup"),
    ("Rust", "root/.rustup"),
    ("a JDK", "usr/lib/jvm"),
    ("npm", "usr/local/lib/node_modules/npm"),
    ("npm", "usr/share/nodejs"),
];

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let own = subject.own().flat_map(|layer| {
        let files = subject.files(layer);
        let live = files.filter(|file| file.fate.class == Class::Live);
        live.filter_map(move |file| Some((layer, known(&file.path())?, file.fate.bytes)))
    });
    let tools: Vec<(usize, &str, u64)> = own.collect();
    let names: BTreeSet<&str> = tools.iter().map(|(_, name, _)| *name).collect();
    if names.iter().all(|name| *name == HEADERS) {
        return Vec::new();
    }
    let size = tools.iter().map(|(.., bytes)| bytes).sum();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let first = tools.first();
    let line = first.and_then(|(layer, ..)| subject.line_of(*layer));
    let what = format!(
        "tools to build with stay in the image, {}: {names}",
        bytes(size)
    );
    vec![Finding::of_bytes(line, Class::Live, size, what).advised(ADVICE)]
}

fn known(path: &str) -> Option<&'static str> {
    let is_in = |folder: &str| match folder.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/')),
    };
    KNOWN
        .iter()
        .find(|(_, folder)| is_in(folder))
        .map(|(name, _)| *name)
}
