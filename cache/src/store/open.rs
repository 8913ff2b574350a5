//! A store's folder: making it, and telling whether it is one.
//!
//! The version file is what makes a folder a store, so it gets its name last, when everything below it is on the disk. One that
//! is torn, empty or missing beside kiln's own folders (a power cut, when an older kiln made the store) says that the store is
//! being made, and it is made on.
//!
//! The folder's own mode may come from a mount or from its maker. Whatever it is, nothing in the folder is open to other
//! users: its folders have mode 0700 and its files 0600. Unaware of what a store holds.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::StoreError;
use crate::store::database::Database;
use crate::store::folders::{FOLDERS, folder, folders, private};
use crate::store::lock::Held;
use crate::store::room::{self, BALLAST};
use crate::store::waiting::{Wait, Waiter};

/// The version file.
const VERSION: &str = "kiln store 1\n";
/// What a version file of any kiln begins with.
const MAGIC: &str = "kiln store ";
/// The database's file.
pub(crate) const DATABASE: &str = "kiln.db";
/// What else may be in a store that is being made; anything else is the user's data. A new file system has `lost+found`.
const FILES: [&str; 4] = ["version", "version.new", BALLAST, "lost+found"];
/// Mode bits of other users.
const OTHERS: u32 = 0o077;
/// File systems whose locks do not reach other machines, or not reliably (linux/magic.h, smb2).
const NETWORK: [(u64, &str); 6] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9p"),
];

/// Checks that `root` is a store of this user, or makes it one. What is returned tells the device that it is on.
pub(crate) fn prepare(
    root: &Path,
    read_only: bool,
    waiter: &Arc<dyn Waiter>,
) -> Result<Metadata, StoreError> {
    match check_version(root) {
        Err(StoreError::NotAStore { .. }) if !read_only => make(root, waiter)?,
        outcome => outcome?,
    }
    let stat = check_owner(root)?;
    check_filesystem(root)?;
    let is_whole = super::folders::check(root)?;
    if !read_only {
        close_to_others(root)?;
    }
    if !read_only && !is_whole {
        // it was tidied up by hand; who needs a folder that cannot be made will say so
        let _ = folders(root);
    }
    Ok(stat)
}

/// `NotAStore` when there is nothing yet, something unfinished, or something else.
fn check_version(root: &Path) -> Result<(), StoreError> {
    let path = root.join("version");
    let not_a_store = || StoreError::NotAStore {
        path: root.to_owned(),
    };
    match std::fs::read(&path) {
        Ok(bytes) if bytes == VERSION.as_bytes() => Ok(()),
        Ok(bytes) if is_torn(&bytes) => Err(not_a_store()),
        Ok(bytes) => Err(StoreError::Version {
            path: root.to_owned(),
            found: crate::path::display(bytes.trim_ascii()),
            known: VERSION.trim(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_a_store()),
        Err(source) => Err(StoreError::io("read", &path, source)),
    }
}

/// Whether no kiln has written these bytes as a whole version file.
fn is_torn(bytes: &[u8]) -> bool {
    let number = bytes
        .strip_prefix(MAGIC.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\n"));
    number.is_none_or(|number| number.is_empty() || !number.iter().all(u8::is_ascii_digit))
}

/// Makes the folders, the database, and at last the version file. Processes that try at once take turns.
fn make(root: &Path, waiter: &Arc<dyn Waiter>) -> Result<(), StoreError> {
    folder_with_parents(root).map_err(|source| StoreError::io("make", root, source))?;
    check_filesystem(root)?;
    check_owner(root)?;
    let _turn = turn(root, waiter.as_ref())?;
    match check_version(root) {
        Err(StoreError::NotAStore { .. }) => {}
        outcome => return outcome,
    }
    refuse_others(root)?;
    super::folders::check(root)?;
    fill(root, waiter)
}

/// One process at a time makes a store, or what it has lost.
pub(crate) fn turn(root: &Path, waiter: &dyn Waiter) -> Result<Held, StoreError> {
    let mut wait = Wait::begin();
    loop {
        let held = File::open(root).and_then(Held::exclusive);
        match held.map_err(|source| StoreError::io("lock", root, source))? {
            Some(held) => return Ok(held),
            None => wait.pause_or_stop(waiter, "it makes the store")?,
        }
    }
}

/// Makes what is missing of a store. A database that is lost while there are blobs is not made anew: the blobs may be wanted.
pub(crate) fn fill(root: &Path, waiter: &Arc<dyn Waiter>) -> Result<(), StoreError> {
    folders(root)?;
    Database::make(&root.join(DATABASE), waiter)?;
    for synced in ["blobs", "."] {
        sync_folder(&root.join(synced))?;
    }
    let version = root.join("version");
    write_version(root, &version).map_err(|source| StoreError::io("make", &version, source))?;
    sync_folder(root)?;
    room::hold(root);
    Ok(())
}

fn write_version(root: &Path, version: &Path) -> io::Result<()> {
    let new = root.join("version.new");
    let mut file = private(&new)?;
    file.write_all(VERSION.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, version)
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| StoreError::io("sync", path, source))
}

/// The same with everything above it, durably: a store whose own name is lost is lost.
fn folder_with_parents(path: &Path) -> io::Result<()> {
    let mut missing = path.ancestors().take_while(|above| !above.exists());
    let first_new = missing.by_ref().last();
    folder(path)?;
    let Some(first_new) = first_new else {
        return Ok(());
    };
    let made = path.ancestors().take_while(|above| *above != first_new);
    for named in made.chain([first_new]).filter_map(Path::parent) {
        File::open(named)?.sync_all()?;
    }
    Ok(())
}

/// Refuses a folder with data of the user: it is no store that is being made.
fn refuse_others(root: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", root, source);
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let first = |known: &'static str| known.split('/').next().unwrap_or(known);
        let known = FOLDERS.into_iter().map(first).chain(FILES);
        if !known.into_iter().any(|known| name == known)
            && !name.to_string_lossy().starts_with(DATABASE)
        {
            return Err(StoreError::NotAStore {
                path: root.to_owned(),
            });
        }
    }
    Ok(())
}

/// Takes other users' rights on what is in the store's folder, where an older kiln or the user has given some. Only the
/// database is looked at: whatever opened it to others did so with all.
fn close_to_others(root: &Path) -> Result<(), StoreError> {
    let database = root.join(DATABASE);
    let is_open = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|stat| !stat.is_symlink() && stat.mode() & OTHERS != 0)
    };
    if !is_open(&database) {
        return Ok(());
    }
    let failed = |source| StoreError::io("read", root, source);
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        // what vanishes meanwhile, or is not ours, is no file of the store
        if is_open(&path) {
            let _ = std::fs::set_permissions(&path, Permissions::from_mode(mode));
        }
    }
    Ok(())
}

fn check_owner(root: &Path) -> Result<Metadata, StoreError> {
    let stat = std::fs::metadata(root).map_err(|source| StoreError::io("look at", root, source))?;
    let (owner, uid) = (stat.uid(), rustix::process::geteuid().as_raw());
    if owner != uid {
        return Err(StoreError::Owner {
            path: root.to_owned(),
            owner,
            uid,
        });
    }
    Ok(stat)
}

fn check_filesystem(root: &Path) -> Result<(), StoreError> {
    let stat =
        rustix::fs::statfs(root).map_err(|errno| StoreError::io("look at", root, errno.into()))?;
    // the field is signed or 32 bits wide on some architectures
    let magic = u64::try_from(i128::from(stat.f_type) & 0xffff_ffff).unwrap_or(0);
    match NETWORK.iter().find(|(known, _)| *known == magic) {
        Some((_, filesystem)) => Err(StoreError::NetworkFilesystem {
            path: root.to_owned(),
            filesystem,
        }),
        None => Ok(()),
    }
}
