//! `--tag`: the names of the image, and archives in the way that buildah names them. Unaware of what the store does with names.

use super::Flag;
use crate::catalog;
use crate::failure::Failure;
use kiln_engine::{Attributes, Request, exporter};
use std::sync::Arc;

/// Transports that are outputs: buildah's word, and the `type=`.
const ARCHIVES: [(&str, &str); 2] = [("oci-archive:", "oci"), ("docker-archive:", "docker")];
/// Others, and what to do instead.
const ELSEWHERE: [(&str, &str); 3] = [
    ("docker://", "to push it, give -t NAME and --push"),
    ("docker-daemon:", "pipe it: kiln save NAME | docker load"),
    (
        "containers-storage:",
        "pipe it: kiln save NAME | podman load",
    ),
];

#[derive(Debug, clap::Args)]
pub struct Tag {
    /// Name of the image, as name:tag, or oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME] (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
}

impl Flag for Tag {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for tag in &self.tag {
            let archive =
                |(word, kind): &(&str, &'static str)| Some((tag.strip_prefix(word)?, *kind));
            if let Some((place, kind)) = ARCHIVES.iter().find_map(archive) {
                let wrong = |error: String| Failure::usage(format!("--tag {tag}: {error}"));
                let made = exporter(attributes(place, kind).map_err(wrong)?);
                request
                    .goal
                    .outputs
                    .push(Arc::from(made.map_err(|error| wrong(error.to_string()))?));
                continue;
            }
            if let Some((word, instead)) = ELSEWHERE.iter().find(|(word, _)| tag.starts_with(word))
            {
                let refused = format!("--tag {tag}: kiln does not write to {word}");
                return Err(Failure::usage(refused).hint(*instead));
            }
            request.goal.tags.push(catalog::new_name(tag)?);
        }
        Ok(())
    }
}

/// `FILE`, or `FILE:NAME`.
fn attributes(place: &str, kind: &str) -> Result<Attributes, String> {
    let (file, name) = place.split_once(':').unwrap_or((place, ""));
    if file.is_empty() {
        return Err("the file is missing".to_owned());
    }
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let pairs = [pair("type", kind), pair("dest", file), pair("name", name)];
    Ok(Attributes::new(pairs))
}
