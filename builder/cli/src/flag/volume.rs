//! `--volume`: folders of this machine in every RUN, as in buildah. What is in them is part of no layer and of no key, so a step whose
//! volume has changed stays cached. Unaware of mounts.

use super::Flag;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{Request, Volume, VolumeAccess};
use std::path::PathBuf;

/// What to do instead of giving a volume a name.
const NO_NAMES: &str =
    "write a folder as /PATH or ./PATH; in builds, RUN --mount=type=cache keeps files";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Folder or file of this machine that every RUN sees: read-write, read-only with :ro, or with :O writable without
    /// keeping changes; its content does not affect the cache (may be repeated)
    #[arg(short, long, value_name = "HOST:TARGET[:ro|:O]", add = Takes::StrictList)]
    volume: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.volume {
            let volume = parse(text).map_err(|(why, hint)| {
                let failure = Failure::usage(format!("--volume {text}: {why}"));
                match hint {
                    "" => failure,
                    hint => failure.hint(hint),
                }
            })?;
            if let Some(label) = relabelling(text) {
                let why = "kiln changes no SELinux labels";
                let notice = format!("--volume {text}: {label} has no effect: {why}");
                request.notices.push(notice);
            }
            request
                .run
                .volumes
                .retain(|other| other.target != volume.target);
            request.run.volumes.push(volume);
        }
        Ok(())
    }
}

/// `z` or `Z` among the options.
fn relabelling(text: &str) -> Option<&str> {
    let words = text.splitn(3, ':').nth(2)?;
    words.split(',').find(|word| matches!(*word, "z" | "Z"))
}

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

fn parse(text: &str) -> Result<Volume, Wrong> {
    let wrong = |why: String| (why, "");
    let (host, target, words) = match text.split(':').collect::<Vec<_>>()[..] {
        [host, target] => (host, target, ""),
        [host, target, words] => (host, target, words),
        _ => return Err(wrong("expected HOST:TARGET[:OPTIONS]".to_owned())),
    };
    if !host.starts_with(['/', '.']) {
        return Err((
            format!("{host:?} is not a path, and kiln has no named volumes"),
            NO_NAMES,
        ));
    }
    let source = source(host).map_err(wrong)?;
    let target = place(target).map_err(wrong)?;
    let access = access(words)?;
    if access == VolumeAccess::Dropped && !source.is_dir() {
        return Err(wrong(format!(
            "{host} is not a folder, so the option O does not work"
        )));
    }
    Ok(Volume {
        source,
        target,
        access,
    })
}

/// A folder or file of this machine, without links.
pub fn source(host: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(host).map_err(|error| format!("{host}: {error}"))
}

/// Where something can be mounted.
pub fn place(target: &str) -> Result<String, String> {
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    if !target.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        return Err(format!(
            "{target:?} is not an absolute path below / without .."
        ));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The last word that says something of writing counts.
fn access(words: &str) -> Result<VolumeAccess, Wrong> {
    let mut access = VolumeAccess::Kept;
    for word in words.split(',').filter(|word| !word.is_empty()) {
        access = match word {
            "rw" => VolumeAccess::Kept,
            "ro" => VolumeAccess::ReadOnly,
            "O" => VolumeAccess::Dropped,
            "z" | "Z" | "private" | "rprivate" | "nosuid" | "nodev" | "rbind" => access,
            _ => return Err(refused(word)),
        };
    }
    Ok(access)
}

fn refused(word: &str) -> Wrong {
    match word {
        "U" => (
            "kiln does not change the owner of files on this machine".to_owned(),
            "use chown before, or inside",
        ),
        "shared" | "rshared" | "slave" | "rslave" => {
            (format!("{word}: mounts are always private"), "")
        }
        _ => (
            format!("unknown option {word:?}"),
            "the options are ro, rw and O",
        ),
    }
}
