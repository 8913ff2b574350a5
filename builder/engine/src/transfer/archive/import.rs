//! Makes images of root file systems: a tar, or a folder. Unaware of image archives.

use super::Taken;
use super::change::apply;
use crate::failure::ArchiveError;
use crate::host::clock::rfc3339;
use kiln_cache::{Chain, EntryKind, FirstNames, Layer, LayerWriter, Meta, Store, Xattrs};
use kiln_oci::media_type::{OCI_CONFIG, OCI_LAYER};
use kiln_oci::{Descriptor, History, ImageConfig, Manifest, Platform, Reference, compression};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

/// What an imported image is to be like.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Its name.
    pub reference: Option<Reference>,
    /// What its history says.
    pub message: String,
    /// The platform that it is for.
    pub platform: Platform,
    /// Instructions that change its config.
    pub changes: Vec<String>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Makes an image of one layer from a root file system: a tar, which may be compressed, or a folder.
///
/// # Errors
/// When it cannot be read or kept, or a change cannot be made.
pub fn import(
    store: &Store,
    source: ImportSource<'_>,
    options: &ImportOptions,
) -> Result<Taken, ArchiveError> {
    let mut config = apply(ImageConfig::new(&options.platform), &options.changes)?;
    let layer = match source {
        ImportSource::Folder(folder) => import_folder(store, folder)?,
        ImportSource::Tar(reader, path) => {
            let reader = not_empty(reader).map_err(ArchiveError::read(path))?;
            let (_, mut tar) = compression::auto(reader).map_err(ArchiveError::read(path))?;
            Some(store.layers().import_tar(&mut tar)?)
        }
    };
    add_layer(&mut config, layer.as_ref(), options);
    let config = config.to_bytes();
    let descriptor =
        |layer: &Layer| Descriptor::new(OCI_LAYER, layer.diff_id(), layer.index.tar_size);
    let layers = layer.iter().map(descriptor).collect();
    let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), layers).to_bytes();
    let (manifest, id) = store.images().put(&manifest, &config)?;
    if let Some(reference) = &options.reference {
        store.images().tag(reference, &manifest)?;
    }
    Ok(Taken::new(id, manifest, options.reference.as_slice()))
}

/// Nothing at all is no tar, but what a pipe gives whose other end has failed.
fn not_empty<'a>(mut reader: Box<dyn Read + 'a>) -> io::Result<impl Read + 'a> {
    let mut start = Vec::new();
    reader.by_ref().take(1).read_to_end(&mut start)?;
    match start.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty")),
        false => Ok(io::Cursor::new(start).chain(reader)),
    }
}

fn add_layer(config: &mut ImageConfig, layer: Option<&Layer>, options: &ImportOptions) {
    config.created = Some(rfc3339(options.now));
    config.rootfs.diff_ids = layer.iter().map(|layer| layer.diff_id()).collect();
    config.history = vec![History {
        created: config.created.clone(),
        comment: Some(options.message.clone()),
        empty_layer: layer.is_none(),
        ..History::default()
    }];
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

fn import_folder(store: &Store, folder: &Path) -> Result<Option<Layer>, ArchiveError> {
    let mut writer = store.layers().writer(&Chain::new(Vec::new()))?;
    let mut first_names = FirstNames::default();
    for (path, entry) in &entries(folder)? {
        let read = ArchiveError::read(entry.path());
        let meta = entry.path().symlink_metadata().map_err(read)?;
        let has_names = meta.nlink() > 1 && !meta.is_dir();
        let inode = has_names.then(|| (meta.dev(), meta.ino()));
        match first_names.earlier(inode, path) {
            Some(first) => writer.hardlink(path, &first)?,
            None => write_file(&mut writer, path, entry.path(), &meta)?,
        }
    }
    Ok(writer.finish()?)
}

/// The entries of a folder in the order of layers, which is not that of a walk: `a-b` stands before `a/b`.
fn entries(folder: &Path) -> Result<BTreeMap<Vec<u8>, DirEntry>, ArchiveError> {
    let named = |entry: walkdir::Result<DirEntry>| {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            ArchiveError::read(&path)(error.into())
        })?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        Ok((path.as_os_str().as_bytes().to_vec(), entry))
    };
    let walk = WalkDir::new(folder).min_depth(1).into_iter();
    walk.map(named).collect()
}

fn write_file(
    writer: &mut LayerWriter,
    path: &[u8],
    file: &Path,
    meta: &Metadata,
) -> Result<(), ArchiveError> {
    let read = ArchiveError::read(file);
    let described = described(file, meta).map_err(&read)?;
    if meta.is_dir() {
        writer.directory(path, &described)?;
    } else if meta.is_symlink() {
        let target = std::fs::read_link(file).map_err(read)?;
        writer.symlink(path, &described, target.as_os_str().as_bytes())?;
    } else if meta.is_file() {
        let mut content = std::fs::File::open(file).map_err(read)?;
        writer.file(path, &described, meta.len(), &mut content)?;
    } else if let Some(kind) = special(meta) {
        writer.special(path, &described, &kind)?;
    }
    Ok(())
}

fn described(file: &Path, meta: &Metadata) -> io::Result<Meta> {
    Ok(Meta {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: meta.mtime(),
        xattrs: xattrs(file)?,
    })
}

/// Pipes and devices. Sockets belong to processes, not to images.
fn special(meta: &Metadata) -> Option<EntryKind> {
    let (kind, device) = (meta.file_type(), meta.rdev());
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    if kind.is_fifo() {
        Some(EntryKind::Fifo)
    } else if kind.is_char_device() {
        Some(EntryKind::Char { major, minor })
    } else if kind.is_block_device() {
        Some(EntryKind::Block { major, minor })
    } else {
        None
    }
}

fn xattrs(file: &Path) -> io::Result<Xattrs> {
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
