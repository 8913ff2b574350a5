//! "Did you mean": the nearest of some names, by edit distance. Unaware of what the names are for.

/// Longer words are near nothing, which keeps hostile input cheap.
const MAX_LENGTH: usize = 64;

/// The greatest distance that counts as near: as in BuildKit.
const FURTHEST: usize = 2;

/// Advice with the nearest candidate.
pub fn help<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean {near}?"))
}

/// The nearest candidate, the first one of equals. None if the word itself is a candidate: then something else is wrong with it.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > MAX_LENGTH {
        return None;
    }
    let near = candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= FURTHEST);
    // of equals, letters in another order go before other letters
    near.min_by_key(|&(distance, near)| (distance, sorted(near) != sorted(word)))
        .filter(|&(distance, _)| distance > 0)
        .map(|(_, candidate)| candidate)
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let names = ["ENV", "RUN", "ARG", "ENTRYPOINT"];
        assert_eq!(nearest("RNU", names), Some("RUN"));
        assert_eq!(nearest("RUN", names), None);
        assert_eq!(nearest("RUM", names), Some("RUN"));
        assert_eq!(nearest("ENTRIPOINT", names), Some("ENTRYPOINT"));
        assert_eq!(nearest("ENTRIPONTE", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
