//! Which shared caches a result rests on, and which of them a build names. Unaware of what caches hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::imports::Imports;
use crate::Store;

/// Names of shared caches. In the database: nothing for none, else a list in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caches(BTreeSet<String>);

impl Caches {
    /// One.
    #[must_use]
    pub fn one(name: &str) -> Self {
        Self([name.to_owned()].into())
    }

    /// Whether there is none: the result is this store's own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether all of them are among the others.
    #[must_use]
    pub fn is_subset(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// These and the others.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }
}

impl ToSql for Caches {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        if self.is_empty() {
            return Ok("".into());
        }
        // a list of texts: serialising it cannot fail
        Ok(serde_json::to_string(&self.0).unwrap_or_default().into())
    }
}

impl FromSql for Caches {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "" => Ok(Self::default()),
            text => serde_json::from_str(text)
                .map(Self)
                .map_err(|error| FromSqlError::Other(error.into())),
        }
    }
}

impl Store {
    /// The same store as one build sees it that names these caches, by which [`crate::Exchange::import`] knows them. What the build loses
    /// is known to this view and its clones only.
    #[must_use]
    pub fn importing(&self, caches: impl IntoIterator<Item = String>) -> Self {
        Self {
            imports: Arc::new(Imports::of(caches)),
            ..self.clone()
        }
    }

    /// Whether the build names all of them: only then what rests on them counts.
    pub(crate) fn counts(&self, caches: &Caches) -> bool {
        let named = &self.imports.named;
        caches.0.iter().all(|cache| named.contains(cache))
    }

    /// What comes before what: what rests on none, then what rests on the caches that are named first.
    pub(crate) fn rank(&self, caches: &Caches) -> (Option<usize>, Caches) {
        let named = &self.imports.named;
        let position = |cache: &String| named.iter().position(|named| named == cache);
        (caches.0.iter().filter_map(position).max(), caches.clone())
    }
}
