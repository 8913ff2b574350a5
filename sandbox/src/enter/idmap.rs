//! Which user and group ids a build can give to files, and a name for that map, for folders of mapped files.
//! Unaware of how the map came to be.

/// How ids inside (what the process sees after [`enter`](crate::enter)) relate to ids on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// The same ids; no user namespace was made.
    Root,
    /// 0 is the caller, the ids from 1 on are the ranges in order.
    Range {
        /// The caller's uid on the host: inside it is 0.
        uid: u32,
        /// The caller's gid on the host: inside it is 0.
        gid: u32,
        /// From `/etc/subuid`; never empty.
        uids: Vec<IdRange>,
        /// From `/etc/subgid`; never empty.
        gids: Vec<IdRange>,
    },
    /// Only 0 exists: it is the caller. Every `chown` to another id fails with EINVAL.
    Single {
        /// The caller's uid on the host.
        uid: u32,
        /// The caller's gid on the host.
        gid: u32,
    },
}

/// `count` host ids from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id on the host.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl IdMap {
    /// A stable name, fit for a folder: two processes with the same name see each other's files with the same owners.
    ///
    /// `root`, `range-<uid>-<start>-<count>` (each further uid range as `-<start>-<count>`; `-g<gid>` and the gid ranges
    /// follow where they differ from the uids), `single-<uid>` (and `-g<gid>` where it differs).
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Range {
                uid,
                gid,
                uids,
                gids,
            } if (uid, uids) == (gid, gids) => format!("range-{uid}{}", list(uids)),
            Self::Range {
                uid,
                gid,
                uids,
                gids,
            } => format!("range-{uid}{}-g{gid}{}", list(uids), list(gids)),
            Self::Single { uid, gid } if uid == gid => format!("single-{uid}"),
            Self::Single { uid, gid } => format!("single-{uid}-g{gid}"),
        }
    }

    /// Whether no id but 0 exists.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Single { .. })
    }
}

/// Whether the user namespace has `id`. Lines are: first id inside, first outside, count.
pub fn is_mapped(map: &str, id: u32) -> bool {
    let map = std::fs::read_to_string(map).unwrap_or_default();
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.nth(1)) else {
            return false;
        };
        (first..first + count).contains(&u64::from(id))
    })
}

fn list(ranges: &[IdRange]) -> String {
    ranges
        .iter()
        .map(|range| format!("-{}-{}", range.start, range.count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_where_owners_differ() {
        let range = |start| IdRange {
            start,
            count: 65536,
        };
        let map = |gid, gids| IdMap::Range {
            uid: 1000,
            gid,
            uids: vec![range(100_000)],
            gids,
        };
        assert_eq!(IdMap::Root.key(), "root");
        assert_eq!(
            map(1000, vec![range(100_000)]).key(),
            "range-1000-100000-65536"
        );
        assert_eq!(
            map(100, vec![range(100_000)]).key(),
            "range-1000-100000-65536-g100-100000-65536"
        );
        assert_eq!(
            map(1000, vec![range(1), range(9)]).key(),
            "range-1000-100000-65536-g1000-1-65536-9-65536"
        );
        assert_eq!(IdMap::Single { uid: 5, gid: 5 }.key(), "single-5");
        assert_eq!(IdMap::Single { uid: 5, gid: 6 }.key(), "single-5-g6");
    }
}
