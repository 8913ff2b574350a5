//! `kiln push`: images to registries.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::render::Shown;
use crate::retry::Retry;
use crate::{session, table, transfer};
use clap::{Args, ValueEnum};
use kiln_engine::remote::{Form, MediaTypes, PushOptions, Pushed, push};
use kiln_oci::{LayerCompression, Platform, Reference};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// OCI's media types
    Oci,
    /// Docker's media types
    #[value(aliases = ["v2s2", "dir-docker"])]
    Docker,
}

/// Arguments of `kiln push`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image to push
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Name to push to [default: the image's own name]
    #[arg(value_name = "DESTINATION", conflicts_with = "all_tags")]
    destination: Option<String>,
    /// Push only the image for this platform [default: all of them, with their index]
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    /// Push all tags of the repository IMAGE
    #[arg(short, long, add = Takes::Switch)]
    all_tags: bool,
    /// How to compress uncompressed layers: gzip or zstd, optionally with :LEVEL, or none
    #[arg(long, value_name = "COMPRESSION", default_value = "gzip", add = Takes::Single)]
    compression: LayerCompression,
    /// Compress layers again that are compressed in another way
    #[arg(long, add = Takes::Switch)]
    force_compression: bool,
    /// Media types of manifests [default: those of the image]
    #[arg(long, value_enum, add = Takes::Single)]
    format: Option<Format>,
    /// Write the digest to a file
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    digestfile: Option<PathBuf>,
    /// Write digest, size and media type to a file, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "all_tags", add = Takes::Single)]
    metadata_file: Option<PathBuf>,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    shown: Shown,
}

/// Pushes.
///
/// # Errors
/// When the image is not there, or the registry refuses it.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = transfer::ending(arguments.shown.progress());
    ending.tell(pushed(&arguments, globals))
}

fn pushed(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    let mut globals = globals.clone();
    arguments.retry.change(&mut globals.patience);
    let shows = (arguments.shown.progress(), "pushing");
    for options in arguments.what(&globals)? {
        let open = session::reading_from;
        let pushed = transfer::watched(&globals, shows, open, |remote, store| {
            push(remote, store, &options)
        })?;
        arguments.report(&pushed)?;
    }
    Ok(())
}

impl Arguments {
    fn what(&self, globals: &Globals) -> Result<Vec<PushOptions>, Failure> {
        let form = Form {
            compression: self.compression,
            force: self.force_compression,
            media_types: match self.format {
                None => MediaTypes::Kept,
                Some(Format::Oci) => MediaTypes::Oci,
                Some(Format::Docker) => MediaTypes::Docker,
            },
        };
        let parse = |name: &str| {
            let name = name.strip_prefix("docker://").unwrap_or(name);
            Reference::parse(name).map_err(|error| Failure::usage(format!("{name}: {error}")))
        };
        if self.all_tags {
            let tags = all_tags(globals, &parse(&self.image)?)?;
            let options = |to: Reference| self.options(to.to_string(), to, form);
            return Ok(tags.into_iter().map(options).collect());
        }
        let to = parse(self.destination.as_deref().unwrap_or(&self.image))
            .map_err(|failure| failure.hint("name the destination: kiln push IMAGE DESTINATION"))?;
        Ok(vec![self.options(self.image.clone(), to, form)])
    }

    fn options(&self, image: String, to: Reference, form: Form) -> PushOptions {
        PushOptions {
            by_digest: false,
            image,
            platform: self.platform.clone(),
            to,
            form,
        }
    }

    fn report(&self, pushed: &Pushed) -> Result<(), Failure> {
        let descriptor = &pushed.descriptor;
        if let Some(file) = &self.digestfile {
            write(file, &descriptor.digest.to_string())?;
        }
        if let Some(file) = &self.metadata_file {
            write(file, &metadata(pushed))?;
        }
        if self.shown.quiet {
            table::line(&pushed.reference.to_string());
            return Ok(());
        }
        let state = match pushed.is_unchanged {
            true => "there already,",
            false => "pushed,",
        };
        let (name, digest, size) = (
            pushed.reference.familiar(),
            descriptor.digest,
            descriptor.size,
        );
        table::line(&format!("{name}: {state} digest: {digest} size: {size}"));
        Ok(())
    }
}

fn metadata(pushed: &Pushed) -> String {
    let document = serde_json::json!({
        "containerimage.descriptor": pushed.descriptor,
        "containerimage.digest": pushed.descriptor.digest,
        "image.name": pushed.reference.to_string(),
    });
    format!("{document:#}\n")
}

fn all_tags(globals: &Globals, of: &Reference) -> Result<Vec<Reference>, Failure> {
    let images = session::reading(globals)?.images().list()?;
    let mut tags: Vec<Reference> = images
        .into_iter()
        .flat_map(|image| image.references)
        .filter(|reference| reference.name() == of.name() && reference.tag.is_some())
        .collect();
    tags.sort();
    tags.dedup();
    if tags.is_empty() {
        return Err(Failure::new(
            Kind::Build,
            format!("the store has no tag of {}", of.familiar_name()),
        ));
    }
    Ok(tags)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    crate::output::report(file, text)
        .map_err(|error| Failure::new(Kind::Environment, format!("{}: {error}", file.display())))
}
