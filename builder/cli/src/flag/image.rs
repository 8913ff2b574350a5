//! What the image says of itself, and how many layers it has: `--env`, `--label`, `--annotation`, the `--unset…` family, which takes back
//! what a base, the Dockerfile or another flag says (as in buildah), and `--squash`. Unaware of how an image is put together.

use super::{Flag, pairs};
use crate::environment;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{Annotation, Level, Request, Squash};
use kiln_oci::Platform;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Variable of the image and of every RUN, unless ENV overrides it; without =VALUE, it is taken from the
    /// environment (may be repeated)
    #[arg(long, value_name = "NAME[=VALUE]", add = Takes::StrictList)]
    env: Vec<String>,
    /// Label of the image (may be repeated)
    #[arg(long, value_name = "NAME[=VALUE]", add = Takes::StrictList)]
    label: Vec<String>,
    /// Annotation of the manifest, or of manifest-descriptor:, index: or manifest[PLATFORM]: (may be repeated)
    #[arg(long, value_name = "[LEVEL:]NAME=VALUE", add = Takes::List)]
    annotation: Vec<String>,
    /// Merge everything that the build adds to its base into one layer
    #[arg(long, add = Takes::Switch)]
    squash: bool,
    /// Merge the whole image, including its base, into one layer
    #[arg(long, add = Takes::Switch)]
    squash_all: bool,
    /// Say in a label of the image which line of which Dockerfile made each entry of its history
    #[arg(long, add = Takes::Switch)]
    origin_label: bool,
    /// Variable to leave out of the image; RUN still sees it (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = Takes::List)]
    unsetenv: Vec<String>,
    /// Label to leave out of the image (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = Takes::List)]
    unsetlabel: Vec<String>,
    /// Annotation to leave out of the image; annotations of a base are never inherited (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = Takes::List)]
    unsetannotation: Vec<String>,
    /// Whether stages inherit the labels of their base [default: true]
    #[arg(long, action = clap::ArgAction::SetFalse, add = Takes::Switch)]
    inherit_labels: bool,
    /// Write no history into the image
    #[arg(long, add = Takes::Switch)]
    omit_history: bool,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.language.env = pairs("--env", &self.env, environment::variable)?;
        request.language.labels = pairs("--label", &self.label, |_| Some(String::new()))?;
        self.annotations(request)?;
        self.leave_out(request)
    }
}

impl Flags {
    fn annotations(&self, request: &mut Request) -> Result<(), Failure> {
        request.form.squash = match (self.squash_all, self.squash) {
            (true, _) => Squash::All,
            (false, true) => Squash::Added,
            (false, false) => Squash::Nothing,
        };
        for text in &self.annotation {
            let wrong = |why: String| Failure::usage(format!("--annotation {text}: {why}"));
            for annotation in parse(text).map_err(wrong)? {
                if annotation.level != Level::Manifest && !request.form.makes_index() {
                    let why = "the result is not an index: give several platforms, or --build-arg BUILDKIT_MULTI_PLATFORM=1";
                    return Err(wrong(why.to_owned()));
                }
                request.form.annotations.push(annotation);
            }
        }
        Ok(())
    }

    /// Comes after the flags that set these.
    fn leave_out(&self, request: &mut Request) -> Result<(), Failure> {
        let is_wrong = |name: &&String| name.is_empty() || name.contains('=');
        let given = [
            ("--unsetenv", &self.unsetenv),
            ("--unsetlabel", &self.unsetlabel),
            ("--unsetannotation", &self.unsetannotation),
        ];
        for (flag, names) in given {
            if let Some(wrong) = names.iter().find(is_wrong) {
                return Err(Failure::usage(format!("{flag} {wrong}: expected a name")));
            }
        }
        request.language.unset_env = self.unsetenv.iter().cloned().collect();
        request.language.unset_labels = self.unsetlabel.iter().cloned().collect();
        request.language.inherit_labels = self.inherit_labels;
        request.form.omit_history = self.omit_history;
        request.form.origin_label = self.origin_label;
        let is_left =
            |level, key: &String| level != Level::Manifest || !self.unsetannotation.contains(key);
        request
            .form
            .annotations
            .retain(|annotation| is_left(annotation.level, &annotation.key));
        Ok(())
    }
}

/// `manifest,index:name=value`; a name may hold colons, levels do not.
fn parse(text: &str) -> Result<Vec<Annotation>, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let (levels, key) = match name.split_once(':') {
        Some((levels, key)) if levels.split(',').all(|level| level_of(level).is_ok()) => {
            (levels, key)
        }
        Some((levels, _)) if levels.starts_with("index-descriptor") => {
            return Err("kiln does not store descriptors of indexes".to_owned());
        }
        _ => ("manifest", name),
    };
    if key.is_empty() {
        return Err("expected NAME=VALUE".to_owned());
    }
    let parsed = levels.split(',').map(|level| {
        let (level, platform) = level_of(level)?;
        Ok(Annotation {
            level,
            platform,
            key: key.to_owned(),
            value: value.to_owned(),
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
        _ => return Err(format!("{name} is not a level")),
    };
    Ok((level, platform))
}
