//! Digests of texts, and identifiers.

use super::Answer;
use super::arguments::Arguments;
use crate::value::Value;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digested<D: Digest>(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(hex(&D::digest(arguments.text(0)?))))
}

pub fn md5(arguments: &Arguments<'_>) -> Answer {
    digested::<Md5>(arguments)
}

pub fn sha1(arguments: &Arguments<'_>) -> Answer {
    digested::<Sha1>(arguments)
}

pub fn sha256(arguments: &Arguments<'_>) -> Answer {
    digested::<Sha256>(arguments)
}

pub fn sha512(arguments: &Arguments<'_>) -> Answer {
    digested::<Sha512>(arguments)
}

pub fn uuidv4(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(uuid(arguments.host.random(), 4)))
}

/// Of a name within a namespace, which is a UUID or the word for a known one.
pub fn uuidv5(arguments: &Arguments<'_>) -> Answer {
    let (space, name) = (arguments.text(0)?, arguments.text(1)?);
    let known = |last| format!("6ba7b81{last}-9dad-11d1-80b4-00c04fd430c8");
    let space = match space.as_str() {
        "dns" => known('0'),
        "url" => known('1'),
        "oid" => known('2'),
        "x500" => known('4'),
        other => other.to_owned(),
    };
    let bytes = bytes_of(&space).ok_or_else(|| format!("{space:?} is no UUID"))?;
    let digest = Sha1::new()
        .chain_update(bytes)
        .chain_update(name)
        .finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    Ok(Value::String(uuid(first, 5)))
}

fn bytes_of(uuid: &str) -> Option<Vec<u8>> {
    let digits: String = uuid.chars().filter(|ch| *ch != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok();
    (0..16).map(pair).collect()
}

fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    format!("{a}-{b}-{c}-{d}-{e}")
}
