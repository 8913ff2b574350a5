//! Containers that are kept: a folder for each, with what it has changed, until somebody removes it. The layers below it stay as long as it
//! is there. Unaware of what a container is: the other files in its folder are read and written for whoever knows.
//!
//! ```text
//! containers/<id>/      twelve hexadecimal digits; all of it appears at once
//!   layers              diff IDs of the layers that it stands on, bottom first, a line each
//!   lock                flock held by the process that runs it; it goes with the process, however that ends
//!   upper/  work/       what it has changed, and overlayfs's own folder
//! containers/new/       one that is being made, by who holds the lock `containers`
//! ```

use std::collections::BTreeSet;
use std::fs::{DirEntry, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kiln_oci::Digest;
use rustix::fs::OFlags;

use crate::inventory::list;
use crate::store::lease::random;
use crate::store::lock::{LockedFile, is_locked, lock_file, wait_for_file};
use crate::usage::{Class, measured};
use crate::{Chain, Containers, StoreError, Upper};

/// Digits of an ID.
const ID_LENGTH: usize = 12;
/// Larger files are none that kiln wrote.
const MAX_FILE: u64 = 4 << 20;
const LAYERS: &str = "layers";
/// The folder that becomes a container.
const NEW: &str = "new";
const LOCK: &str = "lock";

/// A container that this process runs, or removes. Dropping it lets others.
#[derive(Debug)]
pub struct HeldContainer {
    _lock: LockedFile,
}

/// While it lives, nobody else makes a container.
#[derive(Debug)]
pub struct ContainerTurn {
    _lock: LockedFile,
}

impl Containers<'_> {
    /// Waits until nobody else makes a container, so that names can be looked at and given.
    ///
    /// # Errors
    /// The lock cannot be taken, or the caller is stopped.
    pub fn turn(&self) -> Result<ContainerTurn, StoreError> {
        self.store.leases().own()?;
        let path = self.store.root().join("locks").join("containers");
        let lock = wait_for_file(&path, self.store.waiter(), "it makes a container")?;
        Ok(ContainerTurn { _lock: lock })
    }

    /// Makes a container above layers that this process has pinned, with the files that `files` gives for its ID. Returns the ID, and the
    /// right to run it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(
        &self,
        layers: &[Digest],
        files: impl FnOnce(&str) -> Vec<(&'static str, Vec<u8>)>,
        _turn: &ContainerTurn,
    ) -> Result<(String, HeldContainer), StoreError> {
        let id = self.new_id()?;
        let new = self.made()?;
        let of_layers = (LAYERS, listed(layers).into_bytes());
        for (name, bytes) in files(&id).into_iter().chain([of_layers]) {
            let path = new.join(name);
            let written = std::fs::write(&path, bytes);
            written.map_err(|source| StoreError::io("write", &path, source))?;
        }
        let path = self.path(&id);
        self.store.scratch().put_in_place(&new, &path)?;
        let held = self.hold(&id)?.ok_or(StoreError::InUse { path })?;
        Ok((id, held))
    }

    /// A folder that becomes one, empty: what is there is left over from a process that is gone.
    fn made(&self) -> Result<PathBuf, StoreError> {
        let path = self.folder().join(NEW);
        self.store.trash().put(&path)?;
        std::fs::create_dir_all(&path).map_err(|source| StoreError::io("make", &path, source))?;
        Ok(path)
    }

    fn new_id(&self) -> Result<String, StoreError> {
        let folder = self.folder();
        let bits = || random().map_err(|source| StoreError::io("name", &folder, source));
        loop {
            let mut id = format!("{:08x}{:08x}", bits()?, bits()?);
            id.truncate(ID_LENGTH);
            if !self.path(&id).exists() {
                return Ok(id);
            }
        }
    }

    /// The IDs of all containers, sorted.
    ///
    /// # Errors
    /// Their folder cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, StoreError> {
        let entries = list(&self.folder())?;
        let is_one = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let names = entries.iter().filter(|entry| is_one(entry));
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| is_id(name)).collect();
        ids.sort();
        Ok(ids)
    }

    /// The folder of a container.
    #[must_use]
    pub fn path(&self, id: &str) -> PathBuf {
        self.folder().join(id)
    }

    fn folder(&self) -> PathBuf {
        self.store.root().join("containers")
    }

    /// The right to run a container, or to remove it; none while another process has it.
    ///
    /// # Errors
    /// It is gone, or its lock cannot be taken.
    pub fn hold(&self, id: &str) -> Result<Option<HeldContainer>, StoreError> {
        let path = self.path(id).join(LOCK);
        let held = lock_file(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        Ok(held.map(|lock| HeldContainer { _lock: lock }))
    }

    /// Whether a process has that right.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn is_held(&self, id: &str) -> Result<bool, StoreError> {
        let path = self.path(id).join(LOCK);
        is_locked(&path).map_err(|source| StoreError::io("lock", &path, source))
    }

    /// One of its files; none where it has no such file. What kiln has not written is an error: a link, another kind of file, a large one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, id: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(id).join(name);
        match read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", &path, source)),
        }
    }

    /// Writes one of its files, whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or it is gone.
    pub fn write(&self, id: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(id).join(name);
        self.store.scratch().replace_file(&path, bytes)
    }

    /// Removes a container that this process holds, with all that it has changed. Its layers may go with the next prune.
    ///
    /// # Errors
    /// The rename fails.
    pub fn remove(&self, id: &str, held: HeldContainer) -> Result<(), StoreError> {
        self.store.trash().put(&self.path(id))?;
        drop(held);
        Ok(())
    }

    /// What it has changed, to be mounted again; what it will change, if it never ran.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn upper(&self, id: &str, below: &Chain) -> Result<Upper, StoreError> {
        let Some(upper) = self.changes(id) else {
            return self.store.views().upper_in(&self.path(id), below);
        };
        let path = &upper.work;
        self.store.trash().put(path)?;
        std::fs::create_dir(path).map_err(|source| StoreError::io("make", path, source))?;
        Ok(upper)
    }

    /// The same, if it ever ran with an upper.
    #[must_use]
    pub fn changes(&self, id: &str) -> Option<Upper> {
        let [upper, work] = ["upper", "work"].map(|name| self.path(id).join(name));
        upper.is_dir().then_some(Upper { upper, work })
    }

    /// The layers below a container; none of one that is gone.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn layers(&self, id: &str) -> Result<Vec<Digest>, StoreError> {
        let path = self.path(id).join(LAYERS);
        let failed = |action, kind: io::ErrorKind| StoreError::io(action, &path, kind.into());
        let Some(bytes) = self.read(id, LAYERS)? else {
            let is_gone = !self.path(id).exists();
            let gone = is_gone.then(Vec::new);
            return gone.ok_or_else(|| failed("read", io::ErrorKind::NotFound));
        };
        let text = String::from_utf8_lossy(&bytes);
        let layers = text.lines().map(str::parse).collect::<Result<_, _>>();
        layers.map_err(|_| failed("understand", io::ErrorKind::InvalidData))
    }

    /// Puts a layer above them: what it has changed, where no upper has that.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add_layer(&self, id: &str, layer: &Digest) -> Result<(), StoreError> {
        let mut layers = self.layers(id)?;
        layers.push(*layer);
        self.stand_on(id, &layers)
    }

    /// Writes down which layers it stands on, bottom first.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stand_on(&self, id: &str, layers: &[Digest]) -> Result<(), StoreError> {
        self.write(id, LAYERS, listed(layers).as_bytes())
    }

    /// Those of some layers that are not here and come from nowhere.
    ///
    /// # Errors
    /// The database fails.
    pub fn lost_layers(&self, layers: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let mut lost = Vec::new();
        for layer in layers {
            let is_here = self.store.blobs().has(layer)?;
            if !is_here && self.store.origins().blobs_of_layer(layer)?.is_empty() {
                lost.push(*layer);
            }
        }
        Ok(lost)
    }

    /// The layers below all of them, which stay.
    ///
    /// # Errors
    /// Those of one cannot be read: then nobody knows which may go.
    pub(crate) fn all_layers(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut all = BTreeSet::new();
        for id in self.ids()? {
            all.extend(self.layers(&id)?);
        }
        Ok(all)
    }

    /// Bytes of what it has changed.
    #[must_use]
    pub fn bytes(&self, id: &str) -> u64 {
        measured(&self.path(id), false).bytes
    }

    /// What all of them have changed: a container is one thing, and none goes unasked.
    pub(crate) fn usage(&self) -> Result<Class, StoreError> {
        let count = self.ids()?.len() as u64;
        let measured = measured(&self.folder(), false);
        Ok(Class { count, ..measured })
    }
}

fn listed(layers: &[Digest]) -> String {
    layers.iter().map(|layer| format!("{layer}\n")).collect()
}

fn is_id(name: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == ID_LENGTH && name.bytes().all(is_digit)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    let stat = file.metadata()?;
    if !stat.is_file() || stat.len() > MAX_FILE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Meta;
    use crate::tests::store;
    use crate::{PruneOptions, Store};

    fn made(store: &Store, layers: &[Digest]) -> (String, HeldContainer) {
        let containers = store.containers();
        let turn = containers.turn().unwrap();
        let files = |id: &str| vec![("record", id.as_bytes().to_vec())];
        containers.create(layers, files, &turn).unwrap()
    }

    #[test]
    fn its_layers_stay_as_long_as_it_is_there() {
        let (folder, store) = store();
        let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
        let meta = Meta::root(0o644, 0);
        writer.file(b"file", &meta, 1, &mut &b"x"[..]).unwrap();
        let below = writer.finish().unwrap().unwrap().diff_id();
        let (id, held) = made(&store, &[below]);
        drop((held, store));
        let open = || Store::open(crate::tests::options(&folder.path().join("store"))).unwrap();
        let pruned = |store: &Store| {
            let everything = PruneOptions {
                images: true,
                cache: true,
                ..PruneOptions::default()
            };
            store.garbage().prune(everything).unwrap();
            store.layers().index(&below).is_err()
        };
        let store = open();
        assert!(!pruned(&store));
        let containers = store.containers();
        assert_eq!(containers.layers(&id).unwrap(), [below]);
        let held = containers.hold(&id).unwrap().unwrap();
        assert!(containers.is_held(&id).unwrap());
        containers.remove(&id, held).unwrap();
        assert!(containers.ids().unwrap().is_empty() && pruned(&store));
    }

    #[test]
    fn what_kiln_has_not_written_is_no_file_of_a_container() {
        let (_folder, store) = store();
        let (id, _held) = made(&store, &[]);
        let containers = store.containers();
        assert_eq!(
            containers.read(&id, "record").unwrap().unwrap(),
            id.as_bytes()
        );
        assert!(containers.read(&id, "state").unwrap().is_none());
        containers.write(&id, "state", b"1").unwrap();
        assert_eq!(containers.read(&id, "state").unwrap().unwrap(), b"1");
        let path = containers.path(&id);
        std::os::unix::fs::symlink("record", path.join("link")).unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        assert!(containers.read(&id, "link").is_err() && containers.read(&id, "folder").is_err());
        std::fs::write(path.join(LAYERS), "no digest\n").unwrap();
        assert!(containers.layers(&id).is_err() && containers.all_layers().is_err());
        std::fs::remove_file(path.join(LAYERS)).unwrap();
        assert!(containers.all_layers().is_err() && containers.layers("0123456789ab").is_ok());
        std::fs::create_dir(store.root().join("containers/other")).unwrap();
        assert_eq!(containers.ids().unwrap(), [id]);
    }
}
