//! The binary under test, at a path that every user of the tests may execute. Unaware of what is done with it.

use std::fs::{self, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// A copy that nobody has made anew for as long is of a build that is gone.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the binary under test is: `KILN_BIN` names another one, an older release for instance.
pub fn binary_path() -> PathBuf {
    std::env::var_os("KILN_BIN").map_or_else(|| env!("CARGO_BIN_EXE_kiln").into(), PathBuf::from)
}

/// A copy of it, called `kiln`, the only file of its folder: the folder of the build may be closed to the user that runs it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let binary = binary_path();
        let found = fs::metadata(&binary).unwrap();
        let copies = folder_of_copies();
        remove_old(&copies);
        let folder = copies.join(name(&found));
        if !folder.join("kiln").exists() {
            copy(&binary, &folder);
        }
        folder.join("kiln")
    })
}

/// Nobody else may write there: root executes what it holds.
fn folder_of_copies() -> PathBuf {
    let caller = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("kiln-e2e-bin-{caller}"));
    // It may be there already; whose it is counts.
    let _ = fs::DirBuilder::new().mode(0o755).create(&folder);
    let found = fs::symlink_metadata(&folder).unwrap();
    let is_own = found.is_dir() && found.uid() == caller && found.mode() & 0o022 == 0;
    assert!(is_own, "{} belongs to somebody else", folder.display());
    folder
}

fn name(binary: &Metadata) -> String {
    let (device, inode) = (binary.dev(), binary.ino());
    format!(
        "{device}-{inode}-{}-{}",
        binary.mtime(),
        binary.mtime_nsec()
    )
}

fn remove_old(copies: &Path) {
    for entry in fs::read_dir(copies).unwrap().flatten() {
        let age = entry.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            // Another process of the tests may do the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// By `cp`: a process that another thread starts meanwhile inherits what this one has open for writing, and what is open for writing cannot
/// be executed.
fn copy(binary: &Path, folder: &Path) {
    let made = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(folder.parent().unwrap())
        .unwrap();
    let copied = Command::new("cp")
        .arg(binary)
        .arg(made.path().join("kiln"))
        .status();
    assert!(copied.unwrap().success());
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // If another process was faster, its copy is as good.
    if fs::rename(made.path(), folder).is_ok() {
        let _ = made.keep();
    }
}
