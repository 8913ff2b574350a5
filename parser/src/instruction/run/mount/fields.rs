//! The keys of `--mount` and which of them go together.

use crate::graph::Sharing;

use super::nearest;

/// All keys, for suggestions.
const KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// What is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl Kind {
    const ALL: [(&'static str, Kind); 5] = [
        ("bind", Kind::Bind),
        ("cache", Kind::Cache),
        ("tmpfs", Kind::Tmpfs),
        ("secret", Kind::Secret),
        ("ssh", Kind::Ssh),
    ];

    fn name(self) -> &'static str {
        Kind::ALL
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether `from` means something.
    pub(super) fn has_source(self) -> bool {
        matches!(self, Kind::Bind | Kind::Cache)
    }
}

/// The type of fields that are not expanded yet; None if it holds a variable or is unknown.
pub(super) fn kind(fields: &[String]) -> Option<Kind> {
    let mut types = fields.iter().filter_map(|field| field.split_once('='));
    let last = types.rfind(|(key, _)| key.eq_ignore_ascii_case("type"));
    match last {
        None => Some(Kind::Bind),
        Some((_, name)) => find(Kind::ALL.as_slice(), name),
    }
}

/// The values of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) kind: Kind,
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
    /// Reads keys (lower case) and expanded values. Their order matters: `required` and `size`
    /// want the type before them, as in BuildKit.
    pub(super) fn read(fields: &[(String, Option<String>)]) -> Result<Self, Problem> {
        let mut read = Fields::default();
        let mut read_only = None;
        for (key, value) in fields {
            match (key.as_str(), value.as_deref()) {
                ("readonly" | "ro", value) => read_only = Some(flag(key, value)?),
                ("readwrite" | "rw", value) => read_only = Some(!flag(key, value)?),
                ("required", value) => {
                    read.only_for(key, &[Kind::Secret, Kind::Ssh])?;
                    read.required = flag(key, value)?;
                }
                (_, Some(value)) => read.set(key, value)?,
                (_, None) => {
                    return Err(format!("invalid field '{key}' must be a key=value pair").into());
                }
            }
        }
        read.read_only = read_only.unwrap_or(!matches!(read.kind, Kind::Cache | Kind::Tmpfs));
        read.check()?;
        Ok(read)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "type" => self.kind = choice(Kind::ALL.as_slice(), "mount type", value)?,
            "from" => self.from = value.to_owned(),
            "source" | "src" => self.source = value.to_owned(),
            "target" | "dst" | "destination" => self.target = value.to_owned(),
            "id" => self.id = value.to_owned(),
            "env" => self.env = Some(value.to_owned()),
            "sharing" => {
                let modes = [
                    ("shared", Sharing::Shared),
                    ("private", Sharing::Private),
                    ("locked", Sharing::Locked),
                ];
                self.sharing = Some(choice(&modes, "sharing value", value)?);
            }
            "size" => {
                self.only_for(key, &[Kind::Tmpfs])?;
                let size =
                    bytes(value).ok_or_else(|| format!("invalid value for {key}: {value}"))?;
                self.size = Some(size);
            }
            "mode" => self.mode = Some(number(key, value, 8)?),
            "uid" => self.uid = Some(number(key, value, 10)?),
            "gid" => self.gid = Some(number(key, value, 10)?),
            _ => {
                return Err(Problem {
                    message: format!("unexpected key '{key}' in '{key}={value}'"),
                    near: nearest(key, KEYS),
                });
            }
        }
        Ok(())
    }

    fn only_for(&self, key: &str, kinds: &[Kind]) -> Result<(), Problem> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        Err(format!(
            "unexpected key '{key}' for mount type '{}'",
            self.kind.name()
        )
        .into())
    }

    fn check(&self) -> Result<(), Problem> {
        let kind = self.kind;
        let has_owner = matches!(kind, Kind::Secret | Kind::Ssh | Kind::Cache);
        let owner = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
        if let Some((key, _)) = owner
            .iter()
            .find(|(_, value)| value.is_some() && !has_owner)
        {
            return Err(format!("{key} not allowed for {:?} type mounts", kind.name()).into());
        }
        if kind == Kind::Secret {
            if !self.from.is_empty() {
                return Err("secret mount should not have a from".to_owned().into());
            }
            if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                return Err("invalid secret mount. one of source, target required"
                    .to_owned()
                    .into());
            }
            if !self.source.is_empty() && !self.id.is_empty() {
                return Err("both source and id can't be set".to_owned().into());
            }
        }
        if self.sharing.is_some() && kind != Kind::Cache {
            return Err(format!("invalid cache sharing set for {} mount", kind.name()).into());
        }
        Ok(())
    }
}

fn find<T: Copy>(choices: &[(&'static str, T)], name: &str) -> Option<T> {
    let lower = name.to_lowercase();
    choices
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, value)| *value)
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
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(format!("invalid value for {key}: {value}").into()),
    }
}

fn number(key: &str, value: &str, base: u32) -> Result<u32, Problem> {
    let digits = !value.starts_with('+');
    let number = u32::from_str_radix(value, base).ok().filter(|_| digits);
    number.ok_or_else(|| format!("invalid value {value} for {key}").into())
}

/// `64m`, `1.5GiB`: powers of 1024, as docker's units package reads them.
fn bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|ch: char| !ch.is_ascii_digit() && ch != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit
        .strip_suffix('b')
        .map_or(unit.as_str(), |unit| unit.strip_suffix('i').unwrap_or(unit));
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let scale = 1_u64 << (10 * power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction = &fraction[..fraction.len().min(9)];
    let parts: u64 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let rest = u64::try_from(u128::from(parts) * u128::from(scale) / divisor).ok()?;
    whole.checked_mul(scale)?.checked_add(rest)
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
