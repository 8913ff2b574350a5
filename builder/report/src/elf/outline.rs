//! The pieces of an ELF file that tell its sections, read in whatever way the file can be read. Unaware of what they mean.

use std::collections::VecDeque;
use std::ops::Range;

use memchr::memmem;

use object::Endianness;
use object::elf;
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};

use super::Program;

/// Bytes that begin a program.
const MAGIC: &[u8] = b"\x7fELF";
/// The byte behind it, of programs with 64 bits.
const ELFCLASS64: u8 = 2;
/// Bytes of a header up to the machine.
const LEAST: u64 = 20;
/// Bytes of the longest header.
const HEADER: u64 = 64;
/// Bytes that a table of sections, or of their names, has at most; others are not looked at.
const MOST: u64 = 4 << 20;
/// Bytes before the table of sections that are kept of a file that passes by: their names stand there in most.
const BEFORE: u64 = 128 << 10;
/// What names of sections hold. lld puts them before the names of symbols, which may be long.
const NAMES: &[u8] = b"\0.shstrtab\0";
/// Bytes before and behind that are kept with it; half of [`BEFORE`] at most.
const AROUND: u64 = 32 << 10;
/// How many such places are kept, the last ones: a hostile file has more.
const PLACES: usize = 4;

/// Pieces of a file.
#[derive(Debug, Default)]
pub struct Outline {
    size: u64,
    /// Where each begins, and its bytes; the header comes first.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Outline {
    /// Of a file of this size, nothing of which is known yet.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Outline {
            size,
            pieces: Vec::new(),
        }
    }

    /// The bytes that have to be added next; none where all that matters is known.
    #[must_use]
    pub fn wanted(&self) -> Option<Range<u64>> {
        let Some((_, header)) = self.pieces.first() else {
            return (self.size >= LEAST).then_some(0..self.size.min(HEADER));
        };
        if !header.starts_with(MAGIC) || self.pieces.len() > 3 {
            return None;
        }
        match self.is_wide() {
            true => self.next::<elf::FileHeader64<Endianness>>(),
            false => self.next::<elf::FileHeader32<Endianness>>(),
        }
    }

    /// Adds bytes that were wanted, or that nobody has, which are as none.
    pub fn add(&mut self, start: u64, bytes: Vec<u8>) {
        self.pieces.push((start, bytes));
    }

    /// What the file is, if it is a program.
    #[must_use]
    pub fn program(&self) -> Option<Program> {
        let (_, header) = self.pieces.first()?;
        let is_program = header.starts_with(MAGIC);
        is_program.then(|| super::program(self, header, self.size))?
    }

    pub(super) fn is_wide(&self) -> bool {
        let header = self.pieces.first().map(|(_, header)| header);
        header.and_then(|header| header.get(4)) == Some(&ELFCLASS64)
    }

    /// The table of sections, then the names.
    fn next<E: FileHeader<Endian = Endianness>>(&self) -> Option<Range<u64>> {
        let header = E::parse(self).ok()?;
        let endian = header.endian().ok()?;
        let start: u64 = header.e_shoff(endian).into();
        let count = u64::from(header.e_shnum(endian));
        let table = start..start.checked_add(count * u64::from(header.e_shentsize(endian)))?;
        if self.pieces.len() == 1 {
            return self.sensible(table);
        }
        let sections = header.section_headers(endian, self).ok()?;
        let names = sections.get(header.shstrndx(endian, self).ok()? as usize)?;
        let start: u64 = names.sh_offset(endian).into();
        let names = start..start.checked_add(names.sh_size(endian).into())?;
        self.sensible(names).filter(|_| self.pieces.len() == 2)
    }

    /// A range that can be asked for.
    fn sensible(&self, range: Range<u64>) -> Option<Range<u64>> {
        let length = range.end.checked_sub(range.start)?;
        (length > 0 && length <= MOST && range.end <= self.size).then_some(range)
    }
}

impl<'a> ReadRef<'a> for &'a Outline {
    fn len(self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let piece = self.pieces.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            let to = from.checked_add(usize::try_from(size).ok()?)?;
            bytes.get(from..to)
        });
        piece.ok_or(())
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let all = self.read_bytes_at(range.start, range.end.checked_sub(range.start).ok_or(())?)?;
        let end = all.iter().position(|byte| *byte == delimiter).ok_or(())?;
        Ok(&all[..end])
    }
}

/// A file that passes by from its beginning to its end.
#[derive(Debug)]
pub struct Passing {
    outline: Outline,
    /// What has to be added to the outline next.
    wanted: Option<Range<u64>>,
    /// The last bytes that passed, and those that are wanted of them.
    recent: Vec<u8>,
    /// How many have passed.
    at: u64,
    /// Where [`NAMES`] passed, and what was around it once that has passed too.
    places: VecDeque<(u64, Vec<u8>)>,
}

impl Passing {
    /// Of a file of this size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let outline = Outline::new(size);
        Passing {
            wanted: outline.wanted(),
            outline,
            recent: Vec::new(),
            at: 0,
            places: VecDeque::new(),
        }
    }

    /// The next bytes.
    pub fn see(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(MAGIC.len());
        if self.at == 0 && !MAGIC.starts_with(&bytes[..length]) {
            self.wanted = None;
        }
        self.at += bytes.len() as u64;
        if self.wanted.is_some() {
            self.recent.extend_from_slice(bytes);
            self.mark(bytes.len());
            self.take();
            self.forget();
        }
    }

    /// What it is, if it is a program.
    #[must_use]
    pub fn program(&self) -> Option<Program> {
        self.outline.program()
    }

    /// Adds all that is wanted and has passed.
    fn take(&mut self) {
        while let Some(wanted) = self.wanted.take() {
            if wanted.end > self.at {
                self.wanted = Some(wanted);
                return;
            }
            let piece = self.piece(&wanted).unwrap_or_default();
            self.outline.add(wanted.start, piece);
            self.wanted = self.outline.wanted();
        }
    }

    /// Looks for names of sections in the bytes that have been added, and keeps what is around those that were found.
    fn mark(&mut self, added: usize) {
        let first = self.at - self.recent.len() as u64;
        let seen = self.recent.len().saturating_sub(added + NAMES.len() - 1);
        for found in memmem::find_iter(&self.recent[seen..], NAMES) {
            self.places
                .push_back((first + (seen + found) as u64, Vec::new()));
        }
        let excess = self.places.len().saturating_sub(PLACES);
        self.places.drain(..excess);
        for (place, kept) in &mut self.places {
            if kept.is_empty() && *place + AROUND <= self.at {
                let from = place.saturating_sub(AROUND).max(first) - first;
                let to = *place + AROUND - first;
                kept.extend_from_slice(&self.recent[from as usize..to as usize]);
                *place = first + from;
            }
        }
    }

    /// Forgets what nobody will want.
    fn forget(&mut self) {
        let kept = match &self.wanted {
            None => self.at,
            Some(wanted) => wanted.start.min(self.at.saturating_sub(BEFORE)),
        };
        let first = self.at - self.recent.len() as u64;
        let excess = kept.saturating_sub(first) as usize;
        self.recent.drain(..excess.min(self.recent.len()));
    }

    /// What passed there, as far as it is still known.
    fn piece(&self, range: &Range<u64>) -> Option<Vec<u8>> {
        let first = self.at - self.recent.len() as u64;
        let recent = within(first, &self.recent, range);
        let mut places = self.places.iter();
        recent.or_else(|| places.find_map(|(first, kept)| within(*first, kept, range)))
    }
}

/// The bytes of the range, where those from `first` on hold them all.
fn within(first: u64, bytes: &[u8], range: &Range<u64>) -> Option<Vec<u8>> {
    let from = usize::try_from(range.start.checked_sub(first)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(first)?).ok()?;
    bytes.get(from..to).map(<[u8]>::to_vec)
}
