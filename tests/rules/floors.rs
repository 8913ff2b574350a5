//! Which file uses which, by the `use crate::` lines of the crates in `builder/`: no circles, and no arrow upwards between the
//! floors of the engine.

use super::{files, is_test, until_tests};
use std::collections::{BTreeMap, BTreeSet};

/// The engine's floors, lower first. A file uses its own floor and lower ones only.
const FLOORS: [&str; 13] = [
    "event", "failure", "host", "transfer", "session", "exchange", "request", "source", "plan",
    "execute", "image", "tryout", "build",
];

/// For each file of a crate, by its module path, those that it uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The crates of `builder/` by name.
fn crates() -> BTreeMap<String, Arrows> {
    let mut modules: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (name, text) in files().into_iter().filter(|(name, _)| !is_test(name)) {
        let Some((folder, file)) = name
            .strip_prefix("builder/")
            .and_then(|name| name.split_once("/src/"))
        else {
            continue;
        };
        let module = file.trim_end_matches(".rs").replace('/', "::");
        modules
            .entry(folder.to_owned())
            .or_default()
            .insert(module, text);
    }
    let arrows = |files: BTreeMap<String, String>| -> Arrows {
        let used = |module: &String, text: &str| {
            let used = used_paths(text).into_iter();
            let files = used.filter_map(|path| file_of(&files, &path));
            files.filter(|file| file != module).collect()
        };
        files
            .iter()
            .filter(|(module, _)| !matches!(module.as_str(), "lib" | "main"))
            .map(|(module, text)| (module.clone(), used(module, text)))
            .collect()
    };
    modules
        .into_iter()
        .map(|(name, files)| (name, arrows(files)))
        .collect()
}

/// The file that a path leads into: that of its longest beginning that is a module.
fn file_of(files: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let ends = path.rmatch_indices("::").map(|(at, _)| at);
    let mut beginnings = std::iter::once(path.len()).chain(ends);
    beginnings.find_map(|end| {
        files
            .get_key_value(&path[..end])
            .map(|(name, _)| name.clone())
    })
}

/// All paths that `use crate::…` lines name, without braces.
fn used_paths(text: &str) -> Vec<String> {
    let code: Vec<&str> = until_tests(text).collect();
    let code = code.join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use crate::") {
        let tree = code[at..].trim_start_matches("use crate::");
        let tree = tree.split(';').next().unwrap();
        expand("", &tree.replace(char::is_whitespace, " "), &mut paths);
    }
    paths
}

/// `a::{b, c::{d}}` gives `a::b` and `a::c::d`.
fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let (mut depth, mut start) = (0, 0);
    for (at, character) in tree.char_indices().chain([(tree.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = tree[start..at].trim();
                start = at + 1;
                match item.split_once('{') {
                    Some((more, inner)) => {
                        let inner = inner.strip_suffix('}').unwrap();
                        expand(&format!("{before}{more}"), inner, paths);
                    }
                    None => {
                        let name = item.split(" as ").next().unwrap();
                        paths.push(format!("{before}{}", name.trim_end_matches("::self")));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Everything that can be reached from a file, by way of others too.
fn reached<'a>(arrows: &'a Arrows, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut todo: Vec<&str> = vec![from];
    while let Some(file) = todo.pop() {
        let next = arrows.get(file).into_iter().flatten();
        todo.extend(
            next.map(String::as_str)
                .filter(|file| reached.insert(*file)),
        );
    }
    reached
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    for (name, arrows) in crates() {
        let reached: BTreeMap<_, _> = arrows
            .keys()
            .map(|file| (file.as_str(), reached(&arrows, file)))
            .collect();
        for (file, all) in &reached {
            let back = |other: &&&str| reached[**other].contains(file);
            let circle: Vec<_> = all.iter().filter(back).collect();
            assert!(circle.is_empty(), "{name}: a circle of {circle:?}");
        }
    }
}

#[test]
fn no_floor_of_the_engine_uses_a_higher_one() {
    let floor = |module: &str| {
        let name = module.split("::").next().unwrap();
        let found = FLOORS.iter().position(|floor| *floor == name);
        found.unwrap_or_else(|| panic!("{name} is on no floor: add it to the table"))
    };
    let mut upwards = Vec::new();
    for (file, used) in &crates()["engine"] {
        let higher = used.iter().filter(|used| floor(used) > floor(file));
        upwards.extend(higher.map(|used| format!("{file} uses {used}")));
    }
    assert!(upwards.is_empty(), "{}", upwards.join("\n"));
}
