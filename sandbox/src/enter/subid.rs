//! Which ids of the host belong to a user: the lines of `/etc/subuid` and `/etc/subgid` (subuid(5)). Unaware of namespaces.
//!
//! Users that only a directory service knows are found by number, not by name: a name service would load libraries of the host into a
//! static binary.

use std::fs;
use std::path::Path;

use crate::IdRange;

/// The name of `uid`, if `/etc/passwd` has it.
pub fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The ranges of a user in the file at `path`, in the file's order. Empty if the file cannot be read.
pub fn ranges(path: &Path, uid: u32, name: Option<&str>) -> Vec<IdRange> {
    fs::read_to_string(path)
        .map(|text| parse(&text, uid, name))
        .unwrap_or_default()
}

/// A line is `owner:start:count`, owner by name or number; others are skipped, as the shadow tools do.
fn parse(text: &str, uid: u32, name: Option<&str>) -> Vec<IdRange> {
    let owner_is_user = |owner: &str| Some(owner) == name || owner.parse() == Ok(uid);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (owner, start, count) = (
                fields.next()?,
                fields.next()?.parse().ok()?,
                fields.next()?.parse().ok()?,
            );
            (owner_is_user(owner) && count > 0).then_some(IdRange { start, count })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_name_and_number() {
        let text =
            "root:1:9\nann:100000:65536\n\n# x\n1000:300000:10\nbob:5\nann:7:0\nann:200000:1\n";
        let range = |start, count| IdRange { start, count };
        assert_eq!(
            parse(text, 1000, Some("ann")),
            [range(100_000, 65536), range(300_000, 10), range(200_000, 1)]
        );
        assert_eq!(parse(text, 1000, None), [range(300_000, 10)]);
        assert_eq!(parse(text, 1001, Some("bob")), []);
    }
}
