//! Writes one entry's header, canonically: see the parent module for the form. Unaware of contents,
//! which the caller writes after it.

use std::collections::BTreeMap;
use std::io::Write;

use super::{BLOCK, HeaderFields, Kind, MAX_EXTENSION, MAX_PATH, TarError, pax, write_padding};

/// The largest number in an eight-byte octal field.
const MAX_OCTAL_8: u32 = 0o7_777_777;
/// The largest number in a twelve-byte octal field.
const MAX_OCTAL_12: u64 = 0o77_777_777_777;

/// Writes the header of an entry and returns how many bytes that took. A file's content and its
/// [`super::padding`] follow.
///
/// # Errors
/// [`TarError::Unwritable`] for what no tar can hold: no path, a NUL in it, a path above
/// [`MAX_PATH`], a link without target, content where none may be, device numbers above 2,097,151,
/// attributes with `=` or NUL in their name, twice, or above [`MAX_EXTENSION`] together. Else those
/// of `out`.
pub fn write_header(
    out: &mut (impl Write + ?Sized),
    fields: &HeaderFields<'_>,
) -> Result<u64, TarError> {
    check_kind(fields)
        .and_then(|()| check_names(fields))
        .map_err(|reason| unwritable(fields, reason))?;
    let mut records = BTreeMap::new();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(entry_type(fields.kind));
    set_numbers(&mut header, fields, &mut records);
    set_path(&mut header, &stored_path(fields), &mut records);
    set_link(&mut header, fields.link, &mut records);
    for (name, value) in fields.xattrs {
        let other = records.insert([pax::XATTR, name].concat(), value.clone());
        if other.is_some() {
            return Err(unwritable(fields, "an extended attribute stands twice"));
        }
    }
    let extension = write_records(out, fields, &records)?;
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    Ok(extension + BLOCK as u64)
}

fn check_kind(fields: &HeaderFields<'_>) -> Result<(), &'static str> {
    let is_link = fields.kind.is_link();
    match fields {
        _ if is_link && fields.link.is_empty() => Err("it is a link without a target"),
        _ if !is_link && !fields.link.is_empty() => Err("it has a target but is no link"),
        _ if fields.kind != Kind::File && fields.size != 0 => {
            Err("it has content but is no regular file")
        }
        _ if fields.device.0.max(fields.device.1) > MAX_OCTAL_8 => {
            Err("its device number is too large")
        }
        _ => Ok(()),
    }
}

fn check_names(fields: &HeaderFields<'_>) -> Result<(), &'static str> {
    let is_attribute =
        |name: &[u8]| !name.is_empty() && !name.contains(&b'=') && !name.contains(&0);
    if fields.path.is_empty() {
        return Err("it has no path");
    }
    for path in [fields.path, fields.link] {
        if path.contains(&0) {
            return Err("a path contains NUL");
        }
        if path.len() > MAX_PATH {
            return Err("a path is too long");
        }
    }
    let well_named = fields.xattrs.iter().all(|(name, _)| is_attribute(name));
    if well_named {
        Ok(())
    } else {
        Err("an extended attribute has an impossible name")
    }
}

const fn entry_type(kind: Kind) -> tar::EntryType {
    match kind {
        Kind::File => tar::EntryType::Regular,
        Kind::HardLink => tar::EntryType::Link,
        Kind::Symlink => tar::EntryType::Symlink,
        Kind::CharDevice => tar::EntryType::Char,
        Kind::BlockDevice => tar::EntryType::Block,
        Kind::Directory => tar::EntryType::Directory,
        Kind::Fifo => tar::EntryType::Fifo,
    }
}

fn unwritable(fields: &HeaderFields<'_>, reason: &'static str) -> TarError {
    TarError::Unwritable {
        path: fields.path.escape_ascii().to_string(),
        reason,
    }
}

fn stored_path(fields: &HeaderFields<'_>) -> Vec<u8> {
    let mut path = fields.path.to_vec();
    if fields.kind == Kind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn set_numbers(header: &mut tar::Header, fields: &HeaderFields<'_>, records: &mut Records) {
    let mut octal = |key: &str, value: i128, most: u64| {
        let fitting = u64::try_from(value).ok().filter(|value| *value <= most);
        fitting.unwrap_or_else(|| {
            records.insert(key.into(), value.to_string().into());
            0
        })
    };
    let old = header.as_old_mut();
    set_octal(&mut old.mode, (fields.mode & 0o7777).into());
    set_octal(
        &mut old.uid,
        octal("uid", fields.uid.into(), MAX_OCTAL_8.into()),
    );
    set_octal(
        &mut old.gid,
        octal("gid", fields.gid.into(), MAX_OCTAL_8.into()),
    );
    set_octal(
        &mut old.size,
        octal("size", fields.size.into(), MAX_OCTAL_12),
    );
    set_octal(
        &mut old.mtime,
        octal("mtime", fields.mtime.into(), MAX_OCTAL_12),
    );
    if let (true, Some(ustar)) = (fields.kind.is_device(), header.as_ustar_mut()) {
        ustar.set_device_major(fields.device.0);
        ustar.set_device_minor(fields.device.1);
    }
}

/// Fills all but the last byte of a field with octal digits, as `tar::Header::set_size` does. That one makes a text of each number, which takes
/// a tenth of the time in which a layer of small files is written.
fn set_octal(field: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in field.iter_mut().rev().skip(1) {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

/// Puts the path into the name field, or splits it into prefix and name, or makes it a record.
fn set_path(header: &mut tar::Header, path: &[u8], records: &mut Records) {
    let split = if is_plain(path) {
        split_path(path)
    } else {
        None
    };
    if split.is_none() {
        records.insert(b"path".to_vec(), path.to_vec());
    }
    let (prefix, name) = split.unwrap_or((b"", path));
    set_text(&mut header.as_old_mut().name, name);
    if let Some(ustar) = header.as_ustar_mut() {
        set_text(&mut ustar.prefix, prefix);
    }
}

fn set_link(header: &mut tar::Header, link: &[u8], records: &mut Records) {
    let field = &mut header.as_old_mut().linkname;
    set_text(field, link);
    if link.len() > field.len() || !is_plain(link) {
        records.insert(b"linkpath".to_vec(), link.to_vec());
    }
}

/// Splits at the last slash that leaves at most 155 bytes before it and 100 after it.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // A slash at the end belongs to the name: the name may not be empty.
    let search = &path[..path.len().min(157) - 1];
    let slash = search
        .iter()
        .rposition(|b| *b == b'/')
        .filter(|at| *at > 0)?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (name.len() <= 100).then_some((prefix, name))
}

/// ASCII without control characters: what every reader of ustar understands alike.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b' '..=b'~'))
}

/// Fills `field` with what fits of `text`; where that is not all, a PAX record has it.
fn set_text(field: &mut [u8], text: &[u8]) {
    for (to, from) in field.iter_mut().zip(text) {
        *to = if is_plain(&[*from]) { *from } else { b'_' };
    }
}

/// Writes the PAX entry, when there are records, and returns its length.
fn write_records(
    out: &mut (impl Write + ?Sized),
    fields: &HeaderFields<'_>,
    records: &Records,
) -> Result<u64, TarError> {
    if records.is_empty() {
        return Ok(0);
    }
    let block = pax::encode(records);
    let size = block.len() as u64;
    if size > MAX_EXTENSION {
        return Err(unwritable(fields, "its extended attributes are too large"));
    }
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    let base = fields
        .path
        .rsplit(|b| *b == b'/')
        .find(|part| !part.is_empty());
    let name = [b"PaxHeaders/", base.unwrap_or_default()].concat();
    set_text(&mut header.as_old_mut().name, &name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(&block)?;
    write_padding(out, size)?;
    Ok(BLOCK as u64 + size.next_multiple_of(BLOCK as u64))
}
