//! What is written of a container that is kept, and what is read of it again. Unaware of what it has changed and of who runs it.
//!
//! In its folder (`kiln_cache::Containers`) are `record.json`, a [`Record`] of which only the name ever changes, and `state.json`, a [`State`] that is written
//! anew, as a whole, when it begins and when it ends. Who runs a container holds its lock: one that nobody holds does not run, whatever
//! its state says. So neither a process that was killed nor a machine that was switched off leaves one that seems to run.
//!
//! Whoever can write to a store can write such files too. What is read is checked: its form, its ID, its name, its layers.

use crate::failure::KeptError;
use crate::tryout::container::Container;
use kiln_cache::Store;
use kiln_oci::{Digest, ImageConfig, RuntimeConfig};
use kiln_sandbox::Exit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The form of a record. Another kiln may write another one.
const FORMAT: u32 = 1;
pub(super) const RECORD: &str = "record.json";
pub(super) const STATE: &str = "state.json";

/// What a container is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The form of this record.
    format: u32,
    /// Its ID, of twelve hexadecimal digits.
    pub id: String,
    /// All else.
    #[serde(flatten)]
    pub draft: Draft,
}

/// What a container is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    /// What it is called, if anything.
    pub name: Option<String>,
    /// What its image was called.
    pub image: String,
    /// The image.
    pub image_id: Digest,
    /// The config of the image.
    pub base: ImageConfig,
    /// What an image of the container runs.
    pub config: RuntimeConfig,
    /// When it was made, in microseconds since 1970.
    pub created_us: i64,
    /// What it gets where it is asked to stop.
    pub stop_signal: i32,
    /// Whether somebody can write to its standard input.
    pub is_interactive: bool,
    /// Whether it is removed when it ends.
    pub is_temporary: bool,
    /// Whether the process that made it runs it too: nobody else starts it for the first time.
    #[serde(default)]
    pub is_run_at_once: bool,
    /// What runs.
    pub container: Container,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct State {
    /// When it began, in seconds since 1970.
    pub began: Option<i64>,
    /// How it ended.
    pub end: Option<End>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct End {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The exit code, as a shell tells it.
    pub code: u8,
    /// Whether a process of it was killed because its memory ran out.
    #[serde(default)]
    pub out_of_memory: bool,
}

impl End {
    /// The end of a process at this time.
    pub fn new(at: i64, exit: &Exit) -> Self {
        End {
            at,
            code: exit_code(exit),
            out_of_memory: exit.out_of_memory,
        }
    }
}

/// The exit code of a container that was killed with the process that ran it: that of SIGKILL.
pub const KILLED: u8 = 137;

/// How a process ended, as a shell tells it.
#[must_use]
pub fn exit_code(exit: &Exit) -> u8 {
    let code = exit.code.or(exit.signal.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

impl Record {
    /// Whether it should be gone, where no process has it, with what became of it so far: it was to go with the one that ran it.
    pub fn goes(&self, state: &State) -> bool {
        self.draft.is_temporary && (state.began.is_some() || self.draft.is_run_at_once)
    }

    /// Of a container with this ID.
    pub fn new(id: &str, draft: Draft) -> Self {
        Record {
            format: FORMAT,
            id: id.to_owned(),
            draft,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(&self) -> &str {
        self.draft.name.as_ref().unwrap_or(&self.id)
    }

    /// Reads the record of a container; none where it is gone.
    pub fn read(store: &Store, id: &str) -> Result<Option<Self>, KeptError> {
        let Some(record) = Self::read_alone(store, id)? else {
            return Ok(None);
        };
        let layers = store.containers().layers(id)?;
        if layers.starts_with(&record.draft.container.layers) {
            return Ok(Some(record));
        }
        let why = "its layers are others than those that are kept";
        Err(damaged(store, id, RECORD, why))
    }

    /// Whether a kiln has written it that knows other records.
    pub fn is_of_another_kiln(store: &Store, id: &str) -> bool {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let form = read::<Form>(store, id, RECORD);
        form.is_ok_and(|form| form.is_some_and(|form| form.format != FORMAT))
    }

    /// Reads it without a look at what else says on which layers it stands.
    pub fn read_alone(store: &Store, id: &str) -> Result<Option<Self>, KeptError> {
        let Some(record) = read::<Record>(store, id, RECORD)? else {
            return Ok(None);
        };
        let why = match () {
            () if record.format != FORMAT => "another kiln has written it",
            () if record.id != id => "it is of another container",
            () if !record.draft.name.as_deref().is_none_or(is_name) => "its name is none",
            () if record.draft.container.argv.is_empty() => "it has no command",
            () => return Ok(Some(record)),
        };
        Err(damaged(store, id, RECORD, why))
    }
}

impl State {
    /// Reads the state of a container; one that never ran has none.
    pub fn read(store: &Store, id: &str) -> Result<Self, KeptError> {
        Ok(read(store, id, STATE)?.unwrap_or_default())
    }

    /// Writes it.
    pub fn write(&self, store: &Store, id: &str) -> Result<(), KeptError> {
        Ok(store.containers().write(id, STATE, &bytes(self))?)
    }
}

/// Whether a container may be called so: docker's rule.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    begins && name.len() > 1 && name.bytes().all(is_inner)
}

pub(super) fn bytes(value: &impl Serialize) -> Vec<u8> {
    // plain data with texts for keys is always written
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(store: &Store, id: &str, name: &str) -> Result<Option<T>, KeptError> {
    let Some(bytes) = store.containers().read(id, name)? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some)
        .map_err(|error| damaged(store, id, name, &error.to_string()))
}

fn damaged(store: &Store, id: &str, name: &str, why: &str) -> KeptError {
    KeptError::Damaged {
        path: store.containers().path(id).join(name),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for (name, is_one) in [
            ("web", true),
            ("web_1.old-2", true),
            ("w", false),
            ("-web", false),
            ("a b", false),
            ("../x", false),
            ("", false),
        ] {
            assert_eq!(is_name(name), is_one, "{name}");
        }
    }
}
