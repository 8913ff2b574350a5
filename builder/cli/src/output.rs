//! Files that are there whole or not at all: written without a name, synced, named. Unaware of what is in them.

use crate::failure::{Failure, Kind};
use kiln_engine::Temporary;
use kiln_oci::archive::{MAX_PARTS, Sums, part_path, sums_path};
use kiln_oci::{Digest, HashingWriter};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER: usize = 1 << 20;

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Kind::Environment, format!("{}: {error}", path.display()))
}

/// Writes without a name and then gives it: a reader of the name sees the whole file or the one before. It is on the disk before
/// the name is.
///
/// # Errors
/// Those of `write` and of the disk; nothing half-written stays.
pub fn file<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = failed(path);
    if path.exists() && !path.is_file() {
        // A FIFO or device: there is nothing to rename.
        let file = File::options().write(true).open(path).map_err(&failed)?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let written = write(&mut out)?;
        out.flush().map_err(&failed)?;
        return Ok(written);
    }
    let mut out = BufWriter::with_capacity(BUFFER, temporary(path).map_err(&failed)?);
    let written = write(&mut out)?;
    let temporary = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    temporary.persist(path).map_err(&failed)?;
    sync_folder(path).map_err(&failed)?;
    Ok(written)
}

/// Writes a small file about a result. It is whole, and on the disk before anybody is told; one that says the same already only gets
/// a new time, so that a build that changed nothing waits for no disk. What a link leads to, what is no file (a pipe), and what
/// cannot be replaced (a mount) is written in place.
///
/// # Errors
/// It cannot be written.
pub fn report(path: &Path, text: &str) -> io::Result<()> {
    let is_replaceable = path.symlink_metadata().map_or(true, |stat| stat.is_file());
    if !is_replaceable {
        return std::fs::write(path, text);
    }
    if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        let old = File::options().write(true).open(path)?;
        return old.set_modified(std::time::SystemTime::now());
    }
    let replaced = temporary(path).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.persist(path)?;
        sync_folder(path)
    });
    replaced.or_else(|_| std::fs::write(path, text))
}

/// Makes a folder that must not be there, or be empty, by filling one beside it and renaming that.
///
/// # Errors
/// Those of `fill` and of the disk; nothing half-filled stays.
pub fn folder<T>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = failed(path);
    if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!("{} is not empty", path.display())));
    }
    let temporary = tempfile::Builder::new()
        .prefix(".kiln-save")
        .tempdir_in(parent(path))
        .map_err(&failed)?;
    let filled = fill(temporary.path())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777 & !umask());
    std::fs::set_permissions(temporary.path(), mode).map_err(&failed)?;
    let mut folders = walkdir(temporary.path()).into_iter();
    let synced = folders.try_for_each(|folder| File::open(folder)?.sync_all());
    synced.map_err(&failed)?;
    // An empty folder gives way to a rename.
    std::fs::rename(temporary.path(), path).map_err(&failed)?;
    let _renamed = temporary.keep();
    sync_folder(path).map_err(&failed)?;
    Ok(filled)
}

/// The folder and those in it, two levels deep: a layout has no more.
fn walkdir(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_owned()];
    for at in 0.. {
        let Some(folder) = folders.get(at).cloned() else {
            break;
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    folders
}

/// Cuts what is written into `path.001`, `path.002` and so on, of `size` bytes each, and writes `path.sha256` beside them.
///
/// # Errors
/// Those of `write` and of the disk; more than 999 parts.
pub fn parts<T>(
    path: &Path,
    size: u64,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = failed(path);
    let mut out = Parts {
        path,
        size,
        done: Vec::new(),
        current: None,
    };
    let written = write(&mut out)?;
    let total = out.finish().map_err(&failed)?;
    let sums = Sums {
        part_size: size,
        total,
        digests: out.done.iter().map(|(_, digest)| *digest).collect(),
    };
    let count = out.done.len() as u64;
    for (number, (temporary, _)) in (1..).zip(out.done) {
        let part = part_path(path, number);
        temporary.persist(&part).map_err(&failed)?;
    }
    remove_older(path, count).map_err(&failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    file(&sums_path(path), |out| {
        out.write_all(sums.to_text(&name).as_bytes())
            .map_err(&failed)
    })?;
    Ok(written)
}

/// Removes an older archive of this name: parts beyond `count`, and one that was not split, which `load` would take instead.
fn remove_older(path: &Path, count: u64) -> io::Result<()> {
    let mut more = (count + 1..=MAX_PARTS).map(|number| part_path(path, number));
    while more
        .next()
        .is_some_and(|part| std::fs::remove_file(part).is_ok())
    {}
    match path.is_file() {
        true => std::fs::remove_file(path),
        false => Ok(()),
    }
}

struct Parts<'a> {
    path: &'a Path,
    size: u64,
    done: Vec<(Temporary, Digest)>,
    current: Option<HashingWriter<BufWriter<Temporary>>>,
}

impl Parts<'_> {
    fn close(&mut self) -> io::Result<u64> {
        let Some(part) = self.current.take() else {
            return Ok(0);
        };
        let (out, digest, size) = part.finish();
        let temporary = out.into_inner().map_err(|error| error.into_error())?;
        temporary.sync()?;
        self.done.push((temporary, digest));
        Ok(size)
    }

    /// Closes the last part; the size of all.
    fn finish(&mut self) -> io::Result<u64> {
        let before = self.size * self.done.len() as u64;
        Ok(before + self.close()?)
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self
            .current
            .as_ref()
            .is_some_and(|part| part.count() == self.size)
        {
            self.close()?;
        }
        if self.current.is_none() {
            if self.done.len() as u64 == MAX_PARTS {
                return Err(io::Error::other(format!(
                    "more than {MAX_PARTS} parts: --split needs a larger size"
                )));
            }
            let out = BufWriter::with_capacity(BUFFER, temporary(self.path)?);
            self.current = Some(HashingWriter::new(out));
        }
        let Some(part) = &mut self.current else {
            return Ok(0);
        };
        let left = usize::try_from(self.size - part.count()).unwrap_or(usize::MAX);
        part.write(&bytes[..bytes.len().min(left)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn temporary(path: &Path) -> io::Result<Temporary> {
    Temporary::new(parent(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// What the user wants files to look like; a temporary file is private at first.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
    rustix::process::umask(mask);
    mask.bits()
}
