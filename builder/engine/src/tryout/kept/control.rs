//! What others ask of a container that runs: a socket in its folder, at which the process that runs it listens. Both ends are the same user's
//! kilns: nobody else may enter the folder. One packet of JSON for each question and each answer, with descriptors where it says so.
//! Unaware of how a container is run.

use super::record::{KILLED, Record};
use crate::failure::KeptError;
use crate::session::Session;
use crate::tryout::kept::Kept;
use kiln_cache::Store;
use kiln_oci::locked;
use kiln_sandbox::{KillHandle, packets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, shutdown, socket_with,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The name of the socket.
const SOCKET: &str = "control";
/// Callers that may wait to be heard.
const BACKLOG: i32 = 16;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// Send its process a signal: [`Reply::Done`].
    Signal(i32),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Done,
    /// It has ended, with this code. Whoever is connected is told.
    Ended(u8),
}

/// A container that runs, for those who ask.
#[derive(Debug)]
pub struct Guest {
    process: KillHandle,
}

impl Guest {
    /// The container of a record.
    pub fn new(_session: &Session, _record: &Record, process: KillHandle) -> Self {
        Guest { process }
    }

    fn answer(&self, request: &Request) -> Reply {
        match request {
            Request::Signal(signal) => self.process.signal(*signal),
        }
        Reply::Done
    }
}

/// The socket, before anybody listens.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Of a container that this process holds. What stands in its place is of a process that is gone.
    pub fn open(store: &Store, id: &str) -> Result<Self, KeptError> {
        let path = store.containers().path(id).join(SOCKET);
        let open = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let socket = socket()?;
            at(&path, |address| bind(&socket, address))?;
            listen(&socket, BACKLOG)?;
            Ok(Socket(socket))
        };
        open().map_err(failed("listen at", &path))
    }

    /// Answers on threads of their own from now on.
    pub fn serve(self, guest: Guest) -> Result<Serving, KeptError> {
        let serve = || {
            let (listener, callers) = (self.0.try_clone()?, Arc::<Callers>::default());
            let calls = callers.clone();
            let thread = Builder::new().name("control".to_owned());
            let thread = thread.spawn(move || accept(&listener, &Arc::new(guest), &calls))?;
            Ok(Serving {
                listener: self.0,
                callers,
                thread: Some(thread),
            })
        };
        serve().map_err(failed("listen at", Path::new(SOCKET)))
    }
}

fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// A socket's address is short, and its path may be long: the folder is named by its descriptor.
fn at<T>(
    path: &Path,
    work: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>,
) -> io::Result<T> {
    let folder = File::open(path.parent().unwrap_or(path))?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    Ok(work(&SocketAddrUnix::new(short)?)?)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeptError {
    let path = path.to_owned();
    move |source| KeptError::Io {
        action,
        path,
        source,
    }
}

/// Who is connected, and the threads that listen to them.
type Callers = Mutex<Vec<(OwnedFd, JoinHandle<()>)>>;

/// Who listens. Dropping it hangs up.
#[derive(Debug)]
pub struct Serving {
    listener: OwnedFd,
    callers: Arc<Callers>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Tells everybody that the container has ended.
    pub fn tell_end(&self, code: u8) {
        for (caller, _) in &*locked(&self.callers) {
            // it may have hung up
            let _ = packets::send(caller, &Reply::Ended(code), &[]);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // what fails here has ended by itself
        let _ = shutdown(&self.listener, Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
        for (caller, thread) in locked(&self.callers).drain(..) {
            let _ = shutdown(&caller, Shutdown::Both);
            let _ = thread.join();
        }
    }
}

/// Takes callers until the listener is shut.
fn accept(listener: &OwnedFd, guest: &Arc<Guest>, callers: &Callers) {
    while let Ok(caller) = accept_with(listener, SocketFlags::CLOEXEC) {
        let Ok(kept) = caller.try_clone() else {
            continue;
        };
        let guest = guest.clone();
        let thread = Builder::new().name("caller".to_owned());
        if let Ok(thread) = thread.spawn(move || hear(&caller, &guest)) {
            let mut callers = locked(callers);
            callers.retain(|(_, thread)| !thread.is_finished());
            callers.push((kept, thread));
        }
    }
}

/// Answers one caller until it hangs up.
fn hear(caller: &OwnedFd, guest: &Guest) {
    while let Ok(Some((request, _))) = packets::receive::<Request>(caller) {
        if packets::send(caller, &guest.answer(&request), &[]).is_err() {
            return;
        }
    }
}

/// A line to the process that runs a container.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    path: PathBuf,
    ended: Option<u8>,
}

impl Line {
    /// To the process that runs this one.
    ///
    /// # Errors
    /// None does.
    pub fn to(store: &Store, kept: &Kept) -> Result<Self, KeptError> {
        let path = store.containers().path(&kept.record.id).join(SOCKET);
        let connected = || {
            let socket = socket()?;
            at(&path, |address| connect(&socket, address))?;
            Ok(socket)
        };
        match connected() {
            Ok(socket) => Ok(Line {
                socket,
                path,
                ended: None,
            }),
            Err(error) if is_nobody(&error) => Err(KeptError::DoesNotRun(kept.title().to_owned())),
            Err(error) => Err(failed("connect to", &path)(error)),
        }
    }

    /// Sends the first process of the container a signal. One that has just ended gets none.
    ///
    /// # Errors
    /// The line breaks.
    pub fn signal(&mut self, signal: i32) -> Result<(), KeptError> {
        let sent = packets::send(&self.socket, &Request::Signal(signal), &[]);
        if sent.is_err() {
            // who has hung up has said why before
            return self.wait(None).map(drop);
        }
        self.hear()
    }

    /// Waits until the container has ended, or for so long: its code, if it has.
    ///
    /// # Errors
    /// The line breaks.
    pub fn wait(&mut self, patience: Option<Duration>) -> Result<Option<u8>, KeptError> {
        let begun = Instant::now();
        while self.ended.is_none() {
            let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
            if !self.is_heard_within(left)? {
                return Ok(None);
            }
            self.hear()?;
        }
        Ok(self.ended)
    }

    fn is_heard_within(&self, patience: Option<Duration>) -> Result<bool, KeptError> {
        let patience = patience.map(Timespec::try_from).transpose();
        // longer than any time that can be said
        let patience = patience.unwrap_or_default();
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut fds, patience.as_ref()) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(errno) => Err(self.broken(errno.into())),
        }
    }

    /// Takes one answer.
    fn hear(&mut self) -> Result<(), KeptError> {
        match packets::receive::<Reply>(&self.socket) {
            Ok(Some((Reply::Done, _))) => {}
            Ok(Some((Reply::Ended(code), _))) => self.ended = Some(code),
            Ok(None) => self.ended = Some(KILLED),
            Err(error) => return Err(self.broken(error)),
        }
        Ok(())
    }

    fn broken(&self, error: io::Error) -> KeptError {
        failed("speak to", &self.path)(error)
    }
}

/// Whether an error says that no process listens.
fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset)
}
