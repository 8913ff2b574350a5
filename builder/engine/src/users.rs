//! `USER`, `--chown` and `HOME` resolved from an image's own `/etc/passwd` and `/etc/group`. Works on text that the caller
//! has read; unaware of file systems and of the host's users: name services of the host must never leak into an image.
//!
//! The rules are those of runc's `GetExecUser`, which BuildKit uses: an id that is not listed is accepted, a name must be
//! listed; a listed user brings its group, home and supplementary groups unless a group was named.

use thiserror::Error;

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

/// A user or group that cannot be resolved.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UserError {
    /// The name is in no line of `/etc/passwd`.
    #[error("unable to find user {0}: no such user in the image's /etc/passwd")]
    NoSuchUser(String),
    /// The name is in no line of `/etc/group`.
    #[error("unable to find group {0}: no such group in the image's /etc/group")]
    NoSuchGroup(String),
    /// A number above 2^31-1, as in runc.
    #[error("invalid user or group id {0}: ids go from 0 to 2147483647")]
    OutOfRange(String),
}

/// The two files, as text; missing files are empty.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
}

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
        let uid = match &listed {
            Some(line) => line.uid,
            None => id(user)?.ok_or_else(|| UserError::NoSuchUser(user.to_owned()))?,
        };
        let home = listed
            .as_ref()
            .map(|l| l.home)
            .filter(|h| !h.is_empty())
            .unwrap_or("/")
            .to_owned();
        let (gid, memberships) = match group {
            Some(group) => (self.gid(group)?, Vec::new()),
            None => match &listed {
                Some(line) => (line.gid, self.memberships(line.name)),
                None => (0, Vec::new()),
            },
        };
        let others = memberships.into_iter().filter(|group| *group != gid);
        let groups = std::iter::once(gid).chain(others).collect();
        Ok(Identity {
            uid,
            gid,
            groups,
            home,
        })
    }

    /// Resolves `--chown`: a user alone gives the group of the same number, as BuildKit does.
    ///
    /// # Errors
    /// When a name is not listed or an id is out of range.
    pub fn owner(&self, chown: &str) -> Result<(u32, u32), UserError> {
        let (user, group) = split(chown);
        let (uid, own_gid) = match user {
            None => (0, 0),
            Some(user) => match id(user)? {
                Some(uid) => (uid, uid),
                None => {
                    let line = self
                        .find_user(user)?
                        .ok_or_else(|| UserError::NoSuchUser(user.to_owned()))?;
                    (line.uid, line.gid)
                }
            },
        };
        let gid = group.map_or(Ok(own_gid), |group| self.gid(group))?;
        Ok((uid, gid))
    }

    /// True when resolving `spec` needs the files: it holds a name.
    #[must_use]
    pub fn needed_for(spec: &str) -> bool {
        let (user, group) = split(spec);
        [user, group]
            .into_iter()
            .flatten()
            .any(|part| !part.bytes().all(|b| b.is_ascii_digit()))
    }

    fn find_user(&self, user: &str) -> Result<Option<PasswdLine<'_>>, UserError> {
        let number = id(user)?;
        Ok(self
            .users()
            .find(|line| line.name == user || number == Some(line.uid)))
    }

    fn gid(&self, group: &str) -> Result<u32, UserError> {
        let number = id(group)?;
        self.groups()
            .find(|line| line.name == group)
            .map(|line| line.gid)
            .or(number)
            .ok_or_else(|| UserError::NoSuchGroup(group.to_owned()))
    }

    fn memberships(&self, name: &str) -> Vec<u32> {
        self.groups()
            .filter(|line| line.members.split(',').any(|member| member.trim() == name))
            .map(|line| line.gid)
            .collect()
    }

    fn users(&self) -> impl Iterator<Item = PasswdLine<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(PasswdLine {
                name,
                uid,
                gid,
                home: fields.nth(1).unwrap_or(""),
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = GroupLine<'_>> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some(GroupLine {
                name,
                gid,
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
    fn chown_of_a_number_takes_the_same_group_number() {
        assert_eq!(accounts().owner("33").unwrap(), (33, 33));
        assert_eq!(accounts().owner("1000").unwrap(), (1000, 1000));
        assert_eq!(accounts().owner("app").unwrap(), (1000, 1001));
        assert_eq!(accounts().owner(":staff").unwrap(), (0, 50));
        assert_eq!(accounts().owner("5:wheel").unwrap(), (5, 10));
        assert!(
            Accounts::needed_for("5:wheel")
                && !Accounts::needed_for("5:6")
                && !Accounts::needed_for("")
        );
    }
}
