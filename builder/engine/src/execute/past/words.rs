//! What differs between two texts, word by word, on one short line: `RUN … make [-all-]{+install+} …`. Unaware of what the texts are.

use super::align::common;

/// Words before and after a difference that are shown.
const AROUND: usize = 2;
/// Characters of what differs in one place.
const LONGEST: usize = 120;
/// Characters of the whole.
const MOST: usize = 400;

/// The differences, as git marks words.
pub fn words(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (
        old.split_whitespace().collect(),
        new.split_whitespace().collect(),
    );
    let mut pairs = common(&old, &new, |old, new| old == new);
    pairs.push((old.len(), new.len()));
    let (mut shown, mut from, mut same) = (Vec::new(), (0, 0), Vec::new());
    for (before, now) in pairs {
        let (gone, come) = (&old[from.0..before], &new[from.1..now]);
        if !gone.is_empty() || !come.is_empty() {
            shown.extend(between(&same, shown.is_empty()));
            same.clear();
            shown.push(marked(gone, "[-", "-]") + &marked(come, "{+", "+}"));
        }
        same.extend(new.get(now));
        from = (before + 1, now + 1);
    }
    let after = same.len().min(AROUND);
    shown.extend(same[..after].iter().map(|word| (*word).to_owned()));
    shown.extend((same.len() > after).then(|| "…".to_owned()));
    cut(&shown.join(" "), MOST)
}

/// What is shown of equal words before a difference: of those at the beginning the first one too, which is the instruction.
fn between(same: &[&str], is_first: bool) -> Vec<String> {
    let ends = if is_first { 1 } else { AROUND };
    let texts = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    if same.len() <= ends + AROUND {
        return texts(same);
    }
    let mut shown = texts(&same[..ends]);
    shown.push("…".to_owned());
    shown.extend(texts(&same[same.len() - AROUND..]));
    shown
}

fn marked(words: &[&str], open: &str, close: &str) -> String {
    match words {
        [] => String::new(),
        words => format!("{open}{}{close}", cut(&words.join(" "), LONGEST)),
    }
}

/// The beginning of a text that is too long.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_marked_with_some_words_around_it() {
        let cases = [
            ("RUN exit 3", "RUN exit 0", "RUN exit [-3-]{+0+}"),
            ("RUN a", "RUN a b", "RUN a {+b+}"),
            (
                "RUN a b c d e f g h",
                "RUN a b c X e f g h",
                "RUN … b c [-d-]{+X+} e f …",
            ),
            (
                "RUN a b c d e f g h i",
                "RUN A b c d e f g h",
                "RUN [-a-]{+A+} b c … g h [-i-]",
            ),
            ("a", "b", "[-a-]{+b+}"),
        ];
        for (old, new, told) in cases {
            assert_eq!(words(old, new), told);
        }
        let long = words("RUN", &format!("RUN {}", "x".repeat(1000)));
        assert_eq!(long.chars().count(), "RUN {++}".len() + LONGEST + 1);
    }
}
