//! Mounts without mounting: what a run is to see is moved into its tree, what stood there is moved aside, and after the run both go back.
//! The tree is then as if it had been mounted over: what the run did in a mount is in no layer. Unaware of what is planted.
//!
//! The folders are held open, so that nothing that the run renames leads out of them. Their times are put back where only this changed them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, fstat, mkdirat, renameat, unlinkat};
use rustix::io::Errno;

use crate::path::{Missing, open_parent};
use crate::root::detached::open_folder_at;
use crate::root::stubs::{put_back, times};

/// What stands in a tree until it is removed.
#[derive(Debug)]
pub struct Planted {
    aside: OwnedFd,
    count: usize,
    done: Vec<Done>,
}

#[derive(Debug)]
enum Done {
    /// A folder on the way to a mount point, which the tree lacked.
    Folder {
        parent: OwnedFd,
        name: OsString,
    },
    Planted(Plant),
}

#[derive(Debug)]
struct Plant {
    folder: OwnedFd,
    name: OsString,
    /// What stood there, by its name in the folder aside.
    covered: Option<OsString>,
    /// Where it came from, and goes back to.
    home: Option<(OwnedFd, OsString)>,
}

/// What is planted.
#[derive(Debug)]
pub enum Seed<'a> {
    /// Something that is moved from a folder, by its name there, and goes back to it if it is kept.
    Moved {
        from: OwnedFd,
        name: &'a OsStr,
        is_kept: bool,
    },
    /// An empty folder with this mode.
    Folder(u32),
}

impl Planted {
    /// Nothing yet. What is covered will be in `aside`.
    pub fn new(aside: OwnedFd) -> Self {
        Self {
            aside,
            count: 0,
            done: Vec::new(),
        }
    }

    /// Puts something at `target` inside `root`, and gives the folder that it stands in, with its name there.
    pub fn plant(
        &mut self,
        root: BorrowedFd<'_>,
        target: &Path,
        seed: Seed<'_>,
    ) -> io::Result<(BorrowedFd<'_>, &OsStr)> {
        self.put(root, target, |plant| plant.grow(seed))
    }

    /// Lets `make` make something at `target` inside `root`, in the folder and with the name that it is given.
    pub fn make(
        &mut self,
        root: BorrowedFd<'_>,
        target: &Path,
        make: impl FnOnce(BorrowedFd<'_>, &OsStr) -> io::Result<()>,
    ) -> io::Result<()> {
        let make = |plant: &mut Plant| make(plant.folder.as_fd(), &plant.name);
        self.put(root, target, make).map(drop)
    }

    /// The folder has its own times when `grow` is done.
    fn put(
        &mut self,
        root: BorrowedFd<'_>,
        target: &Path,
        grow: impl FnOnce(&mut Plant) -> io::Result<()>,
    ) -> io::Result<(BorrowedFd<'_>, &OsStr)> {
        let done = &mut self.done;
        let mut parent = |missing: &Missing<'_>| make_parent(missing, done);
        let (folder, name) = open_parent(root, target, &mut parent)?;
        let before = times(&fstat(&folder)?);
        let mut plant = self.cover(folder, name)?;
        let grown = grow(&mut plant);
        let put = put_back(plant.folder.as_fd(), &before);
        self.done.push(Done::Planted(plant));
        grown.and(put)?;
        match self.done.last() {
            Some(Done::Planted(plant)) => Ok((plant.folder.as_fd(), &plant.name)),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Moves what stands at a name aside.
    fn cover(&mut self, folder: OwnedFd, name: OsString) -> io::Result<Plant> {
        self.count += 1;
        let aside = OsString::from(format!("{}-covered", self.count));
        let covered = moved(&folder, &name, &self.aside, &aside)?.then_some(aside);
        Ok(Plant {
            folder,
            name,
            covered,
            home: None,
        })
    }

    /// Takes everything out again. Call when no process of the run is left. Goes on after an error, and gives the first one.
    pub fn remove(mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (number, done) in std::mem::take(&mut self.done).into_iter().enumerate().rev() {
            let removed = match done {
                Done::Folder { parent, name } => remove_parent(&parent, &name),
                Done::Planted(plant) => self.uproot(number, &plant),
            };
            result = result.and(removed);
        }
        result
    }

    fn uproot(&self, number: usize, plant: &Plant) -> io::Result<()> {
        let before = times(&fstat(&plant.folder)?);
        match &plant.home {
            Some((home, name)) => moved(&plant.folder, &plant.name, home, name)?,
            None => {
                let gone = OsString::from(format!("{number}-planted"));
                moved(&plant.folder, &plant.name, &self.aside, &gone)?
            }
        };
        if let Some(covered) = &plant.covered {
            moved(&self.aside, covered, &plant.folder, &plant.name)?;
        }
        put_back(plant.folder.as_fd(), &before)
    }
}

impl Plant {
    fn grow(&mut self, seed: Seed<'_>) -> io::Result<()> {
        match seed {
            Seed::Folder(mode) => {
                mkdirat(&self.folder, &self.name, Mode::empty())?;
                let made = open_folder_at(&self.folder, &self.name)?;
                Ok(rustix::fs::fchmod(made, Mode::from_raw_mode(mode))?)
            }
            Seed::Moved {
                from,
                name,
                is_kept,
            } => {
                renameat(&from, name, &self.folder, &self.name)?;
                self.home = is_kept.then(|| (from, name.to_owned()));
                Ok(())
            }
        }
    }
}

/// Moves what there is; whether there was something. A folder that the run has removed takes nothing back.
fn moved(from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &OsStr) -> io::Result<bool> {
    match renameat(from, name, to, new) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn make_parent(missing: &Missing<'_>, done: &mut Vec<Done>) -> io::Result<()> {
    let before = times(&fstat(missing.folder)?);
    mkdirat(missing.folder, missing.name, Mode::from_raw_mode(0o755))?;
    put_back(missing.folder, &before)?;
    done.push(Done::Folder {
        parent: open_folder_at(missing.folder, OsStr::new("."))?,
        name: missing.name.to_owned(),
    });
    Ok(())
}

/// One that the run has filled stays.
fn remove_parent(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let before = times(&fstat(parent)?);
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => put_back(parent.as_fd(), &before),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
