//! Which stages of a Dockerfile make the image, and which part of an image's history is theirs. Unaware of what their instructions do.

use crate::image::Image;
use kiln_parser::{Dockerfile, StageAst};

/// The number of a stage, by its name or number; that of the last if none is named.
#[must_use]
pub fn target(dockerfile: &Dockerfile, named: Option<&str>) -> usize {
    let stages = &dockerfile.stages;
    let last = stages.len().saturating_sub(1);
    let Some(named) = named else {
        return last;
    };
    let is_named = |stage: &StageAst| {
        let name = stage.from.name.as_deref();
        name.is_some_and(|name| name.eq_ignore_ascii_case(named))
    };
    let found = stages.iter().rposition(is_named);
    found.or_else(|| named.parse().ok()).unwrap_or(last)
}

/// A stage after those that it continues, the first one first.
#[must_use]
pub fn continued(dockerfile: &Dockerfile, target: usize) -> Vec<usize> {
    let mut stages = vec![target];
    while let Some(parent) = stages.last().and_then(|stage| parent(dockerfile, *stage)) {
        stages.push(parent);
    }
    stages.reverse();
    stages
}

fn parent(dockerfile: &Dockerfile, stage: usize) -> Option<usize> {
    let all = &dockerfile.stages;
    let image = all.get(stage)?.from.image.text.to_lowercase();
    let is_named = |candidate: &usize| all[*candidate].from.name.as_deref() == Some(&image);
    (0..stage).rev().find(is_named)
}

/// Where in the history of the image that a stage makes its own instructions begin: each makes one entry, and all are at the end.
#[must_use]
pub fn first_own(dockerfile: &Dockerfile, target: usize, image: &Image) -> usize {
    let stages = continued(dockerfile, target).into_iter();
    let statements = stages.filter_map(|stage| dockerfile.stages.get(stage));
    let count: usize = statements.map(|stage| stage.statements.len()).sum();
    image.config.history.len().saturating_sub(count)
}

/// How many layers of an image the entries of its history before this one made, with those that no entry accounts for.
#[must_use]
pub fn layers_before(image: &Image, entry: usize) -> usize {
    let is_before = |position: Option<usize>| position.is_none_or(|position| position < entry);
    let made = entries(image).filter(|(position, layer)| is_before(*position) && layer.is_some());
    made.count()
}

/// How many entries of an image's history, from its beginning, made its lowest layers.
#[must_use]
pub fn entries_of(image: &Image, layers: usize) -> usize {
    let of = entries(image).filter(|(_, layer)| layer.is_some_and(|layer| layer < layers));
    let last = of.last().and_then(|(position, _)| position);
    last.map_or(0, |position| position + 1)
}

/// Each step with the position of its entry, if it has one, and that of its layer.
fn entries(image: &Image) -> impl Iterator<Item = (Option<usize>, Option<usize>)> {
    let unaccounted = image.steps().filter(|(entry, _)| entry.is_none()).count();
    let steps = image.steps().enumerate();
    steps.map(move |(at, (_, layer))| (at.checked_sub(unaccounted), layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_continues_the_one_that_its_from_names() {
        let text = "FROM x AS a\nFROM A AS b\nRUN b\nFROM y AS a\nFROM b\n";
        let dockerfile = kiln_parser::parse(text).dockerfile;
        assert_eq!(continued(&dockerfile, 3), [0, 1, 3]);
        assert_eq!(continued(&dockerfile, 2), [2]);
        let targets = [None, Some("B"), Some("a"), Some("1")];
        assert_eq!(targets.map(|name| target(&dockerfile, name)), [3, 1, 2, 1]);
    }
}
