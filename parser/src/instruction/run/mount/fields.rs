//! The keys of `--mount` and their values. Unaware of which of them go together, which the types say.

use crate::go;
use crate::graph::Sharing;

use super::{MountType, TYPES, nearest};

/// The type of fields that are not expanded yet; None if it holds a variable or is unknown.
pub(super) fn kind(fields: &[String]) -> Option<&'static MountType> {
    let mut pairs = fields.iter().filter_map(|field| field.split_once('='));
    let last = pairs.rfind(|(key, _)| key.eq_ignore_ascii_case("type"));
    match last {
        None => Some(TYPES[0]),
        Some((_, name)) => find(&types(), name),
    }
}

const SHARING: [(&str, Sharing); 3] = [
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];

fn types() -> Vec<(&'static str, &'static MountType)> {
    TYPES.iter().map(|kind| (kind.name, *kind)).collect()
}

/// The values of a mount.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) kind: &'static MountType,
    pub(crate) from: String,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) id: String,
    pub(crate) sharing: Option<Sharing>,
    pub(crate) required: bool,
    pub(crate) size: Option<u64>,
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) env: Option<String>,
    /// `z`, `Z` or `relabel`.
    pub(crate) relabels: bool,
}

/// What is wrong, and what may have been meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) near: Option<&'static str>,
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Problem {
            message,
            near: None,
        }
    }
}

impl Fields {
    fn of(kind: &'static MountType) -> Self {
        Fields {
            kind,
            from: String::new(),
            source: String::new(),
            target: String::new(),
            read_only: false,
            id: String::new(),
            sharing: None,
            required: false,
            size: None,
            mode: None,
            uid: None,
            gid: None,
            env: None,
            relabels: false,
        }
    }

    /// Reads keys (lower case) and expanded values. Their order matters: as in BuildKit, the type must come before `required` and `size`.
    pub(super) fn read(fields: &[(String, Option<String>)]) -> Result<Self, Problem> {
        let mut read = Fields::of(TYPES[0]);
        let mut read_only = None;
        for (key, value) in fields {
            match (key.as_str(), value.as_deref()) {
                ("readonly" | "ro", value) => read_only = Some(flag(key, value)?),
                ("readwrite" | "rw", value) => read_only = Some(!flag(key, value)?),
                ("z", None) | ("relabel", Some("shared" | "private")) => read.relabels = true,
                ("required", value) => {
                    read.only_where_known(key)?;
                    read.required = flag(key, value)?;
                }
                (_, Some(value)) => read.set(key, value)?,
                (_, None) => {
                    return Err(format!("invalid field '{key}' must be a key=value pair").into());
                }
            }
        }
        read.read_only = read_only.unwrap_or(read.kind.read_only);
        read.check()?;
        Ok(read)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "type" => self.kind = choice(&types(), "mount type", value)?,
            "from" => self.from = value.to_owned(),
            "source" | "src" => self.source = value.to_owned(),
            "target" | "dst" | "destination" => self.target = value.to_owned(),
            "id" => self.id = value.to_owned(),
            "env" => self.env = Some(value.to_owned()),
            "sharing" => self.sharing = Some(choice(&SHARING, "sharing value", value)?),
            "size" => {
                self.only_where_known(key)?;
                let invalid = || format!("invalid value for {key}: {value}");
                self.size = Some(bytes(value).ok_or_else(invalid)?);
            }
            "mode" => self.mode = Some(number(key, value, 8)?),
            "uid" => self.uid = Some(number(key, value, 10)?),
            "gid" => self.gid = Some(number(key, value, 10)?),
            _ => {
                return Err(Problem {
                    message: format!("unexpected key '{key}' in '{key}={value}'"),
                    near: nearest(key, &keys()),
                });
            }
        }
        Ok(())
    }

    /// Some keys are refused at once if the type so far does not have them.
    fn only_where_known(&self, key: &str) -> Result<(), Problem> {
        if self.kind.has(key) {
            return Ok(());
        }
        let kind = self.kind.name;
        Err(format!("unexpected key '{key}' for mount type '{kind}'").into())
    }

    fn check(&self) -> Result<(), Problem> {
        let kind = self.kind;
        if self.relabels && !kind.has("z") {
            return Err(format!("unexpected key 'z' for mount type '{}'", kind.name).into());
        }
        let owner = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
        let given = owner.iter().filter(|(_, value)| value.is_some());
        if let Some((key, _)) = given.clone().find(|(key, _)| !kind.has(key)) {
            return Err(format!("{key} not allowed for {:?} type mounts", kind.name).into());
        }
        (kind.check)(self)?;
        if self.sharing.is_some() && !kind.has("sharing") {
            return Err(format!("invalid cache sharing set for {} mount", kind.name).into());
        }
        Ok(())
    }

    /// `source` or `id`, whichever was given: both name secrets and agents.
    pub(super) fn name(&self) -> Option<String> {
        let names = [&self.source, &self.id];
        names.into_iter().find(|name| !name.is_empty()).cloned()
    }
}

/// All keys that a mount can have, for suggestions.
fn keys() -> Vec<&'static str> {
    let own = TYPES.iter().flat_map(|kind| kind.keys);
    let spellings = own.flat_map(|key| key.names.iter().copied());
    std::iter::once("type").chain(spellings).collect()
}

fn find<T: Copy>(choices: &[(&'static str, T)], name: &str) -> Option<T> {
    let lower = name.to_lowercase();
    let found = choices.iter().find(|(name, _)| *name == lower);
    found.map(|(_, value)| *value)
}

fn choice<T: Copy>(choices: &[(&'static str, T)], what: &str, name: &str) -> Result<T, Problem> {
    find(choices, name).ok_or_else(|| {
        let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
        Problem {
            message: format!("unsupported {what} {name:?}"),
            near: nearest(name, &names),
        }
    })
}

/// A boolean as Go's `strconv.ParseBool` reads it; a key alone is true.
fn flag(key: &str, value: Option<&str>) -> Result<bool, Problem> {
    let Some(value) = value else {
        return Ok(true);
    };
    go::boolean(value).ok_or_else(|| format!("invalid value for {key}: {value}").into())
}

fn number(key: &str, value: &str, base: u32) -> Result<u32, Problem> {
    let digits = !value.starts_with('+');
    let number = u32::from_str_radix(value, base).ok().filter(|_| digits);
    number.ok_or_else(|| format!("invalid value {value} for {key}").into())
}

/// `64m`, `1.5GiB`: powers of 1024, as docker's units package reads them.
fn bytes(text: &str) -> Option<u64> {
    let is_digit = |ch: char| ch.is_ascii_digit() || ch == '.';
    let digits = text.find(|ch| !is_digit(ch)).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = match unit.strip_suffix('b') {
        Some(unit) => unit.strip_suffix('i').unwrap_or(unit),
        None => unit.as_str(),
    };
    let units = ["", "k", "m", "g", "t", "p"];
    let scale = 1_u64 << (10 * units.iter().position(|other| *other == unit)?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Without digits it is 0.
    let number = |digits: &str| format!("0{digits}").parse::<u64>().ok();
    let fraction = &fraction[..fraction.len().min(9)];
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let rest = u128::from(number(fraction)?) * u128::from(scale) / divisor;
    let whole = number(whole)?.checked_mul(scale)?;
    whole.checked_add(u64::try_from(rest).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fields, String> {
        let fields: Vec<_> = text
            .split(',')
            .map(|field| match field.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (field.to_owned(), None),
            })
            .collect();
        Fields::read(&fields).map_err(|problem| problem.message)
    }

    #[test]
    fn defaults_depend_on_the_type() {
        assert!(read("target=/x").unwrap().read_only);
        assert!(!read("target=/x,rw").unwrap().read_only);
        assert!(!read("type=cache,target=/x").unwrap().read_only);
        assert!(read("type=cache,target=/x,ro=1").unwrap().read_only);
        assert!(read("type=secret,id=x,required").unwrap().required);
        assert!(read("z,type=cache,target=/x").unwrap().relabels);
        assert!(read("target=/x,relabel=shared").unwrap().relabels);
    }

    #[test]
    fn keys_that_do_not_go_together() {
        for bad in [
            "type=foo",
            "type=bind,mode=0755",
            "type=tmpfs,uid=1",
            "type=secret",
            "type=secret,id=a,src=b",
            "type=secret,id=a,from=b",
            "type=bind,sharing=locked",
            "type=cache,sharing=x",
            "required",
            "size=1,type=tmpfs",
            "type=cache,mode=9",
            "type=cache,uid=-1",
            "ro=maybe",
            "target",
            "foo=1",
            "type=tmpfs,z",
            "z=1",
            "relabel=maybe",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("10", 10),
            ("1k", 1024),
            ("1.5KiB", 1536),
            ("2gb", 2 << 30),
            ("1 m", 1 << 20),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for bad in ["", "m", "1x", "-1", "1.2.3", "99999999999999999p", "."] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
