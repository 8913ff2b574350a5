//! Variables in the values of compose files: `$NAME`, `${NAME:-default}` and their like. Unaware of YAML.

use crate::error::Worded;

/// Defaults in defaults.
const DEEPEST: usize = 20;

/// A text with the values of variables; `unset` hears of those that have none.
///
/// # Errors
/// A variable is required and not set, or what stands in braces is no variable.
pub fn interpolated(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
) -> Worded<String> {
    replaced(text, lookup, unset, 0)
}

fn replaced(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
    depth: usize,
) -> Worded<String> {
    let (mut made, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match variable(rest) {
            _ if rest.starts_with('$') => {
                made.push('$');
                rest = &rest[1..];
            }
            Some((variable, after)) if depth < DEEPEST => {
                made.push_str(&variable.value(lookup, unset, depth)?);
                rest = after;
            }
            _ if rest.starts_with('{') => return Err(no_variable(rest)),
            _ => made.push('$'),
        }
    }
    Ok(made + rest)
}

fn no_variable(text: &str) -> String {
    format!("${text} is no variable: a dollar sign alone is written $$")
}

/// `NAME:-rest`
struct Variable<'t> {
    name: &'t str,
    operator: &'t str,
    rest: &'t str,
}

/// A variable at the beginning of a text, and what follows it.
fn variable(text: &str) -> Option<(Variable<'_>, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return in_braces(braced);
    }
    let (name, after) = name(text)?;
    let (operator, rest) = ("", "");
    let variable = Variable {
        name,
        operator,
        rest,
    };
    Some((variable, after))
}

fn in_braces(text: &str) -> Option<(Variable<'_>, &str)> {
    let (name, behind) = name(text)?;
    let mut operators = [":-", ":?", ":+", "-", "?", "+", ""].into_iter();
    let operator = operators.find(|operator| behind.starts_with(operator))?;
    let behind = &behind[operator.len()..];
    let (rest, after) = behind.split_at(end(behind)?);
    let variable = Variable {
        name,
        operator,
        rest,
    };
    let is_known = !operator.is_empty() || rest.is_empty();
    is_known.then_some((variable, &after[1..]))
}

fn name(text: &str) -> Option<(&str, &str)> {
    let is_part = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
    let end = text.find(|ch| !is_part(ch)).unwrap_or(text.len());
    let first = text.chars().next()?;
    (end > 0 && !first.is_ascii_digit()).then(|| text.split_at(end))
}

/// Where the brace is that closes.
fn end(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

impl Variable<'_> {
    fn value(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
        unset: &mut dyn FnMut(&str),
        depth: usize,
    ) -> Worded<String> {
        let found = lookup(self.name);
        let counts = found
            .clone()
            .filter(|value| !self.operator.starts_with(':') || !value.is_empty());
        let name = self.name;
        let mut rest = || replaced(self.rest, lookup, unset, depth + 1);
        match (self.operator.trim_start_matches(':'), counts) {
            ("-", None) | ("+", Some(_)) => rest(),
            ("+", None) => Ok(String::new()),
            ("?", None) => Err(format!("the variable {name} is required: {}", rest()?)),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                unset(name);
                Ok(String::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_all_forms() {
        let lookup = |name: &str| match name {
            "V" => Some("v".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$V ${V} $$V", "v v $V"),
            ("${U-d} ${U:-d} ${E-d} ${E:-d} ${V:-d}", "d d  d v"),
            ("${V+a} ${E+a} ${E:+a} ${U+a}", "a a  "),
            ("${V?e} ${U:-${V}} ${U:-a}b}", "v v ab}"),
            ("$ $1bad a$", "$ $1bad a$"),
            ("$U.", "."),
        ] {
            assert_eq!(
                interpolated(text, &lookup, &mut |_| {}).unwrap(),
                expected,
                "{text}"
            );
        }
        let required = interpolated("${U:?say it}", &lookup, &mut |_| {});
        assert_eq!(required.unwrap_err(), "the variable U is required: say it");
    }
}
