//! A final stage on the platform of the machine that builds: the image then runs there, and not on the platform that was asked for.

use super::Finding;
use super::subject::Subject;

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let found = subject.source.and_then(|source| {
        let first = source.stages().into_iter().next()?;
        let stage = source.dockerfile.stages.get(first)?;
        let platform = stage.from.platform.as_ref()?;
        let starts = ["$BUILDPLATFORM", "${BUILDPLATFORM"];
        let is_own = starts.iter().any(|start| platform.text.starts_with(start));
        let line = source.dockerfile.lines.get(stage.line)?.first;
        is_own.then(|| Finding {
            line: Some(line),
            what: format!(
                "the final image is based on --platform={}: it is for the machine that builds it",
                platform.text
            ),
            advice: "leave the flag out in stages that become the image; keep it in those that only build".to_owned(),
            ..Finding::default()
        })
    });
    found.into_iter().collect()
}
