//! `kiln save`: images as an archive that docker, podman, skopeo and containerd read.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::render::{self, Shown};
use crate::units::{bytes, counted, parse_bytes};
use crate::{catalog, output, session, stdout, transfer};
use clap::{Args, ValueEnum};
use kiln_cache::Store;
use kiln_engine::archive::{self, SaveOptions, Saved};
use kiln_oci::LayerCompression;
use kiln_oci::archive::{Format, Target};
use std::io::Write;
use std::path::{Path, PathBuf};

const GZIP_ARCHIVE: &str = "ctr and podman before 4.4 do not read compressed archives: decompress it there, or use --layer-compression gzip";
const ZSTD_ARCHIVE: &str = "ctr and docker before 23 do not read archives compressed with zstd: decompress it there, or use --layer-compression gzip";
const ZSTD_LAYERS: &str = "docker before 23 does not read layers compressed with zstd";
const SEVERAL_IMAGES: &str =
    "podman does not load several images from an OCI layout: use --format hybrid";
/// Said of an index that is not saved whole.
const REDUCED: &str = "the store lacks some images of the index: the archive has an index of the others, with a different digest";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArgument {
    /// OCI layout and docker's manifest.json in one: every tool reads it
    Hybrid,
    /// OCI layout alone
    OciArchive,
    /// OCI layout as a folder
    OciDir,
    /// docker's own layout
    DockerArchive,
}

impl FormatArgument {
    fn layout(self) -> Format {
        match self {
            FormatArgument::Hybrid => Format::Hybrid,
            FormatArgument::OciArchive | FormatArgument::OciDir => Format::OciArchive,
            FormatArgument::DockerArchive => Format::DockerArchive,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OuterCompression {
    Gzip,
    Zstd,
}

/// Arguments of `kiln save`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names or IDs
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// File to write, or folder for oci-dir; `-` for standard output, if it is not a terminal [default: -]
    #[arg(short, long, value_name = "FILE", add = Takes::Single)]
    output: Option<PathBuf>,
    /// Layout of the archive
    #[arg(long, value_enum, default_value = "hybrid", add = Takes::Single)]
    format: FormatArgument,
    /// How to compress layers: none, gzip, gzip:0 to gzip:9, zstd, zstd:1 to zstd:22 [default: unchanged]
    #[arg(long, value_name = "HOW", add = Takes::Single)]
    layer_compression: Option<LayerCompression>,
    /// Compress the whole archive
    #[arg(long, value_enum, value_name = "HOW", add = Takes::Single)]
    compress: Option<OuterCompression>,
    /// Leave out layers that the receiver has already: those of an image, of an archive, or of a file with a digest on
    /// each line (may be repeated)
    #[arg(long, value_name = "IMAGE|ARCHIVE|LIST", add = Takes::List)]
    base: Vec<String>,
    /// Platform of the images
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<String>,
    /// Cut the archive into FILE.001, FILE.002 and so on, of this size
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, add = Takes::Number)]
    split: Option<u64>,
    #[command(flatten)]
    shown: Shown,
}

/// Saves.
///
/// # Errors
/// When an image is not there or the file cannot be written; no half-written file stays.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = transfer::ending(arguments.shown.progress());
    ending.tell(saved(&arguments, globals))
}

fn saved(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    check(arguments)?;
    warn(arguments);
    let options = SaveOptions {
        format: arguments.format.layout(),
        compression: arguments.layer_compression,
        platform: catalog::platform(arguments.platform.as_deref())?,
        bases: arguments.base.clone(),
    };
    let shows = (arguments.shown.progress(), "saving");
    let saved = transfer::worked(globals, shows, session::reading_from, |store| {
        for name in &arguments.images {
            catalog::named(store, name)?;
        }
        write(store, arguments, &options)
    })?;
    if saved.is_reduced {
        render::warning(REDUCED);
    }
    if !arguments.base.is_empty() {
        report(saved);
    }
    Ok(())
}

/// Where to, unless it is standard output.
fn file(arguments: &Arguments) -> Option<&Path> {
    let output = arguments.output.as_deref();
    output.filter(|path| path.as_os_str() != "-")
}

fn check(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments {
        compress, split, ..
    } = arguments;
    let is_folder = arguments.format == FormatArgument::OciDir;
    let is_docker = arguments.format == FormatArgument::DockerArchive;
    let has_output = file(arguments).is_some();
    let has_bases = !arguments.base.is_empty();
    let compressed = arguments
        .layer_compression
        .is_some_and(|how| how != LayerCompression::None);
    let why = if is_folder && !has_output {
        "a folder needs -o FOLDER"
    } else if is_folder && (compress.is_some() || split.is_some()) {
        "a folder can be neither compressed as a whole nor split"
    } else if split.is_some() && !has_output {
        "--split needs -o FILE"
    } else if *split == Some(0) {
        "--split needs a size above 0"
    } else if is_docker && has_bases {
        "docker-archive cannot leave layers out: hybrid can, and docker loads it"
    } else if is_docker && compressed {
        "layers in a docker-archive are uncompressed: hybrid can have compressed ones, and docker loads it"
    } else {
        return Ok(());
    };
    Err(Failure::usage(why))
}

/// What known tools refuse, measured by tests/interop/archives.
fn warn(arguments: &Arguments) {
    let compress = |how| arguments.compress == Some(how);
    let is_zstd = matches!(arguments.layer_compression, Some(LayerCompression::Zstd(_)));
    let has_several = arguments.images.len() > 1;
    let is_plain_oci = !matches!(
        arguments.format,
        FormatArgument::Hybrid | FormatArgument::DockerArchive
    );
    let warnings = [
        (compress(OuterCompression::Gzip), GZIP_ARCHIVE),
        (compress(OuterCompression::Zstd), ZSTD_ARCHIVE),
        (is_zstd, ZSTD_LAYERS),
        (is_plain_oci && has_several, SEVERAL_IMAGES),
    ];
    for (_, warning) in warnings.iter().filter(|(applies, _)| *applies) {
        render::warning(warning);
    }
}

fn write(store: &Store, arguments: &Arguments, options: &SaveOptions) -> Result<Saved, Failure> {
    let images = &arguments.images;
    let archive = |out: &mut dyn Write| {
        compressed(out, arguments, |out| {
            Ok(archive::save(store, images, Target::Tar(out), options)?)
        })
    };
    let Some(path) = file(arguments) else {
        if stdout::is_terminal() {
            return Err(Failure::usage("refusing to write an archive to a terminal")
                .hint("name a file with -o FILE, or use a pipe"));
        }
        return stdout::stream(archive);
    };
    match arguments.split {
        _ if arguments.format == FormatArgument::OciDir => output::folder(path, |folder| {
            let target = Target::Directory(folder);
            Ok(archive::save(store, images, target, options)?)
        }),
        Some(size) => output::parts(path, size, archive),
        None => output::file(path, archive),
    }
}

/// Compresses what `write` writes; the bytes do not depend on the number of threads.
fn compressed<T>(
    out: &mut dyn Write,
    arguments: &Arguments,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let how = match arguments.compress {
        None => return write(out),
        Some(OuterCompression::Gzip) => LayerCompression::gzip(),
        Some(OuterCompression::Zstd) => LayerCompression::zstd(),
    };
    let place = file(arguments).map_or("standard output".into(), Path::to_string_lossy);
    let unwritable =
        |error| Failure::new(Kind::Environment, format!("cannot write {place}: {error}"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut encoder = how.encoder(out, threads).map_err(&unwritable)?;
    let written = write(&mut encoder)?;
    encoder.finish().map_err(&unwritable)?;
    Ok(written)
}

fn report(saved: Saved) {
    if saved.layers == 0 {
        render::warning("the base has none of these layers: nothing was left out");
    } else {
        render::note(&format!(
            "left out {} of the base, {}",
            counted(saved.layers, "layer"),
            bytes(saved.bytes)
        ));
    }
}
