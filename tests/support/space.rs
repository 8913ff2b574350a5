//! A scratch space for one case in one mode: a store, a build context, a folder that belongs to whoever runs kiln.
//! Everything goes with it. Unaware of what is built.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::binary::program;
use super::disk::Disk;
use super::image::Image;
use super::mode::Mode;
use super::process::Kiln;
use super::processes::{end, supervisors};
use super::users::Account;

/// The host's programs that the base image `tools` is made of.
pub const TOOLS: &str =
    "sh,cat,ls,id,mkdir,rm,ln,chmod,chown,touch,sleep,stat,mv,cp,env,wc,mknod,readlink";

/// See the module.
#[derive(Debug)]
pub struct Space {
    /// The mode that the case runs in.
    pub mode: Mode,
    account: Option<Account>,
    folder: tempfile::TempDir,
}

impl Space {
    /// Makes a space.
    ///
    /// # Errors
    /// Why the mode cannot run here.
    pub fn new(mode: Mode) -> Result<Self, String> {
        let account = mode.account()?;
        let folder = tempfile::Builder::new()
            .prefix("kiln-e2e-")
            .tempdir()
            .unwrap();
        // Private folders would hide contexts from the user that builds.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let space = Space {
            mode,
            account,
            folder,
        };
        fs::create_dir(space.context()).unwrap();
        space.own_folder("own");
        Ok(space)
    }

    /// A path in the space.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder that belongs to whoever runs kiln.
    pub fn own_folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        self.give(&folder);
        folder
    }

    /// Gives a file to whoever runs kiln.
    pub fn give(&self, path: &Path) {
        if let Some(account) = &self.account {
            chown(path, Some(account.uid), Some(account.gid)).unwrap();
        }
    }

    /// Who runs kiln, if not whoever runs the tests.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The folder in which kiln is started; it may write there.
    pub fn own(&self) -> PathBuf {
        self.path("own")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.path("own/store")
    }

    /// The build context.
    pub fn context(&self) -> PathBuf {
        self.path("context")
    }

    /// Writes a file of the context, with its folders.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write_in("context", path, content)
    }

    /// Writes a file of another folder of the space, with its folders.
    pub fn write_in(&self, folder: &str, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(folder).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A build that is under way may be reading it; what is equal stays untouched.
        if fs::read(&path).ok().as_deref() != Some(content.as_ref()) {
            fs::write(&path, content).unwrap();
        }
        path
    }

    /// A copy of a folder of the repository: the repository may be closed to whoever runs kiln.
    pub fn copy_of(&self, source: &Path, name: &str) -> PathBuf {
        let target = self.path(name);
        copy_folder(source, &target);
        target
    }

    /// The binary, in this space's mode and with its store.
    pub fn kiln<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Kiln {
        self.surround(Kiln::new(self.account.as_ref()).args(arguments))
    }

    /// A shell script that stops at the first failing command, with `kiln` in its path.
    pub fn shell(&self, script: &str) -> Kiln {
        let folder = program().parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let shell = Kiln::of("sh", self.account.as_ref()).args(["-euc", script]);
        self.surround(shell).env("PATH", path)
    }

    fn surround(&self, mut kiln: Kiln) -> Kiln {
        let command = kiln.command();
        command.current_dir(self.own());
        command.env("KILN_STORE", self.store());
        command.env("HOME", self.own());
        if !self.mode.disable().is_empty() {
            command.env("KILN_DISABLE", self.mode.disable());
        }
        kiln
    }

    /// `kiln build` of the context with this Dockerfile; the image is `app:latest`, and `tools` names the host's programs.
    pub fn build(&self, dockerfile: &str) -> Kiln {
        self.write("Dockerfile", dockerfile);
        let tools = format!("tools=host-tools:{TOOLS}");
        let arguments = ["build", "-t", "app", "--build-context"];
        self.kiln(arguments).arg(tools).arg(self.context())
    }

    /// The steps of a build as data instead of text.
    pub fn build_json(&self, dockerfile: &str) -> Kiln {
        self.build(dockerfile).env("KILN_PROGRESS", "json")
    }

    /// Saves an image and reads the archive.
    pub fn image(&self, name: &str) -> Image {
        let path = self
            .own()
            .join(format!("{}.image.tar", name.replace(['/', ':'], "_")));
        let arguments = ["save", "--format", "oci-archive", "-o"];
        self.kiln(arguments).arg(&path).arg(name).ok();
        let image = Image::read(&path);
        fs::remove_file(path).unwrap();
        image
    }

    /// The paths that kiln sees in an image, sorted; whatever its layers are like.
    pub fn image_paths(&self, name: &str) -> Vec<String> {
        let text = format!("FROM scratch\nCOPY --from={name} / /\n");
        self.build(&text).args(["-t", "seen"]).ok();
        let paths = self.image("seen").files.into_keys().collect();
        self.kiln(["rmi", "seen", "app"]).ok();
        paths
    }

    /// The ID of an image, in full.
    pub fn id(&self, name: &str) -> String {
        let found = self.kiln(["inspect", name]).ok();
        let images: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
        images[0]["Id"].as_str().unwrap().to_owned()
    }

    /// Asserts that the store is whole.
    #[track_caller]
    pub fn is_clean(&self) {
        let checked = self.kiln(["fsck"]).ok();
        assert_eq!(checked.stdout, "clean\n", "{checked}");
    }

    /// Removes the store, with what belongs to other ids of a range.
    pub fn remove_store(&self) {
        remove(&self.store());
    }

    /// A small file system for the store, so that it can become full.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn small_disk(&self, bytes: u64) -> Result<Disk, String> {
        let disk = Disk::mount(&self.path("disk"), bytes)?;
        self.give(&self.path("disk"));
        Ok(disk)
    }
}

fn copy_folder(source: &Path, target: &Path) {
    fs::create_dir(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let target = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Folders of other ids, and overlay's own without any permission, can be removed only by root of a namespace.
fn remove(folder: &Path) {
    if super::users::is_root() {
        return fs::remove_dir_all(folder).unwrap();
    }
    let map_all = ["--user", "--map-root-user", "--map-auto"].as_slice();
    for map in [map_all, &map_all[..2]] {
        let removed = Command::new("unshare")
            .args(map)
            .args(["rm", "-rf"])
            .arg(folder)
            .output();
        if removed.is_ok_and(|removed| removed.status.success()) {
            return;
        }
    }
    // What is left in the temporary folder is no case's failure.
}

impl Drop for Space {
    fn drop(&mut self) {
        let containers = fs::read_dir(self.store().join("containers"));
        if containers.is_ok_and(|mut containers| containers.next().is_some()) {
            // a case that has failed may have left some that run
            supervisors(&self.store()).into_iter().for_each(end);
        }
        if !super::users::is_root() {
            remove(&self.own());
        }
    }
}
