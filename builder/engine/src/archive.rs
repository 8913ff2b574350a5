//! Images to and from files: `save`, `load`, `import`. Joins the archive formats of `kiln_oci` with the store; unaware of
//! builds. Everything that comes in is checked while it streams into the store, and becomes visible only when it is whole.

use crate::assemble::rfc3339;
use kiln_cache::{
    ImageError, Layer, LayerError, LayerWriter, Meta, Store, StoreError, StoredImage,
};
use kiln_oci::archive::{self, BlobSource, Format, Input, LoadError, Loaded, SaveError, SaveImage};
use kiln_oci::media_type::{OCI_CONFIG, OCI_LAYER};
use kiln_oci::{
    Descriptor, Digest, History, ImageConfig, Manifest, Platform, Reference, compression,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why an image cannot be moved in or out.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The archive is malformed or hostile.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The archive cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An image is not there or cannot be kept.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A root file system cannot be made a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A file of a root file system cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An image that was taken in.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Image ID.
    pub id: Digest,
    /// Manifest digest.
    pub manifest: Digest,
    /// Its names; empty for an image without any.
    pub references: Vec<Reference>,
}

struct Blobs<'a>(&'a Store);

impl BlobSource for Blobs<'_> {
    fn open(&self, digest: &Digest) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let file = self
            .0
            .open_blob(digest)
            .map_err(|error| io::Error::other(crate::chain_of_causes(&error)))?;
        let size = file.metadata()?.len();
        Ok((size, Box::new(file)))
    }
}

/// Writes the named images as one archive. An image named by its id is saved without a name; one named twice is saved once.
///
/// # Errors
/// When an image is not there, or `out` fails.
pub fn save(
    store: &Store,
    names: &[String],
    out: &mut dyn Write,
    format: Format,
) -> Result<(), ArchiveError> {
    let mut images: Vec<(Digest, SaveImage)> = Vec::new();
    for name in names {
        let image = store.find_image(name)?;
        let at = match images
            .iter()
            .position(|(digest, _)| *digest == image.manifest_digest)
        {
            Some(at) => at,
            None => {
                images.push((
                    image.manifest_digest,
                    SaveImage {
                        references: Vec::new(),
                        manifest: image.manifest.clone(),
                        config: image.config.clone(),
                    },
                ));
                images.len() - 1
            }
        };
        if let Some(reference) = named_by(&image, name)
            && !images[at].1.references.contains(&reference)
        {
            images[at].1.references.push(reference);
        }
    }
    let images: Vec<SaveImage> = images.into_iter().map(|(_, image)| image).collect();
    Ok(archive::save(out, &images, &Blobs(store), format, &|_| ())?)
}

/// The reference of `image` that `name` means, unless it is the start of an id.
fn named_by(image: &StoredImage, name: &str) -> Option<Reference> {
    let reference = Reference::parse(name).ok()?.with_default_tag();
    image
        .references
        .iter()
        .find(|known| **known == reference)
        .cloned()
}

/// Takes in all images of an archive; `each` is told of every one as soon as it is there.
///
/// # Errors
/// When the archive is malformed, something is not what its digest says, or the store fails. Images before that stay.
pub fn load(
    store: &Store,
    input: Input<'_>,
    mut each: impl FnMut(&Taken),
) -> Result<usize, ArchiveError> {
    let scratch = store.scratch_dir("load")?;
    let loaded = archive::load(input, &scratch)?;
    for number in 0..loaded.images.len() {
        each(&take(store, &loaded, number)?);
    }
    let count = loaded.images.len();
    drop(loaded);
    store.discard(&scratch)?;
    Ok(count)
}

fn take(store: &Store, loaded: &Loaded, number: usize) -> Result<Taken, ArchiveError> {
    let image = &loaded.images[number];
    for (at, layer) in image.layers.iter().enumerate() {
        if !layer.present && store.layer(&layer.diff_id).is_ok() {
            // The archive relies on what the other side has, and it does have it.
            continue;
        }
        let mut blob = loaded.open_layer(number, at)?;
        store.ingest_layer(
            &mut blob,
            &layer.descriptor.digest,
            layer.descriptor.size,
            &layer.diff_id,
        )?;
    }
    let (manifest, id) = store.put_image(&image.manifest, &image.config)?;
    for reference in &image.references {
        store.tag(reference, &manifest)?;
    }
    Ok(Taken {
        id,
        manifest,
        references: image.references.clone(),
    })
}

/// Makes an image of one layer from a root file system: a tar (perhaps compressed), or a folder.
///
/// # Errors
/// When it cannot be read or kept.
pub fn import(
    store: &Store,
    source: ImportSource<'_>,
    reference: Option<&Reference>,
    message: &str,
    now: i64,
) -> Result<Taken, ArchiveError> {
    let layer = match source {
        ImportSource::Folder(folder) => import_folder(store, folder)?,
        ImportSource::Tar(reader, path) => {
            let read = |source| ArchiveError::Read {
                path: path.to_owned(),
                source,
            };
            let (_, mut tar) = compression::auto(reader).map_err(read)?;
            Some(store.import_tar(&mut tar)?)
        }
    };
    let mut config = ImageConfig::new(&Platform::host());
    config.created = Some(rfc3339(now));
    config.rootfs.diff_ids = layer.iter().map(Layer::diff_id).collect();
    config.history = vec![History {
        created: config.created.clone(),
        comment: Some(message.to_owned()),
        empty_layer: layer.is_none(),
        ..History::default()
    }];
    let config = config.to_bytes();
    let layers = layer
        .iter()
        .map(|layer| Descriptor::new(OCI_LAYER, layer.diff_id(), layer.index.tar_size))
        .collect();
    let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), layers).to_bytes();
    let (manifest, id) = store.put_image(&manifest, &config)?;
    if let Some(reference) = reference {
        store.tag(reference, &manifest)?;
    }
    Ok(Taken {
        id,
        manifest,
        references: reference.into_iter().cloned().collect(),
    })
}

/// What `import` reads.
pub enum ImportSource<'a> {
    /// A folder; owners are kept as this process sees them.
    Folder(&'a Path),
    /// A tar and what messages call it.
    Tar(Box<dyn Read + 'a>, &'a Path),
}

impl std::fmt::Debug for ImportSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImportSource::Folder(path) | ImportSource::Tar(_, path) => {
                f.debug_tuple("ImportSource").field(path).finish()
            }
        }
    }
}

/// The entries of a folder in the order of layers, which is not that of a walk: `a-b` stands before `a/b`.
fn import_folder(store: &Store, folder: &Path) -> Result<Option<Layer>, ArchiveError> {
    let mut entries: BTreeMap<Vec<u8>, walkdir::DirEntry> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| ArchiveError::Read {
            path: error.path().unwrap_or(folder).to_owned(),
            source: error.into(),
        })?;
        let path = entry
            .path()
            .strip_prefix(folder)
            .unwrap_or(entry.path())
            .as_os_str()
            .as_bytes()
            .to_vec();
        entries.insert(path, entry);
    }
    let mut writer = store.layer_writer(&kiln_cache::Chain::new(Vec::new()))?;
    let mut first_names: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    for (path, entry) in &entries {
        let read = |source: io::Error| ArchiveError::Read {
            path: entry.path().to_owned(),
            source,
        };
        let meta = entry.path().symlink_metadata().map_err(read)?;
        if meta.nlink() > 1 && !meta.is_dir() {
            if let Some(first) = first_names.get(&(meta.dev(), meta.ino())) {
                writer.hardlink(path, first)?;
                continue;
            }
            first_names.insert((meta.dev(), meta.ino()), path.clone());
        }
        write_file(&mut writer, path, entry.path(), &meta)?;
    }
    Ok(writer.finish()?)
}

fn write_file(
    writer: &mut LayerWriter,
    path: &[u8],
    file: &Path,
    meta: &std::fs::Metadata,
) -> Result<(), ArchiveError> {
    let read = |source: io::Error| ArchiveError::Read {
        path: file.to_owned(),
        source,
    };
    let xattrs = xattrs(file).map_err(read)?;
    let described = Meta {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: meta.mtime(),
        xattrs,
    };
    let kind = meta.file_type();
    let device = (
        rustix::fs::major(meta.rdev()),
        rustix::fs::minor(meta.rdev()),
    );
    if kind.is_dir() {
        writer.directory(path, &described)?;
    } else if kind.is_symlink() {
        let target: OsString = std::fs::read_link(file).map_err(read)?.into();
        writer.symlink(path, &described, &target.into_vec())?;
    } else if kind.is_file() {
        let mut content = std::fs::File::open(file).map_err(read)?;
        writer.file(path, &described, meta.len(), &mut content)?;
    } else if kind.is_fifo() {
        writer.special(path, &described, &kiln_cache::EntryKind::Fifo)?;
    } else if kind.is_char_device() {
        writer.special(
            path,
            &described,
            &kiln_cache::EntryKind::Char {
                major: device.0,
                minor: device.1,
            },
        )?;
    } else if kind.is_block_device() {
        writer.special(
            path,
            &described,
            &kiln_cache::EntryKind::Block {
                major: device.0,
                minor: device.1,
            },
        )?;
    }
    // Sockets belong to processes, not to images.
    Ok(())
}

fn xattrs(file: &Path) -> io::Result<kiln_cache::Xattrs> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::llistxattr(file, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut xattrs = Vec::new();
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0_u8; 64 << 10];
        let length =
            rustix::fs::lgetxattr(file, std::ffi::OsStr::from_bytes(name), &mut value[..])?;
        value.truncate(length);
        xattrs.push((name.into(), value.into_boxed_slice()));
    }
    Ok(xattrs)
}
