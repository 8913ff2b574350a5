//! The paths that a pattern of `COPY --parents` means: with `**` as in .dockerignore. Unaware of what is copied.

use super::{join, matching};
use crate::failure::CopyError;
use kiln_cache::Chain;
use kiln_parser::glob;

/// Paths below `pivot` that match the components; `**` stands for any number of directories, at the end for all that is inside.
pub(super) fn descend(
    chain: &Chain,
    pivot: &[u8],
    components: &[&str],
) -> Result<Vec<Vec<u8>>, CopyError> {
    let matches = Vec::new();
    let mut descent = Descent {
        chain,
        pivot,
        matches,
    };
    descent.any(b"", components)?;
    Ok(descent.matches)
}

struct Descent<'a> {
    chain: &'a Chain,
    pivot: &'a [u8],
    matches: Vec<Vec<u8>>,
}

impl Descent<'_> {
    /// Adds the matches at and below the path `at`.
    fn any(&mut self, at: &[u8], components: &[&str]) -> Result<(), CopyError> {
        let path = join(self.pivot, at);
        let Some((first, rest)) = components.split_first() else {
            let is_there = self.chain.resolve(&path, false)?.found.is_some();
            self.matches.extend(is_there.then(|| at.to_vec()));
            return Ok(());
        };
        if *first == "**" {
            return self.any_folder(at, components);
        }
        if first.contains("**") {
            return self.stars_inside(at, components);
        }
        if glob::has_wildcards(first) {
            let mut names = matching(self.chain, &path, first)?.into_iter();
            return names.try_for_each(|name| self.any(&join(at, &name), rest));
        }
        self.any(&join(at, first.as_bytes()), rest)
    }

    /// The same where the first component is `**`.
    fn any_folder(&mut self, at: &[u8], components: &[&str]) -> Result<(), CopyError> {
        let chain = self.chain;
        let children = chain.children(&chain.resolve(&join(self.pivot, at), false)?.path);
        let rest = components.get(1..).unwrap_or_default();
        if rest.is_empty() {
            let inside = children.iter().map(|(name, _)| join(at, name));
            self.matches.extend(inside);
            return Ok(());
        }
        self.any(at, rest)?;
        for (name, found) in children {
            if found.entry.is_directory() {
                self.any(&join(at, name), components)?;
            }
        }
        Ok(())
    }

    /// The same where `**` is a part of the first component.
    fn stars_inside(&mut self, at: &[u8], components: &[&str]) -> Result<(), CopyError> {
        stars_apart(components).iter().try_for_each(|components| {
            let components: Vec<&str> = components.iter().map(String::as_str).collect();
            self.any(at, &components)
        })
    }
}

/// What `a**b` stands for, as in .dockerignore: `ab`, or `a*/**/b`. A slash behind the stars belongs to them.
fn stars_apart(components: &[&str]) -> Vec<Vec<String>> {
    let (first, rest) = components.split_first().unwrap_or((&"", &[]));
    let (before, after) = first.split_once("**").unwrap_or((first, ""));
    let any = format!("{before}*");
    let (after, rest) = match (after, rest) {
        ("", []) => return vec![vec![any]],
        ("", [next, rest @ ..]) => (*next, rest),
        (after, rest) => (after, rest),
    };
    let rest = rest.iter().map(|component| (*component).to_owned());
    let near = std::iter::once(format!("{before}{after}")).chain(rest.clone());
    let far = [any, "**".to_owned(), after.to_owned()].into_iter();
    vec![near.collect(), far.chain(rest).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_inside_a_component_are_any_folders() {
        let apart = |pattern: &str| {
            let components: Vec<&str> = pattern.split('/').collect();
            let patterns = stars_apart(&components);
            patterns
                .iter()
                .map(|found| found.join("/"))
                .collect::<Vec<_>>()
        };
        assert_eq!(apart("**f"), ["f", "*/**/f"]);
        assert_eq!(apart("a**/f/g"), ["af/g", "a*/**/f/g"]);
        assert_eq!(apart("a**b/c"), ["ab/c", "a*/**/b/c"]);
        assert_eq!(apart("a**"), ["a*"]);
        assert_eq!(apart("a**/**"), ["a**", "a*/**/**"]);
    }
}
