//! `--volume`: folders of this machine in every RUN, as in buildah. What is in them is part of no layer and of no key, so a step whose
//! volume has changed stays cached. Unaware of mounts.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::{Request, Volume as Mounted, VolumeAccess};

#[derive(Debug, clap::Args)]
pub struct Volume {
    /// Folder or file of this machine that every RUN sees, read-write, or with :ro read-only, or with :O writable with changes that are
    /// dropped; its content decides nothing about the cache (may be repeated)
    #[arg(short, long, value_name = "HOST:TARGET[:ro|:O]")]
    volume: Vec<String>,
}

impl Flag for Volume {
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
                let why = "RUN keeps the SELinux label of whoever builds";
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

fn parse(text: &str) -> Result<Mounted, Wrong> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, target, words) = match parts[..] {
        [host, target] => (host, target, ""),
        [host, target, words] => (host, target, words),
        _ => return Err(("expected HOST:TARGET[:OPTIONS]".to_owned(), "")),
    };
    if !host.starts_with(['/', '.']) {
        let hint = "a folder begins with / or ./; what RUN should keep between builds belongs into RUN --mount=type=cache";
        return Err((
            format!("{host:?} is no path, and kiln has no named volumes"),
            hint,
        ));
    }
    let source = std::fs::canonicalize(host).map_err(|error| (format!("{host}: {error}"), ""))?;
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    if !target.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        let why = format!("{target:?} is no absolute path below / without ..");
        return Err((why, ""));
    }
    let access = access(words)?;
    if access == VolumeAccess::Dropped && !source.is_dir() {
        return Err((
            format!("{host} is no folder, so it cannot have the option O"),
            "",
        ));
    }
    let target = format!("/{}", parts.join("/"));
    Ok(Mounted {
        source,
        target,
        access,
    })
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
            "U" => {
                let hint = "chown the folder before, or in the RUN";
                return Err((
                    "kiln does not change the owner of files outside".to_owned(),
                    hint,
                ));
            }
            "shared" | "rshared" | "slave" | "rslave" => {
                return Err((format!("{word}: mounts of RUN are private"), ""));
            }
            _ => {
                return Err((
                    format!("{word:?} is no option of a volume"),
                    "options are ro, rw and O",
                ));
            }
        };
    }
    Ok(access)
}
