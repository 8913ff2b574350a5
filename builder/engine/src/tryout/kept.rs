//! Containers that are kept: each is a folder of the store that says what it is and what became of it, and holds what it has changed.
//! While one runs, the process that runs it listens for others. Unaware of command lines and of what is printed.

pub mod check;
pub mod commit;
mod control;
pub mod copy;
pub mod guest;
pub mod line;
pub mod log;
pub mod record;
mod run;
pub mod tar;

use crate::failure::KeptError;
use kiln_cache::{HeldContainer, Store};
use record::{Draft, KILLED, RECORD, Record, State, bytes};

/// A container that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What it is.
    pub record: Record,
    /// What it does.
    pub status: Status,
    /// What became of it so far.
    pub state: State,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It never ran.
    Created,
    /// It runs, since this second of 1970.
    Running(i64),
    /// It has ended: when, if that is known, and with which code.
    Exited(Option<i64>, u8),
}

/// A container that this process runs, or removes.
#[derive(Debug)]
pub struct Held {
    /// What it is.
    pub record: Record,
    /// It was made to be run now.
    is_new: bool,
    lock: HeldContainer,
}

/// All containers, the latest first, and why some cannot be read.
///
/// # Errors
/// The store cannot be read.
pub fn list(store: &Store) -> Result<(Vec<Kept>, Vec<KeptError>), KeptError> {
    let (mut all, mut damaged) = (Vec::new(), Vec::new());
    for id in store.containers().ids()? {
        match read(store, &id) {
            Ok(kept) => all.extend(kept),
            Err(error) => damaged.push(error),
        }
    }
    all.sort_by(|one, other| {
        let key = |kept: &Kept| (kept.record.draft.created_us, kept.record.id.clone());
        key(other).cmp(&key(one))
    });
    Ok((all, damaged))
}

/// The container with this name or ID, or with the only ID that begins so.
///
/// # Errors
/// There is none, there are several, or it cannot be read.
pub fn find(store: &Store, name: &str) -> Result<Kept, KeptError> {
    if let Some(kept) = exactly(store, name)? {
        return Ok(kept);
    }
    let (all, _) = list(store)?;
    let begins_so = |kept: &&Kept| !name.is_empty() && kept.record.id.starts_with(name);
    let found: Vec<&Kept> = all.iter().filter(begins_so).collect();
    match found[..] {
        [one] => Ok(one.clone()),
        [] => Err(KeptError::NoSuch(name.to_owned())),
        _ => Err(KeptError::Several {
            name: name.to_owned(),
            count: found.len(),
        }),
    }
}

/// The container with this ID or name.
fn exactly(store: &Store, name: &str) -> Result<Option<Kept>, KeptError> {
    if store.containers().ids()?.iter().any(|id| id == name)
        && let Some(kept) = read(store, name)?
    {
        return Ok(Some(kept));
    }
    let (all, _) = list(store)?;
    let is_called = |kept: &Kept| kept.record.draft.name.as_deref() == Some(name);
    Ok(all.into_iter().find(is_called))
}

/// A container; none where it is gone, or goes with a process that is gone.
fn read(store: &Store, id: &str) -> Result<Option<Kept>, KeptError> {
    // before the state: who lets go of it has written that
    let is_held = store.containers().is_held(id)?;
    let Some(record) = Record::read(store, id)? else {
        return Ok(None);
    };
    let state = State::read(store, id)?;
    let status = match (state.began, state.end) {
        (_, Some(end)) => Status::Exited(Some(end.at), end.code),
        (Some(began), None) if is_held => Status::Running(began),
        (Some(_), None) => Status::Exited(None, KILLED),
        (None, None) => Status::Created,
    };
    let is_gone = !is_held && record.goes(&state);
    Ok((!is_gone).then_some(Kept {
        record,
        status,
        state,
    }))
}

/// Makes a container, whose layers this process has pinned.
///
/// # Errors
/// The name is taken, or the store is full.
pub fn create(store: &Store, draft: Draft) -> Result<Held, KeptError> {
    let containers = store.containers();
    let turn = containers.turn()?;
    sweep(store)?;
    draft
        .name
        .as_ref()
        .map_or(Ok(()), |name| is_free(store, name))?;
    let layers = draft.container.layers.clone();
    let files = |id: &str| vec![(RECORD, bytes(&Record::new(id, draft.clone())))];
    let (id, lock) = containers.create(&layers, files, &turn)?;
    Ok(Held {
        record: Record::new(&id, draft),
        is_new: true,
        lock,
    })
}

/// That no container is called so, nor has such an ID.
fn is_free(store: &Store, name: &str) -> Result<(), KeptError> {
    exactly(store, name)?.map_or(Ok(()), |kept| {
        let (name, id) = (name.to_owned(), kept.record.id);
        Err(KeptError::NameTaken { name, id })
    })
}

/// Removes what should have gone with processes that were killed. One that never ran may still be started.
fn sweep(store: &Store) -> Result<(), KeptError> {
    let containers = store.containers();
    for id in containers.ids()? {
        let Ok(Some(record)) = Record::read(store, &id) else {
            continue;
        };
        if State::read(store, &id).is_ok_and(|state| record.goes(&state))
            && let Some(held) = containers.hold(&id)?
        {
            containers.remove(&id, held)?;
        }
    }
    Ok(())
}

impl Kept {
    /// Whether it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.status, Status::Running(_))
    }

    /// What people call it.
    #[must_use]
    pub fn title(&self) -> &str {
        self.record.title()
    }

    /// Calls it otherwise, whether it runs or not. What runs in it is told nothing.
    ///
    /// # Errors
    /// The name is taken, by itself too.
    pub fn rename(mut self, store: &Store, name: &str) -> Result<(), KeptError> {
        let _turn = store.containers().turn()?;
        is_free(store, name)?;
        self.record.draft.name = Some(name.to_owned());
        let record = bytes(&self.record);
        Ok(store.containers().write(&self.record.id, RECORD, &record)?)
    }

    /// Takes it, to run or to remove it.
    ///
    /// # Errors
    /// Another process has it.
    pub fn hold(self, store: &Store) -> Result<Held, KeptError> {
        let held = store.containers().hold(&self.record.id)?;
        Ok(Held {
            lock: held.ok_or_else(|| KeptError::Runs(self.title().to_owned()))?,
            record: self.record,
            is_new: false,
        })
    }
}

impl Held {
    /// Removes it, with all that it has changed.
    ///
    /// # Errors
    /// The rename fails.
    pub fn remove(self, store: &Store) -> Result<(), KeptError> {
        Ok(store.containers().remove(&self.record.id, self.lock)?)
    }
}
