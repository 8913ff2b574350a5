//! What others ask of a container that runs: a socket in its folder, at which the process that runs it listens. Both ends are the same user's
//! kilns: nobody else may enter the folder. One packet of JSON for each question and each answer, with descriptors where it says so.
//! Who asks is in [`line`](super::line), who answers in [`guest`](super::guest).

use super::guest::{Exec, Guest};
use crate::failure::KeptError;
use kiln_cache::Store;
use kiln_oci::locked;
use kiln_sandbox::{Exit, packets};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    shutdown, socket_with,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

/// The name of the socket.
pub(super) const SOCKET: &str = "control";
/// Callers that may wait to be heard.
const BACKLOG: i32 = 16;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Send its process a signal: [`Reply::Done`].
    Signal(i32),
    /// Run another command in it. With standard output and error, and with standard input and the terminal of a person where it says so.
    Exec {
        command: Box<Exec>,
        has_stdin: bool,
        has_person: bool,
    },
    /// The person's terminal is as it was, after the end of that command. No answer.
    GivenBack,
    /// Give its root folder: [`Reply::Done`] with it.
    Root,
    /// Give its first process: [`Reply::Done`] with a pidfd.
    Process,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    /// It cannot be done.
    Refused(String),
    /// Another command runs: with a pidfd of it, and the other side of its terminal if it has one.
    Started,
    /// That command has ended.
    Exited(Exit),
    /// The container has ended, with this code. Whoever is connected is told.
    Ended(u8),
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

pub(super) fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// A socket's address is short, and its path may be long: the folder is named by its descriptor.
pub(super) fn at<T>(
    path: &Path,
    work: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>,
) -> io::Result<T> {
    let folder = File::open(path.parent().unwrap_or(path))?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    Ok(work(&SocketAddrUnix::new(short)?)?)
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeptError {
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
    while let Ok(Some(asked)) = packets::receive::<Request>(caller) {
        if guest.answer(caller, asked).is_err() {
            return;
        }
    }
}
