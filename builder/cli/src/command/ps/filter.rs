//! `--filter KEY=VALUE` of `kiln ps`, with docker's keys. Unaware of what is shown of a container.

use crate::containers;
use crate::failure::Failure;
use ancestor::Ancestor;
use kiln_cache::Store;
use kiln_engine::trial::{Kept, Status};
use regex::Regex;
use std::mem::discriminant;

mod ancestor;

/// The keys.
const KEYS: &str = "ancestor, before, exited, id, name, since, status";

/// Docker's states. Of the last four is no container of kiln's.
const STATES: [&str; 7] = [
    "created",
    "running",
    "exited",
    "dead",
    "paused",
    "removing",
    "restarting",
];

/// A condition on containers.
#[derive(Debug)]
enum Filter {
    /// Its name fits an expression, with docker's slash before it or without.
    Name(Regex),
    Id(Regex),
    Status(String),
    Exited(u8),
    /// It is of an image or of one that was made from it; of none where nobody knows the image.
    Ancestor(Option<Ancestor>),
    /// It was made before this time, in microseconds since 1970.
    Before(i64),
    Since(i64),
}

/// Conditions that all have to be met; of several with one key, one.
#[derive(Debug)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Reads them. Containers and images that they name are looked up.
    ///
    /// # Errors
    /// A key or a value is unknown, or a container that is named is not there.
    pub fn read(texts: &[String], store: &Store) -> Result<Self, Failure> {
        let filters = texts.iter().map(|text| Filter::read(text, store));
        filters.collect::<Result<_, _>>().map(Filters)
    }

    /// Whether they ask for containers that do not run.
    pub fn ask_for_all(&self) -> bool {
        let asks = |filter: &Filter| matches!(filter, Filter::Status(_) | Filter::Exited(_));
        self.0.iter().any(asks)
    }

    /// Whether a container meets them.
    pub fn admit(&self, kept: &Kept) -> bool {
        self.0.iter().all(|filter| {
            let kind = discriminant(filter);
            let mut same = self.0.iter().filter(|other| discriminant(*other) == kind);
            same.any(|filter| filter.admits(kept))
        })
    }
}

impl Filter {
    fn read(text: &str, store: &Store) -> Result<Self, Failure> {
        let wrong = |wanted: &str| Failure::usage(format!("--filter {text}: expected {wanted}"));
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("KEY=VALUE"))?;
        let expression = || Regex::new(value).map_err(|_| wrong("a regular expression"));
        let made = || containers::find(store, value).map(|kept| kept.record.draft.created_us);
        Ok(match key.trim() {
            "name" => Self::Name(expression()?),
            "id" => Self::Id(expression()?),
            "status" if STATES.contains(&value) => Self::Status(value.to_owned()),
            "status" => return Err(wrong("created, running or exited")),
            "exited" => Self::Exited(value.parse().map_err(|_| wrong("an exit code"))?),
            "ancestor" => Self::Ancestor(Ancestor::find(store, value)?),
            "before" => Self::Before(made()?),
            "since" => Self::Since(made()?),
            "label" => {
                let failure = Failure::usage(format!("--filter {text} is not supported"));
                return Err(failure.hint("containers of kiln have no labels"));
            }
            _ => return Err(wrong(&format!("one of {KEYS}"))),
        })
    }

    fn admits(&self, kept: &Kept) -> bool {
        let draft = &kept.record.draft;
        match self {
            Self::Name(expression) => {
                let name = draft.name.as_deref().unwrap_or_default();
                expression.is_match(name) || expression.is_match(&format!("/{name}"))
            }
            Self::Id(expression) => expression.is_match(&kept.record.id),
            Self::Status(status) => super::state(kept) == status,
            Self::Exited(code) => matches!(kept.status, Status::Exited(_, own) if own == *code),
            Self::Ancestor(image) => image.as_ref().is_some_and(|image| image.is_below(draft)),
            Self::Before(time) => draft.created_us < *time,
            Self::Since(time) => draft.created_us > *time,
        }
    }
}
