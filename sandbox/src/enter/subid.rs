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

/// How many ids a range gives: all that images use.
const WANTED: u32 = 65_536;
/// The ids that the shadow suite gives away by itself (SUB_UID_MIN and SUB_UID_MAX of login.defs(5)).
const GIVEN_AWAY: (u32, u32) = (100_000, 600_100_000);

/// What root calls to give a user ranges that nobody has yet; nothing where the user has both.
pub fn advice(uid: u32) -> Option<String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let name = user_name(uid);
    let files = ["/etc/subuid", "/etc/subgid"].map(read);
    let lacks = |text: &String| parse(text, uid, name.as_deref()).is_empty();
    let [uids, gids] = files.each_ref().map(lacks);
    let mut taken: Vec<IdRange> = files.iter().flat_map(|text| all(text)).collect();
    taken.extend(accounts(&read("/etc/passwd")));
    let user = name.unwrap_or_else(|| uid.to_string());
    (uids || gids).then(|| command(&user, uids, gids, free(taken)))
}

/// The call for the files that lack a line. Without a free range the numbers are for the administrator to find.
fn command(user: &str, uids: bool, gids: bool, first: Option<u32>) -> String {
    let range = first.map_or("FIRST-LAST".to_owned(), |first| {
        format!("{first}-{}", first + (WANTED - 1))
    });
    let flag = |lacks: bool, name: &str| {
        if lacks {
            format!(" --add-{name} {range}")
        } else {
            String::new()
        }
    };
    format!(
        "usermod{}{} {user}",
        flag(uids, "subuids"),
        flag(gids, "subgids")
    )
}

/// The ranges of all users.
fn all(text: &str) -> impl Iterator<Item = IdRange> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':').skip(1);
        let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(IdRange { start, count })
    })
}

/// The ids of accounts themselves.
fn accounts(passwd: &str) -> impl Iterator<Item = IdRange> {
    let ids = passwd
        .lines()
        .filter_map(|line| line.split(':').nth(2)?.parse().ok());
    ids.map(|start| IdRange { start, count: 1 })
}

/// The first id of the lowest range that overlaps none of these.
fn free(mut taken: Vec<IdRange>) -> Option<u32> {
    taken.sort_by_key(|range| range.start);
    let mut first = GIVEN_AWAY.0;
    for range in taken {
        let end = range.start.saturating_add(range.count);
        if range.start < first + WANTED && end > first {
            first = end;
        }
        if first > GIVEN_AWAY.1 - WANTED {
            return None;
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_overlaps_nobody() {
        let free_in = |text: &str| free(all(text).collect());
        assert_eq!(free_in(""), Some(100_000));
        assert_eq!(free_in("ann:100000:65536\n"), Some(165_536));
        assert_eq!(
            free_in("bob:231072:65536\nann:100000:65536\n"),
            Some(165_536)
        );
        assert_eq!(
            free_in("bob:165537:65536\nann:100000:65536\n"),
            Some(231_073)
        );
        assert_eq!(
            free_in("ann:90000:20000\nbob:110000:10\nx:y:z\n"),
            Some(110_010)
        );
        assert_eq!(free_in("ann:0:4294967295\n"), None);
        assert_eq!(free(accounts("a:x:100000:1:::\n").collect()), Some(100_001));
        let said = |uids, gids, first| command("ann", uids, gids, first);
        assert_eq!(
            said(true, true, Some(165_536)),
            "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann"
        );
        assert_eq!(
            said(false, true, None),
            "usermod --add-subgids FIRST-LAST ann"
        );
    }

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
