//! Rules of the matcher; agreement with a slow reference; pruning never loses a path.

use proptest::prelude::*;

use super::*;

fn ignored(patterns: &[&str], path: &str) -> bool {
    Matcher::new(patterns).unwrap().ignored(path).unwrap()
}

#[test]
fn the_file_is_cleaned() {
    let file = IgnoreFile::parse("\u{feff}# c\n /a/../b/ \r\n\n! /x//y\n#z\n !\n/");
    assert_eq!(file.patterns, ["b", "!x/y", "!", "/"]);
    assert_eq!(file.lines, [2, 4, 6, 7]);
    assert_eq!(
        Matcher::new(&file.patterns).unwrap_err(),
        IgnoreError::LoneExclamation
    );
}

#[test]
fn patterns_are_anchored_and_cover_what_is_below() {
    assert!(ignored(&["foo"], "foo") && ignored(&["foo"], "foo/a/b"));
    assert!(!ignored(&["foo"], "a/foo") && !ignored(&["*.md"], "docs/a.md"));
    assert!(ignored(&["**/foo"], "a/b/foo/c") && ignored(&["**/foo"], "foo"));
    assert!(ignored(&["a/**/b"], "a/b") && ignored(&["a/**/b"], "a/x/y/b"));
    assert!(!ignored(&["a/**"], "a") && ignored(&["a/**"], "a/b"));
}

#[test]
fn oddities_of_the_reference() {
    assert!(ignored(&["**file"], "dir/xfile"), "a suffix is a suffix");
    assert!(ignored(&["a**/*.txt"], "a/d/f.txt"));
    assert!(!ignored(&["{a,b}"], "a"), "no braces");
    assert!(!ignored(&["[!a]"], "b") && ignored(&["[^a]"], "b"));
    assert!(ignored(&["a?b"], "a☺b"));
}

#[test]
fn the_last_match_decides() {
    assert!(!ignored(&["*", "!src"], "src/main.rs"));
    assert!(ignored(&["*", "!src", "src/*.o"], "src/a.o"));
    assert!(ignored(&["!src", "*"], "src"));
    assert!(!ignored(&["a", "!a/b/c"], "a/b/c") && ignored(&["a", "!a/b/c"], "a/b/d"));
}

#[test]
fn broken_patterns() {
    assert!(matches!(Matcher::new(["a["]), Err(IgnoreError::Pattern(_))));
    // Go finds this one only when it compiles it, that is when it is used.
    let matcher = Matcher::new(["b", "!\\q"]).unwrap();
    assert_eq!(matcher.ignored("a"), Ok(false));
    assert!(matcher.ignored("b").is_err());
}

#[test]
fn directories_are_pruned_if_nothing_can_come_back() {
    let prune = |patterns: &[&str], directory: &str| {
        let matcher = Matcher::new(patterns).unwrap();
        let state = matcher.enter(&matcher.root(), directory).unwrap();
        matcher.can_prune(directory, &state)
    };
    assert!(prune(&["a"], "a") && !prune(&["a"], "b"));
    assert!(!prune(&["a", "!a/b"], "a") && prune(&["a", "!b"], "a"));
    assert!(!prune(&["*", "!**/x"], "a") && prune(&["!**/x", "*"], "a"));
    // The last pattern is not tried on `a`, which is ignored already, so it covers nothing below.
    assert!(!prune(&["*", "!a/b", "a"], "a"));
}

/// One pattern against one path, by trying everything.
fn slow_match(pattern: &str, path: &str) -> bool {
    let special = |text: &str| text.contains(['*', '?']);
    if let Some(rest) = pattern.strip_prefix("**")
        && !special(rest)
    {
        return path.ends_with(rest) || rest.strip_prefix('/') == Some(path);
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    slow_chars(&chars(pattern), &chars(path))
}

fn slow_chars(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            if rest.is_empty() {
                return true;
            }
            let after_slash = (1..=path.len()).filter(|&at| path[at - 1] == '/');
            slow_chars(rest, path)
                || after_slash
                    .into_iter()
                    .any(|at| slow_chars(rest, &path[at..]))
        }
        ['*', rest @ ..] => {
            let end = path.iter().position(|&ch| ch == '/').unwrap_or(path.len());
            (0..=end).any(|at| slow_chars(rest, &path[at..]))
        }
        ['?', rest @ ..] => {
            path.first().is_some_and(|&ch| ch != '/') && slow_chars(rest, &path[1..])
        }
        [ch, rest @ ..] => path.first() == Some(ch) && slow_chars(rest, &path[1..]),
    }
}

/// The walk: each directory on the way, then the path.
fn slow_ignored(patterns: &[String], path: &str) -> bool {
    let mut carried = vec![false; patterns.len()];
    let mut result = false;
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        let mut now = false;
        for (number, pattern) in patterns.iter().enumerate() {
            let (exclusion, body) = match pattern.strip_prefix('!') {
                Some(body) => (true, body),
                None => (false, pattern.as_str()),
            };
            if !carried[number] && exclusion == now {
                carried[number] = slow_match(body, &path[..end]);
            }
            if carried[number] {
                now = !exclusion;
            }
        }
        result = now;
    }
    result
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let component = "[ab]|a\\?|\\?b|\\*|\\*a|b\\*|\\*\\*|\\*\\*a|a\\*\\*|ab";
    let pattern =
        (any::<bool>(), prop::collection::vec(component, 1..4)).prop_map(|(exclusion, parts)| {
            format!("{}{}", if exclusion { "!" } else { "" }, parts.join("/"))
        });
    let usable = |pattern: &String| !pattern.trim_start_matches('!').is_empty();
    prop::collection::vec(pattern.prop_filter("empty", usable), 0..5)
}

fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{1,2}", 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn agrees_with_the_slow_reference(patterns in patterns(), path in paths()) {
        // Components may be empty or leave doubled stars side by side: clean as the reader does.
        let patterns: Vec<String> = patterns.iter().map(|pattern| clean(pattern)).collect();
        let matcher = Matcher::new(&patterns).unwrap();
        prop_assert_eq!(matcher.ignored(&path), Ok(slow_ignored(&patterns, &path)));
    }

    #[test]
    fn what_is_pruned_is_ignored(patterns in patterns(), directory in paths(), rest in paths()) {
        let matcher = Matcher::new(&patterns).unwrap();
        let mut state = matcher.root();
        for end in directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]) {
            state = matcher.enter(&state, &directory[..end]).unwrap();
        }
        if matcher.can_prune(&directory, &state) {
            let below = format!("{directory}/{rest}");
            prop_assert!(matcher.ignored(&below).unwrap());
        }
    }

    #[test]
    fn nothing_panics(file in r"([!#/a\[\]\\^*?.\n -]|\*\*/){0,24}", path in "[a/.\\]-]{0,8}") {
        let file = IgnoreFile::parse(&file);
        if let Ok(matcher) = Matcher::new(&file.patterns) {
            let _ = matcher.ignored(&path);
        }
    }
}
