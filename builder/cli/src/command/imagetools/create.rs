//! `docker buildx imagetools create`: an index of images that registries have, under new names. What the new repository lacks is copied.

use super::combine::{self, Combined, Source};
use super::{reference, refused, registries, under};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::{Takes, boolean};
use crate::{output, render, table};
use clap::Args;
use kiln_oci::registry::Client;
use kiln_oci::{Descriptor, Digest, Manifest, Platform, Reference, media_type};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Arguments of `buildx imagetools create`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, digests or descriptors of images
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Read a source from a file (may be repeated)
    #[arg(short, long, value_name = "FILE", add = Takes::List)]
    file: Vec<PathBuf>,
    /// Name of the new image (may be repeated)
    #[arg(short, long, value_name = "NAME", add = Takes::List)]
    tag: Vec<String>,
    /// Print the new index instead of pushing it
    #[arg(long, add = Takes::Switch)]
    dry_run: bool,
    /// Add to what the first --tag names
    #[arg(long, add = Takes::Switch)]
    append: bool,
    /// Annotation of the index, as index:KEY=VALUE, or of what it lists, as manifest-descriptor[PLATFORM]:KEY=VALUE (may be repeated)
    #[arg(long, value_name = "ANNOTATION", add = Takes::List)]
    annotation: Vec<String>,
    /// Make an index of a single image, too [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Optional)]
    prefer_index: Option<String>,
    /// Only images for this platform (may be repeated)
    #[arg(short, long, value_name = "PLATFORM", value_delimiter = ',', add = Takes::List)]
    platform: Vec<Platform>,
    /// Write the descriptor of the new image to a file, as JSON
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    metadata_file: Option<PathBuf>,
    /// No effect
    #[arg(long, hide = true, value_name = "MODE", add = Takes::Single)]
    progress: Option<String>,
    /// No effect: kiln needs no builder instance
    #[arg(long, hide = true, value_name = "NAME", add = Takes::Single)]
    builder: Option<String>,
}

/// Makes it.
///
/// # Errors
/// A source is not there, or a registry refuses something.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let tags = arguments.tag.iter().map(|tag| reference(tag));
    let tags: Vec<Reference> = tags.collect::<Result<_, _>>()?;
    let given = arguments.given(&tags)?;
    let registries = registries(globals)?;
    let sources = given.into_iter();
    let sources = sources.map(|(name, described)| Source::read(&registries, name, described));
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    let whole = combine::whole(&sources, &arguments.annotation, arguments.prefers_index()?)?;
    let combined = combine::only(whole, &arguments.platform)?;
    if arguments.dry_run {
        table::line(&String::from_utf8_lossy(&combined.bytes));
        return Ok(());
    }
    for tag in &tags {
        push(&registries, &combined, tag)?;
    }
    arguments.tell(&combined, &tags)
}

impl Arguments {
    fn prefers_index(&self) -> Result<bool, Failure> {
        let text = self.prefer_index.as_deref().unwrap_or("true");
        boolean(text)
            .ok_or_else(|| Failure::usage(format!("--prefer-index={text}: no truth value")))
    }

    /// Where each source is, and how it was described.
    fn given(&self, tags: &[Reference]) -> Result<Vec<(Reference, Option<Descriptor>)>, Failure> {
        let read = |file: &PathBuf| {
            let told = |error| Failure::usage(format!("--file {}: {error}", file.display()));
            fs::read_to_string(file).map_err(told)
        };
        let mut texts = self.file.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        texts.extend(self.sources.iter().cloned());
        if texts.is_empty() {
            return Err(Failure::usage("there are no sources"));
        }
        if tags.is_empty() && !self.dry_run {
            return Err(Failure::usage("the new image needs a name")
                .hint("give one with --tag, or use --dry-run"));
        }
        let first = self.append.then(|| self.tag.first().cloned()).flatten();
        let texts = first.into_iter().chain(texts);
        let given = texts.map(|text| Given::read(text.trim()));
        let given = given.collect::<Result<Vec<_>, _>>()?;
        let place = only_repository(tags, &given);
        given
            .into_iter()
            .map(|given| given.at(place.as_ref()))
            .collect()
    }

    fn tell(&self, combined: &Combined, tags: &[Reference]) -> Result<(), Failure> {
        let Some(file) = &self.metadata_file else {
            return Ok(());
        };
        let names: BTreeSet<String> = tags.iter().map(Reference::name).collect();
        let document = serde_json::json!({
            "containerimage.descriptor": combined.descriptor,
            "image.name": names.into_iter().collect::<Vec<_>>().join(","),
        });
        output::report(file, &format!("{document:#}")).map_err(|error| {
            let message = format!("--metadata-file {}: {error}", file.display());
            Failure::new(Kind::Environment, message)
        })
    }
}

/// A source as it was given.
enum Given {
    Name(Reference),
    Digest(Digest),
    Described(Box<Descriptor>),
}

impl Given {
    fn read(text: &str) -> Result<Given, Failure> {
        if text.starts_with('{') {
            let read = serde_json::from_str(text);
            let wrong = |error| Failure::usage(format!("a source is no descriptor: {error}"));
            return read.map(Given::Described).map_err(wrong);
        }
        match text.parse() {
            Ok(digest) => Ok(Given::Digest(digest)),
            Err(_) => reference(text).map(Given::Name),
        }
    }

    /// What has no repository is in the only one that is named.
    fn at(self, place: Option<&Reference>) -> Result<(Reference, Option<Descriptor>), Failure> {
        let place = |digest| {
            let why = || Failure::usage(format!("several repositories may hold {digest}"));
            let place = place.ok_or_else(|| why().hint("write NAME@DIGEST"));
            place.map(|place| under(place, digest))
        };
        match self {
            Given::Name(name) => Ok((name, None)),
            Given::Digest(digest) => Ok((place(digest)?, None)),
            Given::Described(descriptor) => Ok((place(descriptor.digest)?, Some(*descriptor))),
        }
    }
}

fn only_repository(tags: &[Reference], given: &[Given]) -> Option<Reference> {
    let named = given.iter().filter_map(|given| match given {
        Given::Name(name) => Some(name),
        _ => None,
    });
    let mut all = named.chain(tags);
    let first = all.next()?;
    all.all(|other| other.name() == first.name())
        .then(|| first.clone())
}

/// Puts it under a name, after what it lists.
fn push(registries: &Client, combined: &Combined, to: &Reference) -> Result<(), Failure> {
    for (from, digest) in &combined.below {
        copy(registries, &under(from, *digest), to)?;
    }
    let Descriptor {
        media_type, digest, ..
    } = &combined.descriptor;
    let pushed = registries.push_manifest(to, media_type, &combined.bytes);
    pushed.map_err(refused)?;
    render::note(&format!("{to} is {digest}"));
    Ok(())
}

/// Copies a manifest, or an index with all below it, into the repository of another name.
fn copy(registries: &Client, from: &Reference, to: &Reference) -> Result<(), Failure> {
    if from.name() == to.name() {
        return Ok(());
    }
    let found = registries.manifest(from).map_err(refused)?;
    if media_type::is_index(&found.media_type) {
        let index = kiln_oci::Index::parse(&found.bytes).map_err(super::malformed)?;
        let mut below = index.manifests.iter();
        below.try_for_each(|below| copy(registries, &under(from, below.digest), to))?;
    } else {
        let manifest = Manifest::parse(&found.bytes).map_err(super::malformed)?;
        // what has an address of its own is in no registry
        let blobs = manifest.layers.iter().filter(|layer| layer.urls.is_empty());
        for blob in blobs.chain([&manifest.config]) {
            copy_blob(registries, blob, from, to).map_err(refused)?;
        }
    }
    let pushed =
        registries.push_manifest(&under(to, found.digest), &found.media_type, &found.bytes);
    pushed.map(drop).map_err(refused)
}

fn copy_blob(
    registries: &Client,
    blob: &Descriptor,
    from: &Reference,
    to: &Reference,
) -> Result<(), kiln_oci::registry::Error> {
    if registries.has_blob(to, blob.digest)? || registries.mount_blob(to, from, blob.digest)? {
        return Ok(());
    }
    registries.push_blob(to, blob, &|| Ok(Box::new(registries.blob(from, blob))))
}
