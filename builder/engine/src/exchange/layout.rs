//! `type=local,dest=FOLDER` and `src=FOLDER`: a cache in a folder, which is an OCI layout (OCI image specification, "Image Layout"), so
//! that tools for registries can copy it. Unaware of what blobs hold.
//!
//! Files appear whole: written beside their place, then renamed, through no symbolic link ([`folder`]). What the cache of this tag had
//! before and nothing names any more is removed, and so is what a killed writer left; what others put there stays. Writers take turns
//! by a lock on `oci-layout`, which is written in place by the first that has it: in a folder that is new to all, each must lock the same file.

mod folder;
mod shrink;

use super::backend::MOUNTS;
use super::export::from_memory;
use super::mounts::format as mounts;
use super::prune::Shrunk;
use super::{Backend, Kind, OpenBlob, Turn, Use, format};
use crate::failure::{BackendError, ExportError};
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::Remote;
use folder::{BLOBS, Folder};
use kiln_cache::CacheOrigin;
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Digest, Index};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const KIND: Kind = Kind {
    name: "local",
    from: &["src", "digest", "tag"],
    to: &["dest", "tag"],
    make: |attributes, used, remote| Ok(Arc::new(Layout::of(attributes, used, remote)?)),
};

/// The tag, as the specification has it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const MARK: &str = "oci-layout";
const MARK_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
/// Lists blobs that were written and are in no manifest yet, one hexadecimal digest a line.
const UNPUBLISHED: &str = ".kiln-unpublished";
/// After this time a person is told what a build waits for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a waiting build looks whether it may go on.
const LOOK: Duration = Duration::from_millis(50);
/// The most bytes that a document may have.
const MAX_DOCUMENT: u64 = 32 << 20;
/// How much is copied at once.
const PIECE: usize = 256 << 10;

#[derive(Clone, Debug)]
struct Layout {
    folder: PathBuf,
    tag: String,
    /// The very manifest, whatever its tag.
    digest: Option<Digest>,
    /// What stops it, and where it reports.
    remote: Remote,
}

impl Layout {
    fn of(attributes: &mut Attributes, used: Use, remote: &Remote) -> Result<Self, ExportError> {
        let key = match used {
            Use::From => "src",
            Use::To => "dest",
        };
        let Some(folder) = attributes.take(key) else {
            let text = format!("a local cache needs its folder: {key}=…");
            return Err(ExportError::Unsupported(text));
        };
        let digest = attributes.take("digest").map(|text| {
            let parsed = text.parse();
            parsed.map_err(|_| ExportError::value("digest", &text, "expected sha256:…"))
        });
        let folder = std::path::absolute(&folder).unwrap_or_else(|_| folder.into());
        Ok(Self {
            folder,
            tag: attributes
                .take("tag")
                .unwrap_or_else(|| "latest".to_owned()),
            digest: digest.transpose()?,
            remote: remote.clone(),
        })
    }

    fn index(&self) -> Result<Index, BackendError> {
        let path = self.folder.join(INDEX);
        match read(&path) {
            Ok(bytes) => Index::parse(&bytes).map_err(BackendError::malformed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::of(Vec::new())),
            Err(source) => Err(BackendError::io("read", path)(source)),
        }
    }

    /// The index; one that cannot be read names nothing.
    fn index_or_empty(&self) -> Index {
        self.index().unwrap_or_else(|_| Index::of(Vec::new()))
    }

    /// Waits for the lock, and says so when that takes long.
    fn lock(&self, mark: &File) -> Result<(), BackendError> {
        let begun = Instant::now();
        let mut is_reported = false;
        while let Err(error) = flock(mark, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK {
                return Err(BackendError::io("lock", self.folder.join(MARK))(
                    error.into(),
                ));
            }
            self.remote.check_cancelled()?;
            if !is_reported && begun.elapsed() > PATIENCE {
                is_reported = true;
                let name = self.name();
                let text = format!("waiting for another process that writes the cache {name}");
                self.remote.events.warn(text);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn is_meant(&self, entry: &Descriptor) -> bool {
        match &self.digest {
            Some(digest) => entry.digest == *digest,
            None => entry.annotation(REF_NAME) == Some(&self.tag),
        }
    }

    fn inside(&self) -> Folder<'_> {
        Folder(&self.folder)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join(BLOBS).join(digest.hex())
    }

    fn remove_blob(&self, digest: &Digest) -> Result<(), BackendError> {
        self.inside().remove(BLOBS, &digest.hex())
    }

    fn checked(&self, digest: &Digest) -> Result<Vec<u8>, BackendError> {
        let path = self.blob(digest);
        let bytes = read(&path).map_err(BackendError::io("read", path))?;
        if Digest::of(&bytes) != *digest {
            return Err(BackendError::Damaged(*digest));
        }
        Ok(bytes)
    }

    /// Removes what a writer left behind that was killed: beginnings of files, and blobs that it gave no name.
    fn sweep(&self, named: &BTreeSet<Digest>) -> Result<(), BackendError> {
        self.inside().sweep()?;
        let list = self.folder.join(UNPUBLISHED);
        let text = fs::read_to_string(&list).unwrap_or_default();
        let written = text.lines().filter_map(|line| Digest::from_hex(line).ok());
        for digest in written.filter(|digest| !named.contains(digest)) {
            self.remove_blob(&digest)?;
        }
        self.inside().remove("", UNPUBLISHED)
    }

    /// Every digest that the index and what it names need.
    fn named(&self, index: &Index) -> BTreeSet<Digest> {
        let mut named = BTreeSet::new();
        for entry in &index.manifests {
            self.name_all(entry, &mut named, 0);
        }
        named
    }

    /// Removes what only a replaced cache had.
    fn clean(&self, replaced: &[Descriptor], named: &BTreeSet<Digest>) -> Result<(), BackendError> {
        for entry in replaced {
            let Ok(manifest) = self.checked(&entry.digest) else {
                continue;
            };
            let blobs = [format::blobs(&manifest), mounts::blobs(&manifest)].concat();
            let own = if blobs.is_empty() {
                None
            } else {
                Some(entry.digest)
            };
            let digests = blobs.into_iter().map(|blob| blob.digest).chain(own);
            for digest in digests.filter(|digest| !named.contains(digest)) {
                self.remove_blob(&digest)?;
            }
        }
        Ok(())
    }

    /// Every digest that is written in a document of the layout, or in one that it names. More than it needs does no harm.
    fn name_all(&self, entry: &Descriptor, named: &mut BTreeSet<Digest>, depth: usize) {
        const MAX_DEPTH: usize = 4;
        if !named.insert(entry.digest) || depth > MAX_DEPTH {
            return;
        }
        let Ok(bytes) = self.checked(&entry.digest) else {
            return;
        };
        if let Ok(index) = Index::parse(&bytes) {
            let below = index.manifests.iter();
            below.for_each(|below| self.name_all(below, named, depth + 1));
        }
        if let Ok(manifest) = kiln_oci::Manifest::parse(&bytes) {
            named.extend(
                manifest
                    .layers
                    .iter()
                    .chain([&manifest.config])
                    .map(|blob| blob.digest),
            );
        }
    }
}

impl Backend for Layout {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn origin(&self) -> CacheOrigin {
        CacheOrigin::folder(&self.folder)
    }

    fn identity(&self) -> String {
        let name = match &self.digest {
            Some(digest) => format!("@{digest}"),
            None => format!(":{}", self.tag),
        };
        self.origin().to_string() + &name
    }

    fn beside(&self) -> Option<Arc<dyn Backend>> {
        self.digest.is_none().then(|| {
            let tag = format!("{}{MOUNTS}", self.tag);
            Arc::new(Self {
                tag,
                ..self.clone()
            }) as _
        })
    }

    /// Makes the folder a layout, if it is not one yet, and waits until no other process writes it.
    fn turn(&self) -> Result<Option<Turn>, BackendError> {
        let inside = self.inside();
        inside.make(&[MARK, INDEX, UNPUBLISHED])?;
        let mark = inside.file(MARK)?;
        self.lock(&mark)?;
        if mark.metadata().is_ok_and(|found| found.len() == 0) {
            inside.fill(MARK, MARK_TEXT)?;
        }
        self.sweep(&self.named(&self.index_or_empty()))?;
        Ok(Some(mark))
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let index = self.index()?;
        let entry = index.manifests.iter().find(|entry| self.is_meant(entry));
        entry.map(|entry| self.checked(&entry.digest)).transpose()
    }

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, BackendError> {
        self.checked(&blob.digest)
    }

    fn has(&self, blob: &Descriptor, _: &[CacheOrigin]) -> Result<bool, BackendError> {
        let found = self.blob(&blob.digest).symlink_metadata();
        Ok(found.is_ok_and(|found| found.is_file() && found.len() == blob.size))
    }

    fn fetch(
        &self,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError> {
        let path = self.blob(&blob.digest);
        let unreadable = || BackendError::io("read", &path);
        let mut from = open(&path).map_err(unreadable())?;
        let mut to = File::create(part).map_err(BackendError::io("write", part))?;
        let (mut piece, mut done) = (vec![0; PIECE], 0);
        loop {
            self.remote.check_cancelled()?;
            let count = from.read(&mut piece).map_err(unreadable())?;
            if count == 0 {
                return Ok(());
            }
            let written = to.write_all(&piece[..count]);
            written.map_err(BackendError::io("write", part))?;
            done += count as u64;
            progress(done);
        }
    }

    fn send(&self, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), BackendError> {
        let mut bytes = open().map_err(BackendError::io("read", "a layer of the store"))?;
        let name = blob.digest.hex();
        self.inside().append(UNPUBLISHED, &name)?;
        self.inside().write(BLOBS, &name, &mut bytes, false)
    }

    fn shrink(&self, most: u64) -> Result<Shrunk, BackendError> {
        let _turn = self.turn()?;
        self.shrink_to(most)
    }

    fn publish(&self, manifest: &[u8]) -> Result<(), BackendError> {
        let mut entry = Descriptor::of(OCI_MANIFEST, manifest);
        let annotations = [(REF_NAME.to_owned(), self.tag.clone())];
        entry.annotations = annotations.into();
        self.send(&entry, &|| from_memory(manifest))?;
        let mut index = self.index_or_empty();
        let (replaced, mut kept): (Vec<_>, Vec<_>) = index
            .manifests
            .into_iter()
            .partition(|entry| self.is_meant(entry));
        kept.push(entry);
        index.manifests = kept;
        self.inside()
            .write("", INDEX, &mut &*index.to_bytes(), true)?;
        let named = self.named(&index);
        self.clean(&replaced, &named)?;
        self.sweep(&named)
    }
}

/// A whole file that is no FIFO or device.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(io::Error::other("it is too large"));
    }
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}
