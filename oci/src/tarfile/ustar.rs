//! One 512-byte header block: its checksum, its dialect and its fields. Unaware of the blocks
//! around it.

use super::{BLOCK, Kind, TarError};

/// Which of the historical layouts a block has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// No prefix, no devices.
    V7,
    /// POSIX: prefix of 155 bytes.
    Ustar,
    /// Schily's: prefix of 131 bytes, then times.
    Star,
    /// GNU: the place of the prefix holds other things.
    Gnu,
}

/// A checked header block.
pub(super) struct Block {
    header: tar::Header,
    dialect: Dialect,
    offset: u64,
}

impl Block {
    /// Checks the block at `offset`.
    pub(super) fn new(bytes: &[u8; BLOCK], offset: u64) -> Result<Self, TarError> {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(bytes);
        let block = Self {
            dialect: dialect(bytes),
            header,
            offset,
        };
        let stored = block.number(&block.header.as_old().cksum, "checksum")?;
        // Ancient tars summed signed bytes.
        let signed: i64 = summands(bytes).map(|b| i64::from(b.cast_signed())).sum();
        let unsigned: i64 = summands(bytes).map(i64::from).sum();
        if stored != unsigned && stored != signed {
            return Err(TarError::Header {
                offset,
                reason: "its checksum is wrong",
            });
        }
        Ok(block)
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.header.as_old().linkflag[0]
    }

    /// What the entry is whose full name is `path`.
    pub(super) fn kind(&self, path: &[u8]) -> Result<Kind, TarError> {
        let unsupported = |what: String| {
            Err(TarError::Unsupported {
                what,
                offset: self.offset,
            })
        };
        Ok(match self.type_flag() {
            // Before POSIX, a directory was a file whose name ends with a slash.
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return unsupported("a sparse file".into()),
            b'M' => return unsupported("a multi-volume archive".into()),
            other => return unsupported(format!("type {:?}", char::from(other))),
        })
    }

    /// The path of the block alone, prefix included.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.header.as_old().name);
        let prefix = match (self.dialect, self.header.as_ustar()) {
            (Dialect::Ustar, Some(ustar)) => until_nul(&ustar.prefix),
            (Dialect::Star, Some(ustar)) => until_nul(&ustar.prefix[..131]),
            _ => &[],
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(&self.header.as_old().linkname).to_vec()
    }

    pub(super) fn mode(&self) -> Result<u32, TarError> {
        let mode = self.number(&self.header.as_old().mode, "mode")?;
        // Some writers leave the file type in; only the permission bits count.
        Ok((mode & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u32, TarError> {
        self.fitting(&self.header.as_old().uid, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, TarError> {
        self.fitting(&self.header.as_old().gid, "gid")
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        self.fitting(&self.header.as_old().size, "size")
    }

    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        self.number(&self.header.as_old().mtime, "mtime")
    }

    /// Major and minor number; 0 where the dialect has none.
    pub(super) fn device(&self) -> Result<(u32, u32), TarError> {
        if self.dialect == Dialect::V7 {
            return Ok((0, 0));
        }
        let bytes = self.header.as_bytes();
        Ok((
            self.fitting(&bytes[329..337], "device major")?,
            self.fitting(&bytes[337..345], "device minor")?,
        ))
    }

    fn fitting<T: TryFrom<i64>>(&self, field: &[u8], name: &'static str) -> Result<T, TarError> {
        let wrong = |_| TarError::Number {
            offset: self.offset,
            field: name,
        };
        T::try_from(self.number(field, name)?).map_err(wrong)
    }

    fn number(&self, field: &[u8], name: &'static str) -> Result<i64, TarError> {
        parse_number(field).ok_or(TarError::Number {
            offset: self.offset,
            field: name,
        })
    }
}

fn dialect(bytes: &[u8; BLOCK]) -> Dialect {
    match &bytes[257..265] {
        b"ustar  \0" => Dialect::Gnu,
        [b'u', b's', b't', b'a', b'r', 0, _, _] if &bytes[508..] == b"tar\0" => Dialect::Star,
        [b'u', b's', b't', b'a', b'r', 0, _, _] => Dialect::Ustar,
        _ => Dialect::V7,
    }
}

/// All bytes of the block, the checksum's own counted as spaces.
fn summands(bytes: &[u8; BLOCK]) -> impl Iterator<Item = u8> + '_ {
    let checksum = 148..156;
    bytes
        .iter()
        .enumerate()
        .map(move |(i, b)| if checksum.contains(&i) { b' ' } else { *b })
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal digits between spaces and NULs, or, with the highest bit set, GNU's base 256: a two's
/// complement number in big-endian order. Empty is 0.
fn parse_number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Bit 6 is the sign; bit 7 only marks the encoding.
        let head = i128::from((first << 1).cast_signed() >> 1);
        let wide = rest
            .iter()
            .try_fold(head, |n, b| Some(n.checked_mul(256)? + i128::from(*b)))?;
        return i64::try_from(wide).ok();
    }
    let is_filler = |b: &u8| matches!(b, b' ' | 0);
    let start = field
        .iter()
        .position(|b| !is_filler(b))
        .unwrap_or(field.len());
    let end = field
        .iter()
        .rposition(|b| !is_filler(b))
        .map_or(start, |last| last + 1);
    let digit = |b: &u8| matches!(b, b'0'..=b'7').then(|| i64::from(b - b'0'));
    field[start..end]
        .iter()
        .try_fold(0_i64, |n, b| n.checked_mul(8)?.checked_add(digit(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(parse_number(b"0000644\0"), Some(0o644));
        assert_eq!(parse_number(b"   644 \0"), Some(0o644));
        assert_eq!(parse_number(b"\0\0\0\0"), Some(0));
        assert_eq!(parse_number(b"777777777777"), Some(0o777_777_777_777));
        assert_eq!(parse_number(b"\x80\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(parse_number(&[0xff; 8]), Some(-1));
        assert_eq!(
            parse_number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
            Some(i64::MAX)
        );
        for bad in [
            &b"0000648\0"[..],
            b"-1",
            b"6 4",
            b"0x1",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            &[0xbf; 12],
            b"7777777777777777777777777",
        ] {
            assert_eq!(parse_number(bad), None, "{bad:?}");
        }
    }
}
