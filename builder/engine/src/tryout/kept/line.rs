//! A line to the process that runs a container: what others ask it for. Unaware of how that is done.

use super::Kept;
use super::control::{Reply, Request, SOCKET, at, failed, socket};
use super::guest::Exec;
use super::record::KILLED;
use crate::execute::runner::attended::Attendant;
use crate::failure::KeptError;
use kiln_cache::Store;
use kiln_sandbox::{Exit, KillHandle, Stdin, Stdio, Used, packets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::connect;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

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

    /// Runs another command in the container to its end, or until it runs, if it is to be on its own then. One that cannot be attended ends
    /// with the line.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn exec(
        mut self,
        command: Exec,
        attendant: &dyn Attendant,
    ) -> Result<Option<Exit>, KeptError> {
        let streams = attendant.streams().map_err(failed("attend", &self.path))?;
        let is_detached = command.is_detached;
        self.ask_exec(command, streams, attendant.terminal())?;
        let mut fds = match self.answer()? {
            (Reply::Started, fds) => fds.into_iter(),
            (reply, _) => return Err(self.unexpected(&reply)),
        };
        let process = fds.next().ok_or_else(|| self.unexpected(&Reply::Started))?;
        let started = attendant.started(process.into(), fds.next());
        started.map_err(failed("attend", &self.path))?;
        if is_detached {
            return Ok(None);
        }
        match self.end(attendant)? {
            Reply::Exited(exit) => Ok(Some(exit)),
            // the kernel has ended it with the container
            Reply::Ended(_) => Ok(Some(killed())),
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// The last answer, when all that the command wrote is shown.
    fn end(&mut self, attendant: &dyn Attendant) -> Result<Reply, KeptError> {
        let (ended, _) = self.answer()?;
        attendant.ended();
        attendant.leave();
        // where the container is gone too, nobody puts anything back
        let _ = packets::send(&self.socket, &Request::GivenBack, &[]);
        Ok(ended)
    }

    fn ask_exec(
        &self,
        command: Exec,
        streams: Stdio,
        person: Option<BorrowedFd<'_>>,
    ) -> Result<(), KeptError> {
        let stdin = match &streams.stdin {
            Stdin::Null => None,
            Stdin::Fd(fd) => Some(fd.as_fd()),
        };
        let request = Request::Exec {
            command: Box::new(command),
            has_stdin: stdin.is_some(),
            has_person: person.is_some(),
        };
        let mut fds = vec![streams.stdout.as_fd(), streams.stderr.as_fd()];
        fds.extend(stdin.into_iter().chain(person));
        let sent = packets::send(&self.socket, &request, &fds);
        sent.map_err(failed("speak to", &self.path))
    }

    /// The root folder of the container.
    ///
    /// # Errors
    /// It has ended, or has none of its own.
    pub fn root(&mut self) -> Result<OwnedFd, KeptError> {
        self.given(&Request::Root)
    }

    /// The first process of the container.
    ///
    /// # Errors
    /// It has ended.
    pub fn process(&mut self) -> Result<KillHandle, KeptError> {
        Ok(self.given(&Request::Process)?.into())
    }

    /// The descriptor that is the answer.
    fn given(&mut self, request: &Request) -> Result<OwnedFd, KeptError> {
        let sent = packets::send(&self.socket, request, &[]);
        sent.map_err(failed("speak to", &self.path))?;
        match self.answer()? {
            (Reply::Done, fds) => {
                let given = fds.into_iter().next();
                given.ok_or_else(|| self.unexpected(&Reply::Done))
            }
            (reply, _) => Err(self.unexpected(&reply)),
        }
    }

    /// The next answer. That the container has ended is the last one.
    fn answer(&mut self) -> Result<(Reply, Vec<OwnedFd>), KeptError> {
        let answer = packets::receive::<Reply>(&self.socket);
        let answer = answer.map_err(|error| self.broken(error))?;
        Ok(answer.unwrap_or((Reply::Ended(KILLED), Vec::new())))
    }

    fn unexpected(&self, reply: &Reply) -> KeptError {
        match reply {
            Reply::Refused(why) => KeptError::Refused(why.clone()),
            Reply::Ended(_) => KeptError::Refused("the container has ended meanwhile".to_owned()),
            _ => self.broken(io::ErrorKind::InvalidData.into()),
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
        match self.answer()? {
            (Reply::Ended(code), _) => self.ended = Some(code),
            (Reply::Refused(why), _) => return Err(KeptError::Refused(why)),
            _ => {}
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

/// The end of a command that was killed with its container.
fn killed() -> Exit {
    Exit {
        code: Some(i32::from(KILLED)),
        signal: None,
        used: Used::default(),
        out_of_memory: false,
    }
}
