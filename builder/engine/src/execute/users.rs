//! `USER`, `--chown` and `HOME` resolved from an image's own `/etc/passwd` and `/etc/group`. Works on text that the caller
//! has read; unaware of file systems and of the host's users: name services of the host must never leak into an image.
//!
//! The rules are those of runc's `GetExecUser`, which BuildKit uses: an id that is not listed is accepted, a name must be
//! listed; a listed user brings its group, home and supplementary groups unless a group was named.

use crate::failure::UserError;

/// A user for a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups: the primary one (runc's answer to CVE-2023-25173), then the supplementary ones in the order of the group
    /// file.
    pub groups: Vec<u32>,
    /// Home directory; `/` when the user is not listed.
    pub home: String,
}

/// The two files, as text; missing files are empty.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
}

/// Who owns a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Names that are listed nowhere.
    pub unknown: Vec<UserError>,
}

/// The one name that needs no file.
const ROOT: &str = "root";

struct PasswdLine<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct GroupLine<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Accounts {
    /// Resolves what `USER` says (`""` is root) for a process.
    ///
    /// # Errors
    /// When a name is not listed or an id is out of range.
    pub fn identity(&self, user: &str) -> Result<Identity, UserError> {
        let (user, group) = split(user);
        let user = user.unwrap_or("0");
        let listed = self.find_user(user)?;
        let missing = || UserError::NoSuchUser(user.to_owned());
        let (uid, own_group, home) = match &listed {
            Some(line) => (line.uid, line.gid, line.home),
            None => (id(user)?.ok_or_else(missing)?, 0, ""),
        };
        let gid = group.map_or(Ok(own_group), |group| self.gid(group))?;
        let member = listed.filter(|_| group.is_none());
        let memberships = member.map_or_else(Vec::new, |line| self.memberships(line.name));
        let others = memberships.into_iter().filter(|group| *group != gid);
        Ok(Identity {
            uid,
            gid,
            groups: std::iter::once(gid).chain(others).collect(),
            home: if home.is_empty() { "/" } else { home }.to_owned(),
        })
    }

    /// Resolves `--chown` and, for WORKDIR, `USER` as BuildKit does for files: a user alone gives the group of the same
    /// number, `root` is 0 whatever the files say, and a name that is not listed counts as root's.
    pub fn owner(&self, spec: &str) -> Result<Owner, UserError> {
        let (user, group) = split(spec);
        let mut owner = Owner::default();
        if let Some(user) = user {
            let listed = self.users().find(|line| line.name == user);
            match (owner_id(user)?, listed) {
                (Some(uid), _) => (owner.uid, owner.gid) = (uid, uid),
                (None, Some(line)) => (owner.uid, owner.gid) = (line.uid, line.gid),
                (None, None) => owner.unknown.push(UserError::NoSuchUser(user.to_owned())),
            }
        }
        if let Some(group) = group {
            let listed = self.groups().find(|line| line.name == group);
            match (owner_id(group)?, listed) {
                (Some(gid), _) => owner.gid = gid,
                (None, Some(line)) => owner.gid = line.gid,
                (None, None) => owner.unknown.push(UserError::NoSuchGroup(group.to_owned())),
            }
        }
        Ok(owner)
    }

    /// True when resolving `spec` needs the files: it holds a name.
    pub fn needed_for(spec: &str) -> bool {
        let (user, group) = split(spec);
        [user, group]
            .into_iter()
            .flatten()
            .any(|part| !part.bytes().all(|b| b.is_ascii_digit()))
    }

    /// The same for [`Accounts::owner`], which knows root by itself.
    pub fn needed_for_owner(spec: &str) -> bool {
        let (user, group) = split(spec);
        let named = |part: &str| part != ROOT && Self::needed_for(part);
        [user, group].into_iter().flatten().any(named)
    }

    /// A number is never a name, even if a user has it as its name.
    fn find_user(&self, user: &str) -> Result<Option<PasswdLine<'_>>, UserError> {
        let number = id(user)?;
        Ok(self.users().find(|line| match number {
            Some(number) => line.uid == number,
            None => line.name == user,
        }))
    }

    fn gid(&self, group: &str) -> Result<u32, UserError> {
        let named = || self.groups().find(|line| line.name == group);
        id(group)?
            .or_else(|| named().map(|line| line.gid))
            .ok_or_else(|| UserError::NoSuchGroup(group.to_owned()))
    }

    fn memberships(&self, name: &str) -> Vec<u32> {
        self.groups()
            .filter(|line| line.members.split(',').any(|member| member.trim() == name))
            .map(|line| line.gid)
            .collect()
    }

    fn users(&self) -> impl Iterator<Item = PasswdLine<'_>> {
        entries(&self.passwd).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            Some(PasswdLine {
                name,
                uid: number(fields.nth(1)),
                gid: number(fields.next()),
                home: fields.nth(1).unwrap_or(""),
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = GroupLine<'_>> {
        entries(&self.group).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            Some(GroupLine {
                name,
                gid: number(fields.nth(1)),
                members: fields.next().unwrap_or(""),
            })
        })
    }
}

/// `user:group` into its parts; empty parts count as not given.
fn split(spec: &str) -> (Option<&str>, Option<&str>) {
    let (user, group) = spec
        .split_once(':')
        .map_or((spec, None), |(u, g)| (u, Some(g)));
    (
        Some(user).filter(|u| !u.is_empty()),
        group.filter(|g| !g.is_empty()),
    )
}

/// The lines of a file, without comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
}

/// A field of a line: as runc reads it, what is missing or no number is 0.
fn number(field: Option<&str>) -> u32 {
    field
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}

/// A number if `text` is one or root.
fn owner_id(text: &str) -> Result<Option<u32>, UserError> {
    if text == ROOT { Ok(Some(0)) } else { id(text) }
}

/// A number if `text` is one.
fn id(text: &str) -> Result<Option<u32>, UserError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if i32::try_from(id).is_ok() => Ok(Some(id)),
        _ => Err(UserError::OutOfRange(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# comment\napp:x:1000:1001:App:/srv/app:/bin/sh\nnohome:x:7:7::\n".into(),
            group: "root:x:0:\nstaff:x:50:app,other\napp:x:1001:\nwheel:x:10:other, app\n".into(),
        }
    }

    #[test]
    fn a_listed_user_brings_group_home_and_memberships() {
        let id = accounts().identity("app").unwrap();
        assert_eq!(
            id,
            Identity {
                uid: 1000,
                gid: 1001,
                groups: vec![1001, 50, 10],
                home: "/srv/app".into()
            }
        );
        assert_eq!(accounts().identity("1000").unwrap(), id);
    }

    #[test]
    fn naming_a_group_drops_memberships() {
        let id = accounts().identity("app:staff").unwrap();
        assert_eq!((id.gid, id.groups), (50, vec![50]));
        assert_eq!(accounts().identity("app:77").unwrap().gid, 77);
    }

    #[test]
    fn unlisted_numbers_are_accepted_and_names_are_not() {
        let id = accounts().identity("4242").unwrap();
        assert_eq!(
            id,
            Identity {
                uid: 4242,
                gid: 0,
                groups: vec![0],
                home: "/".into()
            }
        );
        assert_eq!(
            accounts().identity("nobody"),
            Err(UserError::NoSuchUser("nobody".into()))
        );
        assert_eq!(
            accounts().identity("app:nope"),
            Err(UserError::NoSuchGroup("nope".into()))
        );
        assert_eq!(
            accounts().identity("4294967295"),
            Err(UserError::OutOfRange("4294967295".into()))
        );
    }

    #[test]
    fn root_is_the_default_and_needs_no_files() {
        let id = Accounts::default().identity("").unwrap();
        assert_eq!(
            id,
            Identity {
                uid: 0,
                gid: 0,
                groups: vec![0],
                home: "/".into()
            }
        );
    }

    #[test]
    fn numbers_are_no_names_and_odd_lines_count() {
        let odd = Accounts {
            passwd: "7:x:1:1::/seven:\nshort\nbad:x:no:9::/bad:\n".into(),
            group: "7:x:1:\nbare\n".into(),
        };
        assert_eq!(odd.identity("7:7").unwrap().uid, 7);
        assert_eq!(odd.identity("0:7").unwrap().gid, 7);
        let short = odd.identity("short").unwrap();
        assert_eq!((short.uid, short.gid), (0, 0));
        let bad = odd.identity("bad:bare").unwrap();
        assert_eq!((bad.uid, bad.gid, bad.home.as_str()), (0, 0, "/bad"));
    }

    fn owner(spec: &str) -> (u32, u32) {
        let owner = accounts().owner(spec).unwrap();
        assert_eq!(owner.unknown, [], "{spec}");
        (owner.uid, owner.gid)
    }

    #[test]
    fn chown_of_a_number_takes_the_same_group_number() {
        assert_eq!(owner("33"), (33, 33));
        assert_eq!(owner("1000"), (1000, 1000));
        assert_eq!(owner("app"), (1000, 1001));
        assert_eq!(owner(":staff"), (0, 50));
        assert_eq!(owner("5:wheel"), (5, 10));
        assert!(
            Accounts::needed_for("5:wheel")
                && !Accounts::needed_for("5:6")
                && !Accounts::needed_for("")
        );
    }

    #[test]
    fn owners_that_no_file_names() {
        let none = Accounts::default();
        assert_eq!(none.owner("root:root").unwrap(), Owner::default());
        assert!(!Accounts::needed_for_owner("root:0") && Accounts::needed_for_owner("root:app"));
        let typo = none.owner("ap:sta").unwrap();
        assert_eq!((typo.uid, typo.gid, typo.unknown.len()), (0, 0, 2));
        assert_eq!(none.owner("33:sta").unwrap().gid, 33);
    }
}
