//! In which isolation commands ran. It is no part of any key: the same command gives the same files in each. It decides who takes a
//! result: a build that demands an isolation takes none that was made in a weaker one. Unaware of how commands are run.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::Store;

/// How far a command was kept apart from the machine, the weakest first. What no command has made is as good as made in the strongest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "String", into = "String")]
pub enum Isolation {
    /// In one that only another version of kiln knows: no build can take it for what it demands.
    Unknown,
    /// In a chroot, with a supervisor that answers calls.
    Supervised,
    /// In namespaces of its own.
    #[default]
    Namespaces,
}

impl Isolation {
    /// The weakest that a build takes which demands nothing.
    pub(crate) const WEAKEST: Self = Self::Supervised;

    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Supervised => "supervised",
            Self::Namespaces => "namespaces",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "supervised" => Self::Supervised,
            "namespaces" => Self::Namespaces,
            _ => Self::Unknown,
        }
    }
}

impl From<String> for Isolation {
    fn from(name: String) -> Self {
        Self::named(&name)
    }
}

impl From<Isolation> for String {
    fn from(isolation: Isolation) -> Self {
        isolation.name().to_owned()
    }
}

impl ToSql for Isolation {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Isolation {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::named)
    }
}

impl Store {
    /// The same store as one build sees it that takes results of this isolation and of stronger ones only.
    #[must_use]
    pub fn demanding(&self, isolation: Isolation) -> Self {
        Self {
            isolation,
            ..self.clone()
        }
    }
}
