//! `type=oci` and `type=docker`: archives of the image, as a tar or a folder. Unaware of how archives are laid out.
//!
//! Layers are as the store has them, uncompressed where kiln made them, unless `compression` is given: few who read an archive
//! next to a build want to wait for gzip. BuildKit compresses with gzip here.

use super::Kind;
use super::building_folder::BuildingFolder;
use super::containerd::Containerd;
use super::daemon;
use super::destination::{Destination, folder_of, sync};
use crate::failure::ExportError;
use crate::request::{BuildResult, Exporter};
use crate::transfer::archive::{self, compressed_manifest};
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::with_docker_types;
use kiln_cache::Store;
use kiln_oci::archive::{Format, SaveImage, SaveIndex, Saving, Target};
use kiln_oci::daemon::Address;
use kiln_oci::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST};
use kiln_oci::{Descriptor, Digest, Index, LayerCompression, Manifest, Platform, Reference};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::Path;

/// What a layout may hold, with docker's own files where it is one for docker too.
const LAYOUT: [&str; 5] = [
    "blobs",
    "index.json",
    "manifest.json",
    "oci-layout",
    "repositories",
];

/// `type=oci`.
pub(super) const OCI: Kind = Kind {
    name: "oci",
    keys: &[
        "annotation",
        "compression",
        "compression-level",
        "dest",
        "force-compression",
        "name",
        "oci-mediatypes",
        "rewrite-timestamp",
        "tar",
    ],
    make: |attributes| Ok(Box::new(Archive::new(attributes, Format::OciArchive)?)),
};

/// `type=docker`: an archive that docker loads, which is an OCI layout too. With `daemon=unix://PATH` it is loaded, with `containerd=PATH` into
/// containerd; without these and `dest` the image is in kiln's store, where a build puts it anyway.
pub(super) const DOCKER: Kind = Kind {
    name: "docker",
    keys: &[
        "annotation",
        "compression",
        "compression-level",
        "containerd",
        "daemon",
        "dest",
        "force-compression",
        "name",
        "namespace",
        "oci-mediatypes",
        "rewrite-timestamp",
        "tar",
    ],
    make: |attributes| Ok(Box::new(Archive::new(attributes, Format::Hybrid)?)),
};

fn unsupported(what: &str) -> ExportError {
    ExportError::Unsupported(what.to_owned())
}

#[derive(Debug)]
struct Archive {
    destination: Option<Destination>,
    daemon: Option<Address>,
    containerd: Option<Containerd>,
    is_tar: bool,
    names: Vec<Reference>,
    compression: Option<LayerCompression>,
    annotations: BTreeMap<String, String>,
    /// Whether manifests have docker's media types instead of OCI's.
    docker_types: bool,
    format: Format,
}

impl Archive {
    fn new(mut attributes: Attributes, format: Format) -> Result<Self, ExportError> {
        let is_tar = attributes.flag("tar", true)?;
        let destination = match (attributes.take("dest"), format) {
            (None, Format::Hybrid) if is_tar => None,
            (destination, _) => Some(Destination::of(destination)),
        };
        if !is_tar && destination == Some(Destination::Stdout) {
            return Err(unsupported("a folder needs dest=FOLDER"));
        }
        // Layers of bases are compressed alike whether this is given or not.
        attributes.flag("force-compression", false)?;
        attributes.flag("rewrite-timestamp", true)?;
        let daemon = attributes.take("daemon");
        let daemon = daemon.map(|address| address.parse()).transpose()?;
        let containerd = Containerd::take(&mut attributes);
        let ways = [
            daemon.is_some(),
            containerd.is_some(),
            destination.is_some(),
        ];
        if ways.iter().filter(|is_way| **is_way).count() > 1 {
            let why = "an image goes into a daemon or to dest=…, not both";
            return Err(unsupported(why));
        }
        let made = Self {
            destination,
            daemon,
            containerd,
            is_tar,
            names: super::store::names(attributes.take("name"))?,
            compression: attributes.compression()?,
            annotations: attributes.annotations(),
            docker_types: !attributes.flag("oci-mediatypes", true)?,
            format,
        };
        let lack = made.lack_of_docker_types().filter(|_| made.docker_types);
        let refused = lack.map(|lack| unsupported(&format!("oci-mediatypes=false: {lack}")));
        refused.map_or(Ok(made), Err)
    }

    /// What only OCI's media types can say.
    fn lack_of_docker_types(&self) -> Option<&'static str> {
        let is_zstd = matches!(self.compression, Some(LayerCompression::Zstd(_)));
        let zstd = is_zstd.then_some("docker has no media type for layers in zstd");
        let annotations =
            (!self.annotations.is_empty()).then_some("docker's manifests have no annotations");
        zstd.or(annotations)
    }

    fn saving(&self, result: &BuildResult<'_>) -> Result<Saving, ExportError> {
        let names = result.names(&self.names);
        let of_image = result.index.as_ref().map_or(names, |_| &[]);
        let mut saving = Saving {
            format: self.format,
            ..Saving::default()
        };
        for (_, image) in &result.images {
            let manifest = compressed_manifest(&result.session.store, image, self.compression)?;
            saving.images.push(SaveImage {
                references: of_image.to_vec(),
                manifest: self.typed(self.annotated(manifest)),
                config: image.config.clone(),
            });
        }
        if let Some((_, bytes)) = &result.index {
            let index = self.index(result, bytes, &saving.images, names);
            saving.indexes.push(index);
        }
        Ok(saving)
    }

    /// The index with the manifests as they are saved.
    fn index(
        &self,
        result: &BuildResult<'_>,
        bytes: &[u8],
        images: &[SaveImage],
        references: &[Reference],
    ) -> SaveIndex {
        let mut index = Index::parse(bytes).unwrap_or_else(|_| Index::of(Vec::new()));
        for ((_, before), now) in result.images.iter().zip(images) {
            let entries = index.manifests.iter_mut();
            for entry in entries.filter(|entry| entry.digest == before.manifest_digest) {
                let now = Descriptor::of(entry.media_type.clone(), &now.manifest);
                (entry.digest, entry.size) = (now.digest, now.size);
            }
        }
        if self.docker_types {
            index.media_type = Some(DOCKER_MANIFEST_LIST.to_owned());
            for entry in &mut index.manifests {
                DOCKER_MANIFEST.clone_into(&mut entry.media_type);
            }
        }
        let digest = |image: &SaveImage| Digest::of(&image.manifest);
        let manifests: Vec<_> = images.iter().map(digest).collect();
        let fits = |(platform, _): &(Platform, _)| Platform::host().rank(platform).is_some();
        let preferred = result.images.iter().position(fits).unwrap_or(0);
        SaveIndex {
            references: references.to_vec(),
            bytes: index.to_bytes(),
            preferred: manifests[preferred],
            manifests,
            companions: Vec::new(),
        }
    }

    fn typed(&self, manifest: Vec<u8>) -> Vec<u8> {
        if self.docker_types {
            with_docker_types(manifest)
        } else {
            manifest
        }
    }

    /// The manifest with the annotations of this output.
    fn annotated(&self, bytes: Vec<u8>) -> Vec<u8> {
        match Manifest::parse(&bytes) {
            Ok(mut manifest) if !self.annotations.is_empty() => {
                manifest.annotations.extend(self.annotations.clone());
                manifest.to_bytes()
            }
            _ => bytes,
        }
    }
}

impl Exporter for Archive {
    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        let saving = || self.saving(result);
        let loaded = match (&self.daemon, &self.containerd) {
            (Some(address), _) => {
                let names = result.names(&self.names);
                Some(daemon::load(address, saving()?, result, names)?)
            }
            (None, Some(containerd)) => Some(containerd.load(&saving()?, result.session)?),
            (None, None) => None,
        };
        if loaded.is_some() {
            result.loaded.set(loaded);
        }
        let Some(destination) = &self.destination else {
            return Ok(());
        };
        self.write(destination, &saving()?, result)
    }

    fn names(&self) -> Vec<Reference> {
        self.names.clone()
    }

    fn takes_away(&self) -> bool {
        self.destination.is_some()
    }

    fn is_stream(&self) -> bool {
        self.destination == Some(Destination::Stdout)
    }
}

impl Archive {
    fn write(
        &self,
        destination: &Destination,
        saving: &Saving,
        result: &BuildResult<'_>,
    ) -> Result<(), ExportError> {
        let store = &result.session.store;
        archive::fetch::layers(store, saving)?;
        match destination {
            Destination::File(path) if !self.is_tar => folder(path, saving, store),
            _ => destination.write(&result.session.cancel, |out| {
                Ok(archive::write(Target::Tar(out), saving, store)?)
            }),
        }
    }
}

/// Writes a folder beside the target, then renames it. A folder that is empty or an OCI layout is replaced in one step.
fn folder(path: &Path, saving: &Saving, store: &Store) -> Result<(), ExportError> {
    // what a link leads to is replaced, not the link
    let real = std::fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let is_old = is_layout(path)?;
    let parent = folder_of(path);
    std::fs::create_dir_all(parent).map_err(ExportError::io("make", parent))?;
    let building = BuildingFolder::beside(parent)?;
    let temporary = building.folder;
    archive::write(Target::Directory(temporary.path()), saving, store)?;
    if is_old {
        let exchanged = renameat_with(CWD, temporary.path(), CWD, path, RenameFlags::EXCHANGE);
        exchanged.map_err(|error| ExportError::io("replace", path)(error.into()))?;
        // the old folder has the temporary name now
        return match temporary.close() {
            // another build with an output here may have removed it
            Err(error) if error.kind() == NotFound => Ok(()),
            removed => removed.map_err(ExportError::io("remove what was in", path)),
        };
    }
    std::fs::rename(temporary.path(), path).map_err(ExportError::io("replace", path))?;
    // nothing has the temporary name any more
    let _ = temporary.keep();
    sync(path)
}

/// Whether a folder holds an OCI layout and nothing else; not when it is empty or missing. Any other folder is refused, because an
/// export never removes somebody's files.
fn is_layout(path: &Path) -> Result<bool, ExportError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(false),
        Err(error) => return Err(ExportError::io("read", path)(error)),
    };
    let mut is_empty = true;
    for entry in entries {
        let name = entry.map_err(ExportError::io("read", path))?.file_name();
        if !LAYOUT.iter().any(|known| name == *known) {
            return Err(ExportError::NoLayout { path: path.into() });
        }
        is_empty = false;
    }
    match is_empty || path.join("oci-layout").is_file() {
        true => Ok(!is_empty),
        false => Err(ExportError::NoLayout { path: path.into() }),
    }
}
