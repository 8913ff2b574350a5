//! `--apply`: the edits of findings in a Dockerfile and its `.dockerignore`. They are built, checked and measured first, and written last.
//! Unaware of the kinds of advice.

use super::Arguments;
use super::facts::Facts;
use crate::building::{Builder, Order};
use crate::failure::{Failure, Kind};
use crate::render::Progress;
use crate::weigh::{Scale, Weighed};
use crate::{output, table};
use kiln_engine::{ContextSource, DockerfileSource, DockerfileText};
use kiln_oci::Digest;
use kiln_report::advise::verify::{PACKAGES, differences};
use kiln_report::advise::{Edit, Finding, applied};
use kiln_report::units::bytes;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Differences beyond this are counted, not told.
const TOLD: usize = 10;
/// The kinds of advice with edits, those first that break a build most easily.
const RISKY: [&str; 6] = [
    "recommends",
    "package-cache",
    "stale-lists",
    "deleted-later",
    "changed-owner",
    "ignored-files",
];
/// What the image is called that a command is tested in.
const TESTED: &str = "tested";

/// A Dockerfile with the edits that fit together.
pub struct Edited {
    /// All findings; those whose edits do not fit have none.
    pub findings: Vec<Finding>,
    path: PathBuf,
    dockerfile: DockerfileText,
    /// The `.dockerignore` with more lines, if there are some.
    ignore: Option<(PathBuf, String)>,
    order: Order,
    is_changed: bool,
}

impl Edited {
    /// Makes the edits of one finding after the other, as long as the Dockerfile can still be read.
    ///
    /// # Errors
    /// The `.dockerignore` cannot be read.
    pub fn of(
        order: &Order,
        (path, dockerfile): (&Path, &DockerfileText),
        mut findings: Vec<Finding>,
    ) -> Result<Self, Failure> {
        let (edits, text) = fitting(&dockerfile.text, &mut findings);
        let ignore = ignore(order, (path, dockerfile), &edits)?;
        let new = ignore.as_ref().map(|(_, text)| text.clone());
        let dockerfile = DockerfileText {
            text,
            ..dockerfile.clone()
        };
        let order = order.changed(|request| {
            request.sources.dockerfile = DockerfileSource::Text(dockerfile.clone());
            request.sources.ignore_file = new.or(request.sources.ignore_file.take());
        });
        Ok(Edited {
            path: path.to_owned(),
            is_changed: !edits.is_empty(),
            findings,
            dockerfile,
            ignore,
            order,
        })
    }

    /// Whether there is no edit.
    pub fn is_nothing(&self) -> bool {
        !self.is_changed
    }

    /// Builds and checks the result.
    ///
    /// # Errors
    /// The build fails, files differ that should not, or the test fails.
    pub fn build(
        &self,
        arguments: &Arguments,
        builder: &Builder,
        scale: &Scale<'_>,
        before: &Facts,
    ) -> Result<Weighed, Failure> {
        let made = builder.build(&self.order, arguments.shown.progress())?;
        let after = scale.built(&made, &self.order)?;
        if arguments.verify {
            self.verify(&before.weighed, &after)?;
        }
        if let Some(command) = &arguments.test {
            self.test(builder, &made.built.id, command)?;
        }
        Ok(after)
    }

    /// The kinds of advice that are edited, those first that break a build most easily.
    pub fn kinds(&self) -> Vec<&'static str> {
        let has = |kind: &&str| {
            let mut findings = self.findings.iter();
            findings.any(|finding| finding.rule == *kind && !finding.edits.is_empty())
        };
        RISKY.into_iter().filter(has).collect()
    }

    /// All files are the same, but for those of the findings.
    fn verify(&self, before: &Weighed, after: &Weighed) -> Result<(), Failure> {
        let differences = differences(&before.image, &after.image, &self.allowed());
        if differences.is_empty() {
            table::line("verified: all other files are the same");
            return Ok(());
        }
        let count = differences.len();
        let told: Vec<String> = differences.into_iter().take(TOLD).collect();
        let message = format!("--verify: {count} files differ that no edit is about");
        Err(Failure::new(Kind::Build, message).details(told.join("\n")))
    }

    /// What edits change.
    fn allowed(&self) -> Vec<String> {
        let applied = || {
            let findings = self.findings.iter();
            findings.filter(|finding| !finding.edits.is_empty())
        };
        let of_packages = |finding: &Finding| {
            matches!(finding.rule, "recommends" | "package-cache" | "stale-lists")
        };
        let packages = match applied().any(of_packages) {
            true => PACKAGES.as_slice(),
            false => &[],
        };
        let packages = packages.iter().map(|path| (*path).to_owned());
        let paths = applied().flat_map(|finding| finding.paths.clone());
        paths.chain(packages).collect()
    }

    /// The command succeeds in the new image.
    fn test(&self, builder: &Builder, id: &Digest, command: &str) -> Result<(), Failure> {
        let arguments = serde_json::json!(["/bin/sh", "-c", command]);
        let text = format!("FROM {TESTED}\nRUN {arguments}\n").into_bytes();
        let order = self.order.changed(|request| {
            let text = DockerfileText::of_bytes("--test".to_owned(), text);
            request.sources.dockerfile = DockerfileSource::Text(text);
            request.sources.contexts.clear();
            let image = ContextSource::Image(id.to_string());
            request.sources.contexts.insert(TESTED.to_owned(), image);
            request.language.target = None;
            request.reuse.no_cache = true;
        });
        builder.build(&order, Progress::Quiet)?;
        table::line("tested: the command succeeds");
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        let write = |path: &Path, text: &str| {
            let failed =
                |error| Failure::new(Kind::Environment, format!("{}: {error}", path.display()));
            output::report(path, text).map_err(failed)
        };
        if let Some((path, text)) = &self.ignore {
            write(path, text)?;
        }
        write(&self.path, &self.dockerfile.text)
    }
}

/// The edits of one finding after the other, as long as the Dockerfile can still be read, and the text with them. Findings whose edits do
/// not fit lose them.
fn fitting(text: &str, findings: &mut [Finding]) -> (Vec<Edit>, String) {
    let (mut edits, mut all) = (Vec::new(), text.to_owned());
    for finding in findings {
        let more = [edits.as_slice(), &finding.edits].concat();
        let edited = applied(text, &more).ok();
        match edited.filter(|text| !kiln_parser::parse(text).has_errors()) {
            Some(edited) => (edits, all) = (more, edited),
            None => finding.edits.clear(),
        }
    }
    (edits, all)
}

/// The `.dockerignore` that counts with the new lines, if there are some.
fn ignore(
    order: &Order,
    (dockerfile, text): (&Path, &DockerfileText),
    edits: &[Edit],
) -> Result<Option<(PathBuf, String)>, Failure> {
    let patterns: BTreeSet<&str> = edits.iter().filter_map(Edit::pattern).collect();
    let folder = order.request.sources.context.folder();
    let Some(folder) = folder.filter(|_| !patterns.is_empty()) else {
        return Ok(None);
    };
    if order.request.sources.ignore_file.is_some() {
        return Err(Failure::usage("--apply does not edit an --ignorefile"));
    }
    let path = match text.ignore {
        Some(_) => own_ignore(dockerfile),
        None => folder.join(".dockerignore"),
    };
    let mut text = text_of(&path)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(patterns.iter().flat_map(|pattern| [pattern, "\n"]));
    Ok(Some((path, text)))
}

/// The `.dockerignore` of a Dockerfile, which counts instead of the context's.
fn own_ignore(dockerfile: &Path) -> PathBuf {
    let mut path = dockerfile.as_os_str().to_owned();
    path.push(".dockerignore");
    path.into()
}

/// The text of a file, nothing of one that is not there.
fn text_of(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => {
            let failed = |error| Failure::new(Kind::Build, format!("{}: {error}", path.display()));
            read.map_err(failed)
        }
    }
}

/// What was measured.
#[allow(clippy::cast_precision_loss)] // a part for people
pub fn saving(before: &Weighed, after: &Weighed) -> String {
    let (old, new) = (before.image.size(), after.image.size());
    let percent = old.abs_diff(new) as f64 * 100.0 / (old.max(1)) as f64;
    let word = if new <= old { "less" } else { "more" };
    let (difference, old, new) = (bytes(old.abs_diff(new)), bytes(old), bytes(new));
    let (packed, now) = (before.gzip().shown(), after.gzip().shown());
    format!(
        "before {old}, now {new}: {difference} {word} ({percent:.1} %); compressed {packed}, now {now}"
    )
}
