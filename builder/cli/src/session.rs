//! Opens the store and, for commands that mount, enters the namespaces first, where there are any. Unaware of what commands do.

use crate::environment::{self, Globals};
use crate::failure::Failure;
use crate::network;
use crate::waits::Waits;
use kiln_cache::{Budget, Isolation, OpenOptions, Store, StoreError};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::remote::Remote;
use kiln_engine::{ChangesPlace, Host, IsolationChoice, Session};
use kiln_sandbox::{
    Ahead, EnterError, EnterOptions, Entered, IdMap, best_place, enter, is_on_overlay,
};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Opens a session that can mount and run, where the machine allows it. Must be called before any thread is started.
///
/// # Errors
/// When the store cannot be opened.
pub fn open(globals: &Globals, events: Events, cancel: Cancel) -> Result<Session, Failure> {
    open_by(globals, events, cancel, Store::open)
}

/// The same with another way to open the store.
///
/// # Errors
/// As [`open`].
pub fn open_by(
    globals: &Globals,
    events: Events,
    cancel: Cancel,
    open_store: impl FnOnce(OpenOptions) -> Result<Store, StoreError>,
) -> Result<Session, Failure> {
    let remote = network::remote(globals, &events, &cancel)?;
    let disabled = globals.disabled()?;
    let root = globals.store()?;
    let (entered, refused) = entered(globals)?;
    let ahead = ahead(globals, refused.is_some());
    let changes = ChangesPlace::new(best_place(&root, disabled));
    // what another overlay keeps for itself cannot be read on one
    let rootless = entered.rootless || is_on_overlay(&root);
    let waits = Arc::new(Waits::unheard(&remote));
    let store = open_store(OpenOptions {
        rootless,
        single_id: entered.ids.is_single(),
        waiter: waits.clone(),
        ..options(root, entered.ids.key(), Waits::unwatched())
    })?;
    waits.heard(&events);
    if let Some(note) = &entered.note {
        events.warn(note);
    }
    Ok(Session {
        store: demanding(remote.with_store(&store), globals.isolation),
        events,
        findings: Arc::default(),
        cancel,
        ids: entered.ids,
        rootless,
        refused,
        isolation: globals.isolation,
        changes,
        offline: globals.offline,
        disabled,
        ahead,
        agents: Arc::default(),
        host: host(&remote),
        remote,
        budget: Budget::default(),
    })
}

/// The same with a store to which nothing is written; where there is none, with an empty one in `scratch`.
///
/// # Errors
/// As [`open`].
pub fn open_to_look(
    globals: &Globals,
    events: Events,
    cancel: Cancel,
    scratch: &Path,
) -> Result<Session, Failure> {
    open_by(globals, events, cancel, |options| {
        let look = |options| {
            Store::open(OpenOptions {
                read_only: true,
                ..options
            })
        };
        match look(options.clone()) {
            Err(StoreError::NotAStore { .. }) => {
                let root = scratch.join("store");
                let empty = OpenOptions { root, ..options };
                Store::open(empty.clone())?;
                look(empty)
            }
            opened => opened,
        }
    })
}

/// The namespaces that this process is in now, or why it could not enter any. A supervised RUN needs no namespaces.
fn entered(globals: &Globals) -> Result<(Entered, Option<Arc<EnterError>>), Failure> {
    if globals.isolation == IsolationChoice::Supervised {
        return Ok((Entered::nothing(), None));
    }
    let disabled = globals.disabled()?;
    Ok(match enter(EnterOptions { disabled }) {
        Ok(entered) => (entered, None),
        Err(error) => (Entered::nothing(), Some(Arc::new(error))),
    })
}

/// What will run for sure begins while the store is opened, in the namespaces that were entered.
fn ahead(globals: &Globals, is_refused: bool) -> Option<Arc<Ahead>> {
    let is_confined = !is_refused && globals.isolation != IsolationChoice::Supervised;
    (globals.will_run && is_confined).then(|| {
        let ahead = Ahead::default();
        ahead.expect(1, true);
        Arc::new(ahead)
    })
}

/// The store as a build sees it that was asked for an isolation.
fn demanding(store: Store, isolation: IsolationChoice) -> Store {
    match isolation {
        IsolationChoice::Namespaces => store.demanding(Isolation::Namespaces),
        IsolationChoice::Auto | IsolationChoice::Supervised => store,
    }
}

/// What the engine takes from this machine.
fn host(remote: &Remote) -> Host {
    Host {
        resolv_conf: environment::resolv_conf(),
        search_path: environment::variable("PATH").unwrap_or_default(),
        home: environment::variable("HOME").map(Into::into),
        log_limit: environment::log_limit(),
        network: environment::network(&remote.http.settings().proxies.direct()),
        now: SystemTime::now,
    }
}

/// Opens the store for a command that neither mounts nor looks into views. Layers of which it has only the description come from
/// their registry when the command needs them.
///
/// # Errors
/// When it cannot be opened, or what says how to reach registries cannot be used.
pub fn store(globals: &Globals) -> Result<Store, Failure> {
    let remote = network::remote(globals, &Events::ignored(), &Cancel::default())?;
    connected(globals, &remote)
}

/// The same with a way to registries that somebody watches.
///
/// # Errors
/// When it cannot be opened.
pub fn connected(globals: &Globals, remote: &Remote) -> Result<Store, Failure> {
    let store = Store::open(options(
        globals.store()?,
        IdMap::Root.key(),
        Waits::of(remote),
    ))?;
    Ok(remote.with_store(&store))
}

/// Opens the store for a command that only reads. A store that cannot be written to, or whose disk is full, is read as it is.
///
/// # Errors
/// When it cannot be opened.
pub fn reading(globals: &Globals) -> Result<Store, Failure> {
    reading_while(globals, Waits::unwatched())
}

fn reading_while(globals: &Globals, waits: Waits) -> Result<Store, Failure> {
    let options = options(globals.store()?, IdMap::Root.key(), waits);
    let read = |read_only| {
        Store::open(OpenOptions {
            read_only,
            ..options.clone()
        })
    };
    let is_there = options.root.join("version").exists();
    let may_write = rustix::fs::access(&options.root, rustix::fs::Access::WRITE_OK).is_ok();
    match read(is_there && !may_write) {
        Err(StoreError::NoSpace { .. }) if is_there => Ok(read(true)?),
        opened => Ok(opened?),
    }
}

/// The same with a way to registries that somebody watches.
///
/// # Errors
/// When it cannot be opened.
pub fn reading_from(globals: &Globals, remote: &Remote) -> Result<Store, Failure> {
    let store = reading_while(globals, Waits::of(remote))?;
    Ok(remote.with_store(&store))
}

/// Opens the store for a command that removes something from it, also where its disk is full.
///
/// # Errors
/// When it cannot be opened.
pub fn removing(globals: &Globals) -> Result<Store, Failure> {
    let options = options(globals.store()?, IdMap::Root.key(), Waits::unwatched());
    Ok(Store::open_to_remove(options)?)
}

/// The same for a command that reads all that an image holds: layers of which the store has only the description come from their
/// registry.
///
/// # Errors
/// When it cannot be opened, or what says how to reach registries cannot be used.
pub fn reading_all(globals: &Globals) -> Result<Store, Failure> {
    let remote = network::remote(globals, &Events::ignored(), &Cancel::default())?;
    reading_from(globals, &remote)
}

/// The store if there is one, for commands that can do without; nothing is written to it. One that this user may not enter does
/// not count.
///
/// # Errors
/// When there is one that cannot be read.
pub fn existing_store(globals: &Globals) -> Result<Option<Store>, Failure> {
    let Ok(root) = globals.store() else {
        return Ok(None);
    };
    let options = OpenOptions {
        read_only: true,
        ..options(root, IdMap::Root.key(), Waits::unwatched())
    };
    match Store::open(options) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::NotAStore { .. }) => Ok(None),
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn options(root: std::path::PathBuf, id_map_key: String, waits: Waits) -> OpenOptions {
    // Without a boot id everything counts as another boot's and is verified: slower, never wrong.
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned();
    OpenOptions {
        root,
        id_map_key,
        rootless: false,
        single_id: false,
        boot_id,
        read_only: false,
        now: SystemTime::now,
        waiter: Arc::new(waits),
    }
}
