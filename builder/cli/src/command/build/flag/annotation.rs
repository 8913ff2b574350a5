//! `--annotation`, `--squash` and `--squash-all`: what the manifest says, and how many layers it has.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::{Annotation as Parsed, Level, Request, Squash};
use kiln_oci::Platform;

#[derive(Debug, clap::Args)]
pub struct Annotation {
    /// Annotation of the manifest, or of manifest-descriptor:, index: or manifest[PLATFORM]: (may be repeated)
    #[arg(long, value_name = "[LEVEL:]NAME=VALUE")]
    annotation: Vec<String>,
    /// Make one layer of all that the build adds to its base
    #[arg(long)]
    squash: bool,
    /// Make one layer of all that the image has, its base too
    #[arg(long)]
    squash_all: bool,
}

impl Flag for Annotation {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.form.squash = match (self.squash_all, self.squash) {
            (true, _) => Squash::All,
            (false, true) => Squash::Added,
            (false, false) => Squash::Nothing,
        };
        for text in &self.annotation {
            let wrong = |why: String| Failure::usage(format!("--annotation {text}: {why}"));
            for annotation in parse(text).map_err(wrong)? {
                if annotation.level != Level::Manifest && !request.language.makes_index() {
                    let why = "there is no index: give several platforms, or --build-arg BUILDKIT_MULTI_PLATFORM=1";
                    return Err(wrong(why.to_owned()));
                }
                request.form.annotations.push(annotation);
            }
        }
        Ok(())
    }
}

/// `manifest,index:name=value`; a name may hold colons, levels do not.
fn parse(text: &str) -> Result<Vec<Parsed>, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let (levels, key) = match name.split_once(':') {
        Some((levels, key)) if levels.split(',').all(|level| level_of(level).is_ok()) => {
            (levels, key)
        }
        Some((levels, _)) if levels.starts_with("index-descriptor") => {
            return Err("an index has no descriptor where kiln keeps it".to_owned());
        }
        _ => ("manifest", name),
    };
    if key.is_empty() {
        return Err("expected NAME=VALUE".to_owned());
    }
    let parsed = levels.split(',').map(|level| {
        let (level, platform) = level_of(level)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        Ok(Parsed {
            level,
            platform,
            key,
            value,
        })
    });
    parsed.collect()
}

fn level_of(text: &str) -> Result<(Level, Option<Platform>), String> {
    let (name, platform) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, platform)) => (
            name,
            Some(Platform::parse(platform).map_err(|error| error.to_string())?),
        ),
        None => (text, None),
    };
    let level = match name {
        "manifest" => Level::Manifest,
        "manifest-descriptor" => Level::ManifestDescriptor,
        "index" if platform.is_none() => Level::Index,
        _ => return Err(format!("{name} is no level")),
    };
    Ok((level, platform))
}
