//! PAX extended headers (POSIX pax, "pax Extended Header"): `length key=value\n` records. Unaware of
//! the blocks that carry them.

use std::collections::BTreeMap;

use super::TarError;

/// The prefix of extended attributes, invented by star, written by GNU tar and Go.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records of one or more PAX blocks that matter here. An absent value leaves the ustar
/// header's in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Records {
    /// Reads the block whose content starts at `offset` over the records in force so far. A later
    /// record beats an earlier one, an empty value removes it.
    pub(super) fn read(&mut self, block: &[u8], offset: u64) -> Result<(), TarError> {
        let mut rest = block;
        while !rest.is_empty() {
            let (key, value, after) = split_record(rest).ok_or(TarError::Pax {
                offset,
                reason: "malformed record",
            })?;
            self.set(key, value, offset)?;
            rest = after;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8], offset: u64) -> Result<(), TarError> {
        let wrong = |reason| TarError::Pax { offset, reason };
        if let Some(name) = key.strip_prefix(XATTR) {
            if name.is_empty() {
                return Err(wrong("an extended attribute has no name"));
            }
            // An attribute may be empty, so this does not remove it.
            self.xattrs.insert(name.to_vec(), value.to_vec());
            return Ok(());
        }
        if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" {
            return Err(TarError::Unsupported {
                what: "a sparse file".into(),
                offset,
            });
        }
        match key {
            b"path" => self.path = text(value).map_err(wrong)?,
            b"linkpath" => self.link = text(value).map_err(wrong)?,
            b"size" => self.size = number(value, decimal).ok_or(wrong("invalid size"))?,
            b"uid" => self.uid = number(value, decimal).ok_or(wrong("invalid uid"))?,
            b"gid" => self.gid = number(value, decimal).ok_or(wrong("invalid gid"))?,
            b"mtime" => self.mtime = number(value, seconds).ok_or(wrong("invalid mtime"))?,
            _ => {}
        }
        Ok(())
    }

    /// Whether a record is about one file. In a global header it would be about every following
    /// one, and no two readers agree on what that means.
    pub(super) fn is_about_one_file(&self) -> bool {
        let named = self.path.is_some() || self.link.is_some();
        named || self.size.is_some() || !self.xattrs.is_empty()
    }
}

/// `length key=value\n`, where the length in decimal counts the whole record.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = decimal(&bytes[..space])?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let well_formed = !key.is_empty() && !key.contains(&0);
    well_formed.then_some((key, value, rest))
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if value.contains(&0) {
        return Err("a path contains NUL");
    }
    Ok(Some(value).filter(|v| !v.is_empty()).map(<[u8]>::to_vec))
}

/// `Some(None)` for an empty value, `None` for an invalid one.
#[expect(
    clippy::option_option,
    reason = "absent and invalid are different answers"
)]
fn number<T>(value: &[u8], parse: fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    if value.is_empty() {
        Some(None)
    } else {
        parse(value).map(Some)
    }
}

fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    // `parse` would take a leading plus sign.
    let well_formed = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| well_formed)?
        .parse()
        .ok()
}

/// Seconds with an optional sign and fraction, rounded down.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, text) = text
        .strip_prefix(b"-")
        .map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole: i64 = decimal(&text[..dot])?;
    let above = fraction.iter().any(|b| *b != b'0');
    Some(if negative {
        -whole - i64::from(above)
    } else {
        whole
    })
}

/// Encodes sorted records.
pub(super) fn encode(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in records {
        block.extend(
            length_of_record(key.len() + value.len() + 3)
                .to_string()
                .as_bytes(),
        );
        block.extend([b" ", key.as_slice(), b"=", value, b"\n"].concat());
    }
    block
}

/// The length of a record that counts its own digits, from the length of the rest.
fn length_of_record(rest: usize) -> usize {
    let digits = |n: usize| n.checked_ilog10().unwrap_or(0) as usize + 1;
    let length = rest + digits(rest);
    rest + digits(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8]) -> Result<Records, TarError> {
        let mut records = Records::default();
        records.read(block, 0).map(|()| records)
    }

    #[test]
    fn lengths_count_themselves() {
        for rest in 1..20_000 {
            let length = length_of_record(rest);
            assert_eq!(length, rest + length.to_string().len(), "{rest}");
        }
    }

    #[test]
    fn records_are_read() {
        let block = b"14 path=a\nb=c\n12 size=123\n15 mtime=-1.50\n8 size=\n10 x=\0\xff\xfe\xfd\n";
        let records = read(block).unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!((records.size, records.mtime), (None, Some(-2)));
        assert_eq!(read(b"10 path=a\n8 path=\n").unwrap(), Records::default());
    }

    #[test]
    fn malformed_records_are_refused() {
        assert!(read(b"11 path=ab\n").is_ok());
        for bad in [
            &b"x"[..],
            b"11 path=a\n",
            b"9 path=ab\n",
            b"10 path=ab\n",
            b"12 path=ab\n",
            b"+11 path=ab\n",
            b" 11 path=ab\n",
            b"0 path=ab\n",
            b"1 path=ab\n",
            b"2 path=ab\n",
            b"11 pathxab\n",
            b"6 =ab\n",
            b"12 p\0th=ab\n",
            b"12 path=a\0c\n",
            b"99999999999999999999 path=a\n",
            b"12 size=-12\n",
            b"12 size=0x1\n",
            b"29 size=99999999999999999999\n",
            b"18 uid=4294967296\n",
            b"14 mtime=1e10\n",
            b"11 mtime=.\n",
            b"18 SCHILY.xattr.=\n",
            b"12 size=123\n12 size=12",
        ] {
            assert!(
                matches!(read(bad), Err(TarError::Pax { .. })),
                "{}",
                bad.escape_ascii()
            );
        }
        let sparse = encode(&[(b"GNU.sparse.major".to_vec(), b"1".to_vec())].into());
        assert!(matches!(read(&sparse), Err(TarError::Unsupported { .. })));
    }
}
