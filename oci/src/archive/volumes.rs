//! A file that may be cut into parts, read at any place: `save --split` writes `FILE.001`,
//! `FILE.002` and so on, which `cat` joins again. Unaware of what is inside.
//!
//! Beside the parts stands `FILE.sha256`, which `sha256sum -c` checks:
//!
//! ```text
//! # kiln split: 3 parts, 1000000 bytes each, 2500000 bytes in all
//! <64 digits>  FILE.001
//! ```
//!
//! It is for messages: which part is missing, which is not what it was. Without it the parts are
//! read as long as their numbers follow each other.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::LoadError;
use crate::digest::{Digest, Hasher};

/// The most parts: their numbers have three digits, so that a shell's `FILE.*` keeps their order.
pub const MAX_PARTS: u64 = 999;
/// The largest sum file that is read; it has a line for each part.
const MAX_SUMS: u64 = 1 << 20;

/// A file, or the parts of one in their order.
#[derive(Debug)]
pub(super) struct Volumes {
    parts: Vec<Part>,
    sums: Option<Sums>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    /// Where it starts in the whole, and where the next one does.
    start: u64,
    end: u64,
}

/// What `FILE.sha256` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Bytes of each part but the last.
    pub part_size: u64,
    /// Bytes of all together.
    pub total: u64,
    /// The digest of each part, in order.
    pub digests: Vec<Digest>,
}

impl Sums {
    /// The text of the sum file for parts of `name`, a file name without folder.
    pub fn to_text(&self, name: &str) -> String {
        let count = self.digests.len();
        let mut text = format!(
            "# kiln split: {count} parts, {} bytes each, {} bytes in all\n",
            self.part_size, self.total
        );
        for (number, digest) in (1..).zip(&self.digests) {
            text.push_str(&format!("{}  {name}.{number:03}\n", digest.hex()));
        }
        text
    }

    /// Reads such a text; `None` when it is anything else.
    fn parse(text: &str) -> Option<Self> {
        let (head, lines) = text.split_once('\n')?;
        let mut numbers = head
            .strip_prefix("# kiln split: ")?
            .split(", ")
            .map(|part| part.split(' ').next()?.parse().ok());
        let count: u64 = numbers.next()??;
        let (part_size, total) = (numbers.next()??, numbers.next()??);
        let digests: Vec<Digest> = lines
            .lines()
            .map(|line| Digest::from_hex(line.split("  ").next()?).ok())
            .collect::<Option<_>>()?;
        (digests.len() as u64 == count && (1..=MAX_PARTS).contains(&count)).then_some(Self {
            part_size,
            total,
            digests,
        })
    }
}

/// Why reading a split archive failed, when it is that a part is not what it was. Reads all parts.
pub fn damaged_part(path: &Path) -> Option<LoadError> {
    match Volumes::open(path) {
        Ok(volumes) => volumes.damage(),
        Err(error) => Some(error),
    }
}

/// The path of a part; the first is number 1.
pub fn part_path(whole: &Path, number: u64) -> PathBuf {
    with_suffix(whole, &format!(".{number:03}"))
}

/// The path of the sum file.
pub fn sums_path(whole: &Path) -> PathBuf {
    with_suffix(whole, ".sha256")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The path that was split, when `path` is that of a split file or of its first part.
fn split_at(path: &Path) -> Option<PathBuf> {
    if !path.exists() {
        return part_path(path, 1).exists().then(|| path.to_owned());
    }
    let whole = path
        .extension()
        .is_some_and(|extension| extension == "001")
        .then(|| path.with_extension(""))?;
    (part_path(&whole, 2).exists() || sums_path(&whole).exists()).then_some(whole)
}

impl Volumes {
    /// Opens a file; a path that does not exist, or ends with `.001`, may mean the parts of one.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let mut volumes = Self::empty();
        let Some(whole) = split_at(path) else {
            volumes.push(path.to_owned())?;
            return Ok(volumes);
        };
        volumes.sums = read_sums(&sums_path(&whole));
        let known = volumes.sums.as_ref().map(|sums| sums.digests.len() as u64);
        for number in 1..=known.unwrap_or(MAX_PARTS) {
            let path = part_path(&whole, number);
            if path.exists() {
                volumes.push(path)?;
                continue;
            }
            let goes_on = part_path(&whole, number + 1).exists();
            let Some(count) = known.or(goes_on.then_some(number + 1)) else {
                break;
            };
            return Err(LoadError::PartMissing {
                path,
                number,
                count,
            });
        }
        volumes.check_sizes()?;
        Ok(volumes)
    }

    fn empty() -> Self {
        Self {
            parts: Vec::new(),
            sums: None,
        }
    }

    /// One open file.
    pub(super) fn of(file: File) -> Result<Self, LoadError> {
        let mut volumes = Self::empty();
        volumes.add(PathBuf::new(), file)?;
        Ok(volumes)
    }

    fn push(&mut self, path: PathBuf) -> Result<(), LoadError> {
        let opened = File::open(&path);
        let file = opened.map_err(|source| LoadError::Open {
            path: path.clone(),
            source,
        })?;
        self.add(path, file)
    }

    pub(super) fn add(&mut self, path: PathBuf, file: File) -> Result<(), LoadError> {
        let start = self.size();
        let end = start + file.metadata()?.len();
        self.parts.push(Part {
            path,
            file,
            start,
            end,
        });
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), LoadError> {
        let Some(sums) = &self.sums else {
            return Ok(());
        };
        for (number, part) in (1..).zip(&self.parts) {
            let before = sums.part_size.saturating_mul(number - 1);
            let expected = sums.part_size.min(sums.total.saturating_sub(before));
            let actual = part.end - part.start;
            if actual != expected {
                return Err(LoadError::PartSize {
                    path: part.path.clone(),
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }

    /// Bytes in all.
    pub(super) fn size(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Reads some bytes from `position` on; 0 at the end.
    pub(super) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let at = self.parts.partition_point(|part| part.end <= position);
        let Some(part) = self.parts.get(at) else {
            return Ok(0);
        };
        let left = usize::try_from(part.end - position).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        part.file
            .read_at(&mut buffer[..length], position - part.start)
    }

    /// Reads from the start.
    pub(super) fn reader(&self) -> VolumesReader<'_> {
        VolumesReader {
            volumes: self,
            position: 0,
        }
    }

    /// The first part that is not what it was, as far as that is known. Reads all parts.
    fn damage(&self) -> Option<LoadError> {
        let sums = self.sums.as_ref()?;
        let found: Vec<Option<Digest>> = self.parts.iter().map(Part::digest).collect();
        let wrong = found
            .iter()
            .zip(&sums.digests)
            .position(|(found, expected)| *found != Some(*expected))?;
        let real = found[wrong].and_then(|found| sums.digests.iter().position(|d| *d == found));
        Some(LoadError::PartDamaged {
            path: self.parts[wrong].path.clone(),
            real: real.map_or_else(String::new, |at| {
                format!(": it holds what part {} should hold", at + 1)
            }),
        })
    }
}

impl Part {
    fn digest(&self) -> Option<Digest> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 18];
        let mut position = 0;
        loop {
            match self.file.read_at(&mut buffer, position).ok()? {
                0 => return Some(hasher.finish()),
                n => {
                    hasher.update(&buffer[..n]);
                    position += n as u64;
                }
            }
        }
    }
}

/// The sum file, when there is one that can be understood: it only serves messages.
fn read_sums(path: &Path) -> Option<Sums> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(MAX_SUMS)
        .read_to_string(&mut text)
        .ok()?;
    Sums::parse(&text)
}

/// Reads [`Volumes`] one after another.
#[derive(Debug)]
pub(super) struct VolumesReader<'a> {
    volumes: &'a Volumes,
    position: u64,
}

impl Read for VolumesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.volumes.read_at(buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for VolumesReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.volumes.size().checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8], size: usize) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("a.tar");
        let mut digests = Vec::new();
        for (number, part) in (1..).zip(text.chunks(size)) {
            std::fs::write(part_path(&whole, number), part).unwrap();
            digests.push(Digest::of(part));
        }
        let sums = Sums {
            part_size: size as u64,
            total: text.len() as u64,
            digests,
        };
        std::fs::write(sums_path(&whole), sums.to_text("a.tar")).unwrap();
        assert_eq!(Sums::parse(&sums.to_text("a.tar")), Some(sums));
        (dir, whole)
    }

    fn text_of(path: &Path) -> String {
        let mut text = String::new();
        let volumes = Volumes::open(path).unwrap();
        volumes.reader().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn parts_are_one_file() {
        let (_dir, whole) = split(b"0123456789abcdef", 5);
        assert_eq!(text_of(&whole), "0123456789abcdef");
        assert_eq!(text_of(&part_path(&whole, 1)), "0123456789abcdef");
        assert_eq!(text_of(&part_path(&whole, 2)), "56789");
        let volumes = Volumes::open(&whole).unwrap();
        let mut reader = volumes.reader();
        reader.seek(SeekFrom::Start(9)).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "9abcdef");
        std::fs::remove_file(sums_path(&whole)).unwrap();
        assert_eq!(text_of(&whole), "0123456789abcdef");
    }

    #[test]
    fn missing_cut_and_swapped_parts_are_named() {
        let (_dir, whole) = split(b"0123456789abcdef", 5);
        let (second, third) = (part_path(&whole, 2), part_path(&whole, 3));
        let swapped = std::fs::read(&third).unwrap();
        std::fs::rename(&second, &third).unwrap();
        assert!(matches!(
            Volumes::open(&whole),
            Err(LoadError::PartMissing {
                number: 2,
                count: 4,
                ..
            })
        ));
        std::fs::write(&second, swapped).unwrap();
        let blamed = damaged_part(&whole).unwrap().to_string();
        assert!(
            blamed.contains("a.tar.002") && blamed.contains("part 3"),
            "{blamed}"
        );
        std::fs::write(&third, "567").unwrap();
        assert!(matches!(
            Volumes::open(&whole),
            Err(LoadError::PartSize { actual: 3, .. })
        ));
        std::fs::remove_file(sums_path(&whole)).unwrap();
        std::fs::remove_file(&third).unwrap();
        assert!(matches!(
            Volumes::open(&whole),
            Err(LoadError::PartMissing { number: 3, .. })
        ));
    }
}
