//! `--filter KEY=VALUE` of the commands that list or remove images, with docker's keys. Unaware of what is done with them.

use crate::catalog::{self, Listed};
use crate::failure::Failure;
use crate::moment;
use jiff::Timestamp;
use kiln_cache::{CacheKind, Store};
use kiln_oci::Reference;
use kiln_parser::glob;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    /// Whether it has no name.
    Dangling(bool),
    /// It has this label, with this value if one is given; or has not.
    Label {
        key: String,
        value: Option<String>,
        is_wanted: bool,
    },
    /// A name fits; by component, with `*`, `?` and `[…]`.
    Reference(String),
    /// It was made before this time.
    Before(Timestamp),
    /// It was made after this time.
    Since(Timestamp),
    /// It is of this kind of cache.
    Kind(CacheKind),
    /// Its digest or file name begins so.
    Id(String),
    /// Nothing uses it, as it is with all that can be removed.
    Unused,
}

/// Filters of what is no image.
pub const CACHE_FILTERS: [&str; 3] = ["id", "inuse", "type"];

/// Conditions that all have to be met; of several `reference` one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Reads them; `known` are the keys that the command has. Images that they name are looked up.
    ///
    /// # Errors
    /// A key or a value is unknown, or an image is not there.
    pub fn parse(texts: &[String], known: &[&str], store: &Store) -> Result<Filters, Failure> {
        let filters = texts.iter().map(|text| {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--filter {text}: expected KEY=VALUE")))?;
            let key = key.trim();
            if !known.contains(&key) {
                return Err(
                    Failure::usage(format!("--filter {text}: there is no filter {key}"))
                        .hint(format!("there are {}", known.join(", "))),
                );
            }
            parse_one(key, value, store)
        });
        filters.collect::<Result<_, _>>().map(Filters)
    }

    /// Adds a name or pattern that one of the image's names has to fit.
    pub fn with_name(mut self, pattern: &str) -> Filters {
        self.0.push(Filter::Reference(pattern.to_owned()));
        self
    }

    /// Whether an image meets them, whatever its names.
    pub fn admit(&self, listed: &Listed) -> bool {
        self.0.iter().all(|filter| filter.admits(listed))
    }

    /// Whether a name fits; any does when names are not asked about.
    pub fn admit_name(&self, name: &Reference) -> bool {
        let mut patterns = self.0.iter().filter_map(|filter| match filter {
            Filter::Reference(pattern) => Some(pattern),
            _ => None,
        });
        let mut any = false;
        patterns.any(|pattern| {
            any = true;
            fits(pattern, name)
        }) || !any
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels are asked about, which only images have.
    pub fn ask_for_labels(&self) -> bool {
        let is_label = |filter: &Filter| matches!(filter, Filter::Label { .. });
        self.0.iter().any(is_label)
    }

    /// Whether images are asked about too: some filters are about the cache alone.
    pub fn ask_for_images(&self) -> bool {
        let is_of_cache =
            |filter: &Filter| matches!(filter, Filter::Kind(_) | Filter::Id(_) | Filter::Unused);
        !self.is_empty() && !self.0.iter().any(is_of_cache)
    }

    /// The kinds of cache that are asked about; none are all.
    pub fn cache_kinds(&self) -> Vec<CacheKind> {
        let kinds = self.0.iter().filter_map(|filter| match filter {
            Filter::Kind(kind) => Some(*kind),
            _ => None,
        });
        kinds.collect()
    }

    /// How the names begin that are asked about; none are all.
    pub fn ids(&self) -> Vec<String> {
        let ids = self.0.iter().filter_map(|filter| match filter {
            Filter::Id(id) => Some(id.clone()),
            _ => None,
        });
        ids.collect()
    }

    /// The time before which things must have been made or used.
    pub fn until(&self) -> Option<Timestamp> {
        let times = self.0.iter().filter_map(|filter| match filter {
            Filter::Before(time) => Some(*time),
            _ => None,
        });
        times.min()
    }

    /// Whether names are asked about: images without any are left out then.
    pub fn ask_for_names(&self) -> bool {
        self.0
            .iter()
            .any(|filter| matches!(filter, Filter::Reference(_)))
    }
}

impl Filter {
    fn admits(&self, listed: &Listed) -> bool {
        match self {
            Filter::Dangling(wanted) => listed.image.references.is_empty() == *wanted,
            Filter::Label {
                key,
                value,
                is_wanted,
            } => {
                let found = listed.config.config.labels.get(key);
                let fits =
                    found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                fits == *is_wanted
            }
            Filter::Reference(_) | Filter::Unused => true,
            Filter::Kind(_) | Filter::Id(_) => false,
            Filter::Before(time) => listed.created.is_some_and(|created| created < *time),
            Filter::Since(time) => listed.created.is_some_and(|created| created > *time),
        }
    }
}

fn parse_one(key: &str, value: &str, store: &Store) -> Result<Filter, Failure> {
    let wrong = |wanted: &str| Failure::usage(format!("--filter {key}={value}: expected {wanted}"));
    Ok(match key {
        "dangling" => Filter::Dangling(match value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(wrong("true or false")),
        }),
        "label" | "label!" => Filter::Label {
            key: value.split('=').next().unwrap_or_default().to_owned(),
            value: value.split_once('=').map(|(_, value)| value.to_owned()),
            is_wanted: key == "label",
        },
        "reference" => {
            glob::check(value).map_err(|_| wrong("a pattern"))?;
            Filter::Reference(value.to_owned())
        }
        "type" => Filter::Kind(kind(value)?),
        "id" if value.is_empty() => return Err(wrong("an ID")),
        "id" => Filter::Id(value.to_owned()),
        "inuse" => match value {
            "false" | "0" => Filter::Unused,
            "true" | "1" => {
                let hint = "inuse=false is what a prune does without this filter";
                let why = "--filter inuse=true: what is in use is never removed";
                return Err(Failure::usage(why).hint(hint));
            }
            _ => return Err(wrong("true or false")),
        },
        "before" => Filter::Before(created(store, value)?),
        "since" => Filter::Since(created(store, value)?),
        _ => {
            let wanted = "a time such as 24h or 2026-01-31T12:00:00Z";
            Filter::Before(moment::read(value).ok_or_else(|| wrong(wanted))?)
        }
    })
}

/// BuildKit's types of cache, as far as kiln has them.
fn kind(value: &str) -> Result<CacheKind, Failure> {
    let why = match value {
        "regular" => return Ok(CacheKind::Results),
        "source.local" => return Ok(CacheKind::Contexts),
        "exec.cachemount" => return Ok(CacheKind::CacheMounts),
        "source.git.checkout" => "kiln keeps what it gets from git as results: type=regular",
        "frontend" | "internal" => "kiln has no frontends and keeps nothing for them",
        _ => "there are regular, source.local and exec.cachemount",
    };
    Err(Failure::usage(format!("--filter type={value}: nothing is of this type")).hint(why))
}

/// When the image that a person names was made.
fn created(store: &Store, name: &str) -> Result<Timestamp, Failure> {
    let image = catalog::find(store, name)?;
    let config = kiln_oci::ImageConfig::parse(&image.config);
    let created = config.ok().and_then(|config| config.created?.parse().ok());
    created.ok_or_else(|| Failure::usage(format!("{name} does not say when it was made")))
}

/// As docker matches names: the pattern against the whole familiar name, or against it without the tag. A name without
/// wildcards may also be written in full.
fn fits(pattern: &str, name: &Reference) -> bool {
    let matches = |shown: &str| glob::matches(pattern, shown).unwrap_or(false);
    if matches(&name.familiar()) || matches(&name.familiar_name()) {
        return true;
    }
    !glob::has_wildcards(pattern)
        && Reference::parse(pattern).is_ok_and(|wanted| {
            wanted.name() == name.name() && (wanted.tag.is_none() || wanted.tag == name.tag)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_docker() {
        let fits =
            |pattern, name| fits(pattern, &Reference::parse(name).unwrap().with_default_tag());
        for (pattern, name) in [
            ("app", "app:v1"),
            ("app*", "app:v1"),
            ("*:v1", "app:v1"),
            ("app:v?", "app:v1"),
            ("*/*/*", "example.org/team/app:v2"),
            ("docker.io/library/app", "app:v1"),
            ("example.org/team/app", "example.org/team/app:v2"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*/app", "app:v1"),
            ("app:v2", "app:v1"),
            ("ap", "app:v1"),
            ("*", "example.org/a:v"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
