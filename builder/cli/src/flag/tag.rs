//! `--tag`: the names of the image, and archives in the way that buildah names them. Unaware of what the store does with names.

use super::{Flag, output};
use crate::catalog;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;

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
#[group(skip)]
pub struct Flags {
    /// Name for the image, as name:tag; or an archive to write, as oci-archive:FILE[:NAME] or
    /// docker-archive:FILE[:NAME] (may be repeated)
    #[arg(short, long, value_name = "NAME", add = Takes::StrictList)]
    tag: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for tag in &self.tag {
            let archive = |(word, kind): &(_, &'static str)| Some((tag.strip_prefix(word)?, *kind));
            if let Some((place, kind)) = ARCHIVES.iter().find_map(archive) {
                let flag = format!("--tag {tag}");
                let pairs = attributes(place, kind);
                let pairs =
                    pairs.ok_or_else(|| Failure::usage(format!("{flag}: the file is missing")))?;
                output::add(request, &flag, pairs)?;
                continue;
            }
            if let Some((word, instead)) = ELSEWHERE.iter().find(|(word, _)| tag.starts_with(word))
            {
                let refused = format!("--tag {tag}: kiln does not write to {word}");
                return Err(Failure::usage(refused).hint(*instead));
            }
            let name = catalog::new_name(tag).map_err(|failure| failure.of_flag("--tag"))?;
            request.goal.tags.push(name);
        }
        Ok(())
    }
}

/// `FILE`, or `FILE:NAME`.
fn attributes(place: &str, kind: &str) -> Option<[(String, String); 3]> {
    let (file, name) = place.split_once(':').unwrap_or((place, ""));
    let pairs = [("type", kind), ("dest", file), ("name", name)];
    (!file.is_empty()).then(|| pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
}
