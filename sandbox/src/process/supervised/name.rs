//! Which names of a command's calls are served: those below `/proc`, `/sys` and `/dev`, however they are written. Unaware of what is there.

/// A served name: what follows the folder, without links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Proc(Vec<String>),
    Sys(Vec<String>),
    Dev(Vec<String>),
}

impl Name {
    /// An absolute path, if it is served. `..` is taken as written.
    pub fn of(path: &[u8]) -> Option<Self> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let (first, rest) = parts.split_first()?;
        let kind = match *first {
            b"proc" => Self::Proc,
            b"sys" => Self::Sys,
            b"dev" => Self::Dev,
            _ => return None,
        };
        let text = |part: &&[u8]| std::str::from_utf8(part).ok().map(str::to_owned);
        Some(kind(rest.iter().map(text).collect::<Option<_>>()?))
    }
}

/// Whether a path may be served: all others are told apart from it without a look at the caller's folder.
pub fn may_be_served(path: &[u8], is_in_served_folder: bool) -> bool {
    if path.starts_with(b"/") {
        // `..` may hide the beginning
        return Name::of(path).is_some();
    }
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    is_in_served_folder || matches!(first, b"proc" | b"sys" | b"dev" | b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_they_are_written() {
        let parts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let is = |path: &str, name: Option<Name>| assert_eq!(Name::of(path.as_bytes()), name);
        is("/proc", Some(Name::Proc(parts(&[]))));
        is(
            "//proc/./self//fd/",
            Some(Name::Proc(parts(&["self", "fd"]))),
        );
        is("/usr/../dev/null", Some(Name::Dev(parts(&["null"]))));
        is("/../sys/x/..", Some(Name::Sys(parts(&[]))));
        for other in ["/", "/process", "/usr/proc/self", "/proc/..", ""] {
            is(other, None);
        }
    }

    #[test]
    fn relative_names_are_looked_at_where_they_may_lead_there() {
        for path in ["proc/self", "../x", "./dev", "/proc"] {
            assert!(may_be_served(path.as_bytes(), false), "{path}");
        }
        for path in ["x", "/usr", "src/proc", ""] {
            assert!(!may_be_served(path.as_bytes(), false), "{path}");
        }
        assert!(may_be_served(b"status", true));
    }
}
