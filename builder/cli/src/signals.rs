//! SIGINT and SIGTERM as requests to stop: the first one stops steps and lets commits drain, the second one kills. While nothing is there
//! to be stopped, the first one ends kiln at once, as it ends other programs.

use crate::failure::{Failure, Kind};
use crate::plugin;
use kiln_engine::event::{Cancel, Urgency};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long somebody who does not read can keep a kiln from ending that was told to.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// The last signal.
static LAST: AtomicI32 = AtomicI32::new(0);
/// What a signal stops.
static WORK: Mutex<Option<Cancel>> = Mutex::new(None);
/// What is done before a signal ends kiln.
static BEFORE_END: Mutex<Option<fn()>> = Mutex::new(None);
/// The thread that listens, if there is one.
static LISTENS: Mutex<Option<Handle>> = Mutex::new(None);

/// How many renderers show something, and the hint that one has ended.
static SHOWN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
/// What kiln was told to do, as [`Stop`]; 0 for nothing.
static STOP: AtomicI32 = AtomicI32::new(0);

/// What a signal asks of kiln.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Steps end, and what is finished is kept.
    Asked = 1,
    /// kiln ends.
    AtOnce = 2,
}

impl Stop {
    /// What people are told.
    pub fn words(self) -> &'static str {
        match self {
            Stop::Asked => {
                "stopping: steps are ended, what is finished is kept (Ctrl-C again: at once)"
            }
            Stop::AtOnce => "stopped at once; what was under way is not kept",
        }
    }
}

/// What was asked last.
pub fn stop() -> Option<Stop> {
    match STOP.load(Ordering::SeqCst) {
        0 => None,
        1 => Some(Stop::Asked),
        _ => Some(Stop::AtOnce),
    }
}

/// A renderer that shows something while this lives: before kiln ends at once, it may say so.
#[derive(Debug)]
pub struct Shown(());

impl Shown {
    /// From now on.
    pub fn begin() -> Self {
        *lock(&SHOWN.0) += 1;
        Shown(())
    }

    /// Waits until no renderer has anything to say, though not for readers that take nothing.
    fn all_told() {
        let shown = lock(&SHOWN.0);
        let is_busy = |shown: &mut usize| *shown > 0;
        // a renderer that waits for its reader is left alone
        let _ = SHOWN.1.wait_timeout_while(shown, PATIENCE, is_busy);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *lock(&SHOWN.0) -= 1;
        SHOWN.1.notify_all();
    }
}

/// Signals stop work while this lives.
#[derive(Debug)]
pub struct Watch(());

impl Watch {
    /// Starts watching, on a thread of its own.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(cancel: &Cancel) -> Result<Self, Failure> {
        let watch = Watch::put_off(cancel);
        heed()?;
        Ok(watch)
    }

    /// The same for work of which it is told later that it takes a while ([`heed`]): before that, signals end kiln as they end other programs.
    pub fn put_off(cancel: &Cancel) -> Self {
        *lock(&WORK) = Some(cancel.clone());
        Watch(())
    }

    /// The work is done: what is left is told, which a signal ends at once.
    ///
    /// # Errors
    /// A signal came while there was work. Nobody can tell whether it was meant for what is left, which may take as long as a reader likes.
    pub fn end(self) -> Result<(), Failure> {
        drop(self);
        let stopped = |kind| Failure::new(kind, "stopped; finished work is kept");
        received().map(stopped).map_or(Ok(()), Err)
    }

    /// What ended the build.
    pub fn kind(&self) -> Kind {
        received().unwrap_or(Kind::Interrupted)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *lock(&WORK) = None;
    }
}

/// What a signal asked for, if one came.
pub fn received() -> Option<Kind> {
    match LAST.load(Ordering::SeqCst) {
        0 => None,
        SIGTERM => Some(Kind::Terminated),
        _ => Some(Kind::Interrupted),
    }
}

/// A file that grows beyond a limit (`ulimit -f`) ends a program by a signal. With this, the write fails instead, and is told.
pub fn outlive_file_limits() {
    // without it, kiln ends as any other program
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// From now on, `restore` is called before a signal ends kiln. It must end soon.
///
/// # Errors
/// The thread that listens cannot be started.
pub fn before_end(restore: fn()) -> Result<(), Failure> {
    *lock(&BEFORE_END) = Some(restore);
    listen().map(drop).map_err(Failure::thread)
}

/// From now on a signal ends kiln only when what is shown has an end.
///
/// # Errors
/// The thread that listens cannot be started.
pub fn heed() -> Result<(), Failure> {
    listen().map(drop).map_err(Failure::thread)
}

fn listen() -> std::io::Result<Handle> {
    let mut listens = lock(&LISTENS);
    if let Some(listens) = &*listens {
        return Ok(listens.clone());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || signals.forever().for_each(heard))?;
    plugin::watch();
    *listens = Some(handle.clone());
    Ok(handle)
}

/// What takes signals in place of kiln.
type Taker = Box<dyn FnMut(i32) + Send>;
static TAKER: Mutex<Option<Taker>> = Mutex::new(None);

/// What terminals, shells and supervisors send besides the signals that stop kiln.
const OTHERS: [i32; 4] = [SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];

/// Signals go to somebody else while this lives.
#[derive(Debug)]
pub struct Handed(());

/// Hands signals to `taker`, on a thread of its own: those that stop kiln, and others.
///
/// # Errors
/// The thread cannot be started.
pub fn hand(taker: impl FnMut(i32) + Send + 'static) -> Result<Handed, Failure> {
    *lock(&TAKER) = Some(Box::new(taker));
    let handed = Handed(());
    let listens = listen().map_err(Failure::thread)?;
    let mut others = OTHERS.iter();
    let added = others.try_for_each(|signal| listens.add_signal(*signal));
    added.map_err(Failure::thread)?;
    Ok(handed)
}

impl Drop for Handed {
    fn drop(&mut self) {
        *lock(&TAKER) = None;
    }
}

fn heard(signal: i32) {
    if let Some(taker) = &mut *lock(&TAKER) {
        return taker(signal);
    }
    if OTHERS.contains(&signal) {
        return;
    }
    LAST.store(signal, Ordering::SeqCst);
    let work = lock(&WORK).clone();
    if let Some(cancel) = &work {
        cancel.request();
    }
    let is_last = work.is_none_or(|cancel| cancel.urgency() == Urgency::Kill);
    let stop = [Stop::Asked, Stop::AtOnce][usize::from(is_last)];
    STOP.store(stop as i32, Ordering::SeqCst);
    if is_last {
        Shown::all_told();
        if let Some(restore) = *lock(&BEFORE_END) {
            restore();
        }
        std::process::exit(received().unwrap_or(Kind::Interrupted) as i32);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
