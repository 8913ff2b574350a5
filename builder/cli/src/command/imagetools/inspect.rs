//! `docker buildx imagetools inspect`: what a registry has under a name, as buildx shows it: in lines, verbatim, or by a template.

use super::fields;
use super::whole::Whole;
use super::{reference, refused, registries, under};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{listing, stdout, table};
use clap::Args;
use kiln_oci::registry::Fetched;
use kiln_oci::{Descriptor, Index, Reference, media_type};
use kiln_template::Template;
use std::fmt::Write;

/// The template that means the same as none.
const PLAIN: &str = "{{.Manifest}}";

/// Arguments of `buildx imagetools inspect`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name in a registry
    #[arg(value_name = "NAME")]
    name: String,
    /// A template in docker's language with .Name, .Manifest, .Image, .SBOM and .Provenance
    #[arg(long, value_name = "FORMAT", conflicts_with = "raw", add = Takes::Single)]
    format: Option<String>,
    /// Print the manifest or index as the registry has it
    #[arg(long, add = Takes::Switch)]
    raw: bool,
    /// No effect: kiln needs no builder instance
    #[arg(long, hide = true, value_name = "NAME", add = Takes::Single)]
    builder: Option<String>,
}

/// Shows it.
///
/// # Errors
/// The registry does not give it, or the template does not fit.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let name = reference(&arguments.name)?;
    let format = arguments.format.as_deref().filter(|text| {
        let plain: String = text.split_whitespace().collect();
        plain != PLAIN
    });
    let template = format.map(parsed).transpose()?;
    let registries = registries(globals)?;
    let found = registries.manifest(&name).map_err(refused)?;
    match (format.zip(template), arguments.raw) {
        // without a line break: what is piped elsewhere has the digest
        (None, true) => stdout::print(&found.bytes),
        (None, false) => table::print_text(&plain(&name, &found)?),
        (Some((text, template)), _) => {
            let whole = Whole::read(&registries, &name, &found, |field| text.contains(field))?;
            let inspected = fields::of(&arguments.name, &found, &whole)?;
            let shown = template.render(&inspected);
            table::print_text(&shown.map_err(|error| listing::wrong(text, &error, Kind::Build))?);
        }
    }
    Ok(())
}

fn parsed(text: &str) -> Result<Template, Failure> {
    let parsed = Template::parse(text).map(Template::indented);
    parsed.map_err(|error| listing::wrong(text, &error, Kind::Usage))
}

/// In lines, with a list of what an index holds.
fn plain(name: &Reference, found: &Fetched) -> Result<String, Failure> {
    let mut text = columns(&[
        ("Name:", name.to_string()),
        ("MediaType:", found.media_type.clone()),
        ("Digest:", found.digest.to_string()),
    ]);
    if !media_type::is_index(&found.media_type) {
        return Ok(text);
    }
    let index = Index::parse(&found.bytes).map_err(super::malformed)?;
    text += &columns(&[("", String::new()), ("Manifests:", String::new())]);
    for (at, manifest) in index.manifests.iter().enumerate() {
        if at > 0 {
            let _ = writeln!(text, "{:13}", "");
        }
        text += &member(name, manifest);
    }
    Ok(text)
}

fn member(name: &Reference, manifest: &Descriptor) -> String {
    let mut lines = vec![
        ("  Name:", under(name, manifest.digest).to_string()),
        ("  MediaType:", manifest.media_type.clone()),
    ];
    let Some(platform) = &manifest.platform else {
        return columns(&lines);
    };
    lines.push(("  Platform:", platform.normalized().to_string()));
    let more = [
        (
            "  OSVersion:",
            platform.os_version.clone().into_iter().collect(),
        ),
        ("  OSFeatures:", platform.os_features.join(", ")),
        ("  URLs:", manifest.urls.join(", ")),
    ];
    lines.extend(more.into_iter().filter(|(_, value)| !value.is_empty()));
    if manifest.annotations.is_empty() {
        return columns(&lines);
    }
    lines.push(("  Annotations:", String::new()));
    columns(&lines) + &annotations(manifest)
}

fn annotations(manifest: &Descriptor) -> String {
    let lines = manifest.annotations.iter();
    let lines = lines.map(|(key, value)| (format!("    {key}:"), value.clone()));
    columns(&lines.collect::<Vec<_>>())
}

/// Two columns, as Go's tabwriter sets them.
fn columns<K: AsRef<str>>(lines: &[(K, String)]) -> String {
    let keys = lines.iter().map(|(key, _)| key.as_ref().chars().count());
    let width = keys.max().unwrap_or_default() + 1;
    let lines = lines
        .iter()
        .map(|(key, value)| format!("{:width$}{value}\n", key.as_ref()));
    lines.collect()
}
