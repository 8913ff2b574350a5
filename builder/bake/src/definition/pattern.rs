//! Patterns for names of targets, as Go's `path.Match` has them. Unaware of targets.

/// Whether a name fits a pattern: `*`, `?`, `[a-c]`, `[^a]`, and a backslash that takes the next character as it is.
pub fn matches(pattern: &str, name: &str) -> bool {
    let [pattern, name] = [pattern, name].map(|text| text.chars().collect::<Vec<char>>());
    // where the last star was, and how much of the name it has taken
    let (mut at, mut taken, mut star) = (0, 0, None);
    while taken < name.len() {
        match one(&pattern[at..], name[taken]) {
            Some(length) => {
                at += length;
                taken += 1;
            }
            None if pattern.get(at) == Some(&'*') => {
                star = Some((at, taken));
                at += 1;
            }
            None => match star {
                None => return false,
                Some((of_star, had)) => {
                    star = Some((of_star, had + 1));
                    (at, taken) = (of_star + 1, had + 1);
                }
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// How much of a pattern stands for one character, if it is this one.
fn one(pattern: &[char], ch: char) -> Option<usize> {
    match pattern {
        ['*', ..] | [] => None,
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == ch).then_some(2),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|part| *part == ']')? + 1;
            let (negates, set) = match &rest[..end] {
                ['^', set @ ..] => (true, set),
                set => (false, set),
            };
            (in_set(set, ch) != negates).then_some(end + 2)
        }
        [same, ..] => (*same == ch).then_some(1),
    }
}

fn in_set(mut set: &[char], ch: char) -> bool {
    while let Some(first) = set.first() {
        match set {
            [low, '-', high, rest @ ..] => {
                if (*low..=*high).contains(&ch) {
                    return true;
                }
                set = rest;
            }
            [_, rest @ ..] => {
                if *first == ch {
                    return true;
                }
                set = rest;
            }
            [] => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, expected) in [
            ("*", "app", true),
            ("a*p", "aaap", true),
            ("a?p", "app", true),
            ("a?p", "ap", false),
            ("[a-c]pp", "app", true),
            ("[^a]pp", "app", false),
            ("*-x", "m-x", true),
            ("*-x", "m-y", false),
            ("", "", true),
            ("app", "apps", false),
            ("[", "[", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
