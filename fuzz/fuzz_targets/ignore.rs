//! A .dockerignore and a path: the walk and the question about the path agree, and nothing is pruned that some pattern brings
//! back. Lines before the first empty one are patterns, those after it paths.
#![no_main]

use kiln_parser::ignore::{IgnoreFile, Matcher};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (patterns, paths) = input.split_once("\n\n").unwrap_or((input, "a\na/b/c"));
    let file = IgnoreFile::parse(patterns);
    assert_eq!(file.patterns.len(), file.lines.len());
    let Ok(matcher) = Matcher::new(&file.patterns) else {
        return;
    };
    for path in paths.lines().take(20) {
        let Ok(ignored) = matcher.ignored(path) else {
            continue;
        };
        let mut state = matcher.root();
        for (at, _) in path.match_indices('/') {
            let Ok(entered) = matcher.enter(&state, &path[..at]) else {
                return;
            };
            state = entered;
            assert!(
                !matcher.can_prune(&path[..at], &state) || ignored,
                "{path:?} is pruned"
            );
        }
        assert_eq!(matcher.ignored_in(&state, path), Ok(ignored));
    }
});
