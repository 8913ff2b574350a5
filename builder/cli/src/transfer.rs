//! What `pull`, `push`, `save` and `load` share: progress while they work, failures in words. Unaware of which of them it is.

use crate::environment::{self, Globals};
use crate::failure::{Failure, Fault, Kind};
use crate::render::{self, Background, Ending, Progress, Sink};
use crate::{network, session, signals};
use kiln_cache::Store;
use kiln_engine::event::{Cancel, EVENT_VERSION, EventKind, Events, Stream};
use kiln_engine::remote::{Remote, RemoteError};
use kiln_engine::{Session, chain_of_causes};

/// What events of transfers carry for the name of a build.
const NAME: &str = "transfer";

/// What tells how the command ended.
pub fn ending(progress: Progress) -> Ending {
    Ending::new(progress, None, NAME)
}

/// Does `work` with the way to registries and the store, and shows what comes and goes.
///
/// # Errors
/// Those of `work`, or when the store cannot be opened.
pub fn shown<T>(
    globals: &Globals,
    shows: (Progress, &str),
    work: impl FnOnce(&Remote, &Store) -> Result<T, RemoteError>,
) -> Result<T, Failure> {
    watched(globals, shows, session::connected, work)
}

/// The same with whatever `open` gives in place of the store.
///
/// # Errors
/// Those of `open` and `work`.
pub fn watched<S, T>(
    globals: &Globals,
    shows: (Progress, &str),
    open: impl FnOnce(&Globals, &Remote) -> Result<S, Failure>,
    work: impl FnOnce(&Remote, &S) -> Result<T, RemoteError>,
) -> Result<T, Failure> {
    let cancel = Cancel::default();
    let (remote, stream) = way(globals, &cancel)?;
    let store = open(globals, &remote)?;
    let watch = signals::Watch::start(&cancel)?;
    let shown = show(shows, stream)?;
    let outcome = work(&remote, &store);
    // the renderer ends with the last sender of events
    drop((remote, store));
    let shown = shown.finish();
    let outcome = outcome.map_err(|error| {
        let stopped = "stopped; what was transferred is kept for the next time";
        match cancel.requested() {
            true => Failure::new(watch.kind(), stopped),
            false => failure(error),
        }
    })?;
    shown.and(watch.end())?;
    Ok(outcome)
}

/// Does `work` in a session, as builds have one, and shows what comes and goes. Must be called before any thread is started.
///
/// # Errors
/// Those of `work`, or when the store cannot be opened.
pub fn in_session<T>(
    globals: &Globals,
    shows: (Progress, &str),
    work: impl FnOnce(&Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    session_after(globals, shows, work).map(|(outcome, _)| outcome)
}

/// The same, with the session for what comes next: it has what is in the store, and nothing is shown of it.
///
/// # Errors
/// As [`in_session`].
pub fn session_after<T>(
    globals: &Globals,
    shows: (Progress, &str),
    work: impl FnOnce(&Session) -> Result<T, Failure>,
) -> Result<(T, Session), Failure> {
    session_after_if_needed(globals, shows, |_| Ok(None), work)
}

/// The same where there may be nothing to do: what `known` gives is the outcome then, and no thread was started.
///
/// # Errors
/// Those of both, or when the store cannot be opened.
pub fn session_after_if_needed<T>(
    globals: &Globals,
    shows: (Progress, &str),
    known: impl FnOnce(&Session) -> Result<Option<T>, Failure>,
    work: impl FnOnce(&Session) -> Result<T, Failure>,
) -> Result<(T, Session), Failure> {
    let cancel = Cancel::default();
    let (events, stream) = begun();
    let session = session::open(globals, events, cancel.clone())?;
    if let Some(known) = known(&session)? {
        return Ok((known, silent(session)));
    }
    let watch = signals::Watch::start(&cancel)?;
    let shown = show(shows, stream)?;
    let outcome = work(&session);
    // the renderer ends with the last sender of events
    let session = silent(session);
    let shown = shown.finish();
    let outcome = outcome.map_err(|failure| match cancel.is_interrupted() {
        true => Failure::new(watch.kind(), "stopped"),
        false => failure,
    })?;
    shown.and(watch.end())?;
    Ok((outcome, session))
}

/// The same session after the work: it has what is in the store, and tells nobody anything.
pub fn silent(session: Session) -> Session {
    Session {
        store: session.store.without_fetcher(),
        events: Events::ignored(),
        remote: Remote::offline(),
        ..session
    }
}

/// Does work on a store that a signal ends at once, and shows how far it is.
///
/// # Errors
/// Those of `open` and `work`.
pub fn worked<T>(
    globals: &Globals,
    shows: (Progress, &str),
    open: impl FnOnce(&Globals, &Remote) -> Result<Store, Failure>,
    work: impl FnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (remote, stream) = way(globals, &Cancel::default())?;
    let store = open(globals, &remote)?;
    signals::heed()?;
    let shown = show(shows, stream)?;
    let outcome = work(&store);
    drop((remote, store));
    let shown = shown.finish();
    outcome.and_then(|outcome| shown.map(|()| outcome))
}

/// The way to registries, and the events of what goes over it.
fn way(globals: &Globals, cancel: &Cancel) -> Result<(Remote, Stream), Failure> {
    let (events, stream) = begun();
    Ok((network::remote(globals, &events, cancel)?, stream))
}

fn begun() -> (Events, Stream) {
    let (events, stream) = Events::new(NAME.to_owned());
    events.send(EventKind::Begun {
        version: EVENT_VERSION,
    });
    (events, stream)
}

/// Shows events; a live view says by a verb what is done.
fn show((progress, verb): (Progress, &str), stream: Stream) -> Result<Background, Failure> {
    let sink = Sink::stderr();
    let renderer = render::open(progress, verb, environment::no_color(), sink.clone());
    Background::start(renderer, stream, sink)
}

/// A failure of a pull or push as people read it.
pub fn failure(error: RemoteError) -> Failure {
    match error {
        RemoteError::Image(error) => error.into(),
        RemoteError::Store(error) => error.into(),
        other => {
            let failure = Failure::new(Kind::Build, chain_of_causes(&other));
            let fault = Fault::among(&other);
            failure.hints(other.hint()).for_fault(fault)
        }
    }
}
