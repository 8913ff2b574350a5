//! How long functions are, from the line with `fn` to the closing brace with all comments, and how wide structs are.

use super::{files, is_build_script, is_test, until_tests};

/// Lines that a function may have.
const LONGEST_FUNCTION: usize = 60;
/// A function above this is long, and only so many may be.
const LONG_FUNCTION: usize = 25;
const LONG_FUNCTIONS: usize = 200;
/// Public fields that a struct may have.
const WIDEST_STRUCT: usize = 20;

/// The name in a line that begins a function.
fn function(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(public) = rest.strip_prefix("pub") {
        rest = match public.strip_prefix('(') {
            Some(scope) => scope.split_once(") ")?.1,
            None => public.strip_prefix(' ')?,
        };
    }
    for word in ["const ", "async ", "unsafe ", "extern \"C\" "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The lines of the function that begins with the first of these; none where it has no body.
fn length(lines: &[&str]) -> Option<usize> {
    let first = lines[0];
    if first.ends_with('}') {
        return Some(1);
    }
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut has_body = false;
    for (number, line) in lines.iter().enumerate() {
        has_body |= line.ends_with('{');
        if !has_body && line.ends_with(';') {
            return None;
        }
        if line
            .strip_prefix(indent)
            .is_some_and(|rest| rest.starts_with('}'))
        {
            return Some(number + 1);
        }
    }
    None
}

/// All files that are in the binary.
fn built() -> impl Iterator<Item = (String, String)> {
    let all = files().into_iter();
    all.filter(|(name, _)| !is_test(name) && !is_build_script(name))
}

#[test]
fn functions_are_short() {
    let (mut too_long, mut long) = (Vec::new(), Vec::new());
    for (name, text) in built() {
        let lines: Vec<&str> = until_tests(&text).collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(function) = function(line) else {
                continue;
            };
            let length = length(&lines[number..]).unwrap_or(0);
            let place = format!("{length} {name}:{} {function}", number + 1);
            match length {
                length if length > LONGEST_FUNCTION => too_long.push(place),
                length if length > LONG_FUNCTION => long.push(place),
                _ => {}
            }
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
    let count = long.len();
    assert!(count <= LONG_FUNCTIONS, "{count}:\n{}", long.join("\n"));
}

#[test]
fn structs_are_narrow() {
    let mut wide = Vec::new();
    for (name, text) in built() {
        let mut of_struct = None;
        for line in until_tests(&text) {
            if line.starts_with("pub struct ") && line.ends_with('{') {
                of_struct = Some((line, 0));
            }
            if let Some((_, fields)) = &mut of_struct {
                *fields += usize::from(line.starts_with("    pub"));
            }
            if line.starts_with('}')
                && let Some((this, fields)) = of_struct.take()
                && fields > WIDEST_STRUCT
            {
                wide.push(format!("{name}: {fields} public fields: {this}"));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}
