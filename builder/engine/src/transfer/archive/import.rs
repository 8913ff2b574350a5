//! Makes images of root file systems: a tar, or a folder. Unaware of image archives.

use super::change::apply;
use super::{ArchiveError, Taken};
use crate::image::assemble::rfc3339;
use kiln_cache::{Layer, LayerWriter, Meta, Store};
use kiln_oci::media_type::{OCI_CONFIG, OCI_LAYER};
use kiln_oci::{Descriptor, History, ImageConfig, Manifest, Platform, Reference, compression};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

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

/// Makes an image of one layer from a root file system: a tar (perhaps compressed), or a folder.
///
/// # Errors
/// When it cannot be read or kept, or a change cannot be made.
pub fn import(
    store: &Store,
    source: ImportSource<'_>,
    options: &ImportOptions,
) -> Result<Taken, ArchiveError> {
    let config = apply(ImageConfig::new(&options.platform), &options.changes)?;
    let layer = match source {
        ImportSource::Folder(folder) => import_folder(store, folder)?,
        ImportSource::Tar(reader, path) => {
            let read = |source| ArchiveError::Read {
                path: path.to_owned(),
                source,
            };
            let (_, mut tar) = compression::auto(reader).map_err(read)?;
            Some(store.layers().import_tar(&mut tar)?)
        }
    };
    let mut config = config;
    config.created = Some(rfc3339(options.now));
    config.rootfs.diff_ids = layer.iter().map(Layer::diff_id).collect();
    config.history = vec![History {
        created: config.created.clone(),
        comment: Some(options.message.clone()),
        empty_layer: layer.is_none(),
        ..History::default()
    }];
    let config = config.to_bytes();
    let layers = layer
        .iter()
        .map(|layer| Descriptor::new(OCI_LAYER, layer.diff_id(), layer.index.tar_size))
        .collect();
    let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), layers).to_bytes();
    let (manifest, id) = store.images().put(&manifest, &config)?;
    let reference = options.reference.as_ref();
    if let Some(reference) = reference {
        store.images().tag(reference, &manifest)?;
    }
    Ok(Taken {
        id,
        manifest,
        references: reference.into_iter().cloned().collect(),
        unreadable: Vec::new(),
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
    let mut writer = store.layers().writer(&kiln_cache::Chain::new(Vec::new()))?;
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
