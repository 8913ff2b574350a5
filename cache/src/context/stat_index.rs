//! The stat index of a context: which content a file had when its stat was what it is now.
//!
//! Git's idea: size, times, inode, device and mode tell whether a file was touched. ctime cannot be set by anybody, so a stale
//! entry needs a change within the granularity of the clock after the file was read; files that are that young when they are
//! read are not entered at all (git's racy rule).
//!
//! `contexts/<BLAKE3 of the folder's path>.idx`, numbers little endian:
//!
//! ```text
//! magic      "kilnctx1"
//! files      u64
//! names      u64, bytes of all names together
//! files x    path start u64, path length u32, mode u32, size u64, mtime s i64, ctime s i64, mtime ns u32, ctime ns u32,
//!            inode u64, device u64, content 32 bytes: 96 bytes; sorted by directory, then by name
//! names      bytes
//! checksum   32 bytes BLAKE3 of everything before
//! ```
//!
//! Records have a fixed size, so that a file is found by bisection in the bytes as they were read: loading allocates once.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use crate::ContentDigest;
use crate::path::{name, parent};

const MAGIC: &[u8; 8] = b"kilnctx1";
const HEADER: usize = 24;
const RECORD: usize = 96;
const CHECKSUM: usize = 32;
/// Kernels stamp files with a clock that ticks at least every 10 ms; twice that is safe.
const FINE: Duration = Duration::from_millis(20);
/// File systems that keep whole or even seconds only.
const COARSE: Duration = Duration::from_secs(3);

/// What tells whether a file was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) mode: u32,
    pub(crate) size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
    inode: u64,
    device: u64,
}

impl Signature {
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanoseconds = |value: u64| u32::try_from(value).unwrap_or(0);
        Self {
            mode: stat.st_mode,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            ctime: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
            inode: stat.st_ino,
            device: stat.st_dev,
        }
    }

    /// Modification time in whole seconds.
    pub(crate) fn seconds(&self) -> i64 {
        self.mtime.0
    }

    /// Whether the file could change again without its stat changing, seen from `now`.
    pub(crate) fn is_racy(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.mtime.max(self.ctime);
        let granularity = if nanoseconds == 0 { COARSE } else { FINE };
        let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds);
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        changed + granularity >= now
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.mode.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.mtime.0.to_le_bytes());
        out.extend_from_slice(&self.ctime.0.to_le_bytes());
        out.extend_from_slice(&self.mtime.1.to_le_bytes());
        out.extend_from_slice(&self.ctime.1.to_le_bytes());
        out.extend_from_slice(&self.inode.to_le_bytes());
        out.extend_from_slice(&self.device.to_le_bytes());
    }

    /// From the 52 bytes after path and length.
    fn decode(bytes: &[u8]) -> Self {
        Self {
            mode: u32_at(bytes, 0),
            size: u64_at(bytes, 4),
            mtime: (u64_at(bytes, 12).cast_signed(), u32_at(bytes, 28)),
            ctime: (u64_at(bytes, 20).cast_signed(), u32_at(bytes, 32)),
            inode: u64_at(bytes, 36),
            device: u64_at(bytes, 44),
        }
    }
}

/// A file that the index knows, or is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) path: Box<[u8]>,
    pub(crate) signature: Signature,
    pub(crate) content: ContentDigest,
}

/// A loaded index.
#[derive(Debug, Default)]
pub(crate) struct StatIndex {
    bytes: Vec<u8>,
    files: usize,
}

impl StatIndex {
    /// Takes the bytes of an index file; a damaged one knows nothing.
    pub(crate) fn load(bytes: Vec<u8>) -> Self {
        Self::check(&bytes)
            .map(|files| Self { bytes, files })
            .unwrap_or_default()
    }

    fn check(bytes: &[u8]) -> Option<usize> {
        let body = bytes.len().checked_sub(CHECKSUM)?;
        if body < HEADER
            || bytes[..8] != *MAGIC
            || blake3::hash(&bytes[..body]).as_bytes()[..] != bytes[body..]
        {
            return None;
        }
        let (files, names) = (
            usize::try_from(u64_at(bytes, 8)).ok()?,
            usize::try_from(u64_at(bytes, 16)).ok()?,
        );
        let expected = files
            .checked_mul(RECORD)?
            .checked_add(names)?
            .checked_add(HEADER)?;
        let names_are_inside = |at: usize| {
            let record = &bytes[HEADER + at * RECORD..];
            u64_at(record, 0)
                .checked_add(u32_at(record, 8).into())
                .is_some_and(|end| end <= names as u64)
        };
        (expected == body && (0..files).all(names_are_inside)).then_some(files)
    }

    /// The files of one directory, to be asked for in the order of their names.
    pub(crate) fn directory(&self, path: &[u8]) -> Listing<'_> {
        let first = partition(0, self.files, |at| parent_of(self.path(at)) < path);
        let last = partition(first, self.files, |at| parent_of(self.path(at)) <= path);
        Listing {
            index: self,
            next: first,
            last,
        }
    }

    fn record(&self, at: usize) -> &[u8] {
        &self.bytes[HEADER + at * RECORD..][..RECORD]
    }

    fn path(&self, at: usize) -> &[u8] {
        let record = self.record(at);
        let start = HEADER + self.files * RECORD + u64_at(record, 0) as usize;
        &self.bytes[start..][..u32_at(record, 8) as usize]
    }

    fn known(&self, at: usize) -> Known {
        let (signature, content) = self.content(at);
        Known {
            path: self.path(at).into(),
            signature,
            content,
        }
    }

    fn content(&self, at: usize) -> (Signature, ContentDigest) {
        let record = self.record(at);
        let mut content = [0; 32];
        content.copy_from_slice(&record[64..]);
        (
            Signature::decode(&record[12..]),
            ContentDigest::from_bytes(content),
        )
    }

    /// The files at or below one of `unvisited`, a sorted list: a scan that did not look at them says nothing about them.
    pub(crate) fn below(&self, unvisited: &[Box<[u8]>]) -> Vec<Known> {
        let is_below = |path: &[u8]| {
            let mut at = Some(path);
            while let Some(directory) = at {
                if unvisited
                    .binary_search_by(|other| (**other).cmp(directory))
                    .is_ok()
                {
                    return true;
                }
                at = parent(directory);
            }
            false
        };
        (0..self.files)
            .filter(|&at| is_below(self.path(at)))
            .map(|at| self.known(at))
            .collect()
    }

    /// How many files it knows.
    pub(crate) fn len(&self) -> usize {
        self.files
    }
}

/// The files of one directory in an index, from a name on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    index: &'a StatIndex,
    next: usize,
    last: usize,
}

impl Listing<'_> {
    /// The content of the file `base`, if it was not touched. No name that comes before it may be asked for afterwards.
    pub(crate) fn content(&mut self, base: &[u8], signature: &Signature) -> Option<ContentDigest> {
        let name_at = |at: usize| name(self.index.path(at));
        let is_there = |at: usize| at < self.last && name_at(at) == base;
        if !is_there(self.next) {
            self.next = partition(self.next, self.last, |at| name_at(at) < base);
        }
        if !is_there(self.next) {
            return None;
        }
        let (found, content) = self.index.content(self.next);
        self.next += 1;
        (found == *signature).then_some(content)
    }
}

/// The bytes of an index file with these files, in any order.
pub(crate) fn encode(mut files: Vec<Known>) -> Vec<u8> {
    files.sort_by(|a, b| order(&a.path, &b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let names: usize = files.iter().map(|file| file.path.len()).sum();
    let mut out = Vec::with_capacity(HEADER + files.len() * RECORD + names + CHECKSUM);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(files.len() as u64).to_le_bytes());
    out.extend_from_slice(&(names as u64).to_le_bytes());
    let mut start = 0u64;
    for file in &files {
        let length = u32::try_from(file.path.len()).unwrap_or(0);
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        file.signature.encode(&mut out);
        out.extend_from_slice(file.content.as_bytes());
        start += u64::from(length);
    }
    files
        .iter()
        .for_each(|file| out.extend_from_slice(&file.path));
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    out
}

/// By directory, then by name: the files of a directory are neighbours.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    parent_of(a)
        .cmp(parent_of(b))
        .then_with(|| name(a).cmp(name(b)))
}

fn parent_of(path: &[u8]) -> &[u8] {
    parent(path).unwrap_or_default()
}

/// The first number from `low` to `high` for which `is_before` fails.
fn partition(mut low: usize, mut high: usize, is_before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(path: &str, size: u64) -> Known {
        let signature = Signature {
            mode: 0o100_644,
            size,
            mtime: (-5, 7),
            ctime: (1000, 500),
            inode: 42,
            device: 9,
        };
        Known {
            path: path.as_bytes().into(),
            signature,
            content: ContentDigest::of(path.as_bytes()),
        }
    }

    #[test]
    fn files_are_found_by_directory_and_name() {
        let files: Vec<_> = ["b", "a", "d/x", "d-e/x", "d/e/x", "d/a"]
            .iter()
            .zip(1..)
            .map(|(path, size)| known(path, size))
            .collect();
        let index = StatIndex::load(encode(files.clone()));
        assert_eq!(index.len(), files.len());
        for file in &files {
            let listing = index.directory(parent_of(&file.path));
            let content = |base: &[u8], signature| { listing }.content(base, signature);
            let base = name(&file.path);
            assert_eq!(content(base, &file.signature), Some(file.content));
            let touched = Signature {
                inode: 43,
                ..file.signature
            };
            assert_eq!(content(base, &touched), None);
            assert_eq!(content(b"none", &file.signature), None);
        }
        let mut listing = index.directory(b"d");
        for (base, content) in [("0", None), ("a", Some(6)), ("b", None), ("x", Some(3))] {
            let content = content.map(|at: usize| &files[at - 1]);
            let signature = content.unwrap_or(&files[0]).signature;
            let found = listing.content(base.as_bytes(), &signature);
            assert_eq!(found, content.map(|file| file.content), "{base}");
        }
        assert_eq!(
            index.directory(b"none").content(b"x", &files[0].signature),
            None
        );
    }

    #[test]
    fn what_was_not_visited_is_kept() {
        let index = StatIndex::load(encode(
            ["a", "d/x", "d/e/y", "de"]
                .iter()
                .map(|path| known(path, 1))
                .collect(),
        ));
        let kept: Vec<_> = index
            .below(&[b"a".as_slice().into(), b"d".as_slice().into()])
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(
            kept,
            [
                b"a".as_slice().into(),
                b"d/x".as_slice().into(),
                Box::from(b"d/e/y".as_slice())
            ]
        );
    }

    #[test]
    fn a_damaged_index_knows_nothing() {
        let bytes = encode(vec![known("a", 1), known("b/c", 2)]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(StatIndex::load(damaged).len(), 0, "byte {at}");
            assert_eq!(
                StatIndex::load(bytes[..at].to_vec()).len(),
                0,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn young_files_are_racy() {
        let at = |milliseconds: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let file = known("a", 1).signature;
        assert!(
            file.is_racy(at(1_000_000))
                && file.is_racy(at(1_000_010))
                && !file.is_racy(at(1_000_100))
        );
        let coarse = Signature {
            ctime: (1000, 0),
            ..file
        };
        assert!(coarse.is_racy(at(1_002_000)) && !coarse.is_racy(at(1_004_000)));
    }
}
