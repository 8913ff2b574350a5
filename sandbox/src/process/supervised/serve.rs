//! Answers the calls of a command until it has ended. Unaware of what stands at a name.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Gid;
use rustix::thread::set_thread_groups;

use super::call::{self, Act, Call};
use super::caller::Caller;
use super::confined::{Job, Said};
use super::files::{Asked, Reply};
use super::name::{Name, may_be_served};
use super::tree::Tree;
use super::{family, procfs, signals};
use crate::SpawnError;
use crate::process::wire;
use crate::sys::notify::{self, Answer, Notification};

/// How often orphans that have ended are looked for.
const REST: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// What answers.
#[derive(Debug)]
pub struct Server {
    listener: OwnedFd,
    tree: Tree,
    calls: HashMap<(u32, u32), Call>,
    /// Whether a process may have a served folder open, or work in one: then no relative path is above suspicion.
    is_in_served_folder: bool,
}

impl Server {
    /// Waits until the command's side asks to be supervised.
    pub fn start(job: &Job, said: &OwnedFd) -> Result<Self, SpawnError> {
        let heard = wire::receive::<Said>(said).map_err(SpawnError::of("receive the listener"))?;
        let listener = match heard {
            Some((Said::Supervised, fds)) => fds.into_iter().next(),
            Some((Said::Failed(error), _)) => return Err(error),
            None => None,
        };
        let lost = || SpawnError::Lost("it ended before the command was executed".to_owned());
        // What is opened for the command is opened with its groups.
        let groups: Vec<Gid> = job.spec.groups.iter().copied().map(Gid::from_raw).collect();
        let _ = set_thread_groups(&groups);
        Ok(Self {
            listener: listener.ok_or_else(lost)?,
            tree: Tree::of(job).map_err(SpawnError::of("look at the tree"))?,
            calls: call::by_number(),
            is_in_served_folder: Name::of(job.spec.cwd.as_bytes()).is_some(),
        })
    }

    /// Answers until the command has ended, or the caller of the run is gone.
    pub fn serve(&mut self, socket: &OwnedFd, command: &OwnedFd, pid: i32) {
        loop {
            let mut fds = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::new(command, PollFlags::IN),
                PollFd::new(socket, PollFlags::IN),
            ];
            let ready = poll(&mut fds, Some(&REST));
            let [call, ended, gone] = fds.map(|fd| !fd.revents().is_empty());
            match ready {
                Ok(0) => family::reap_orphans(pid),
                // The caller says nothing after its request, so this is the end of the socket.
                Ok(_) if ended || gone => return,
                // A thread that was killed meanwhile wants no answer.
                Ok(_) if call => drop(self.answer_next()),
                _ => {}
            }
        }
    }

    fn answer_next(&mut self) -> io::Result<()> {
        let notification = notify::receive(&self.listener)?;
        match self.answer(&notification) {
            Reply::Answer(answer) => notify::respond(&self.listener, notification.id, answer),
            Reply::Done => Ok(()),
        }
    }

    fn answer(&mut self, notification: &Notification) -> Reply {
        let number = (notification.arch, notification.number);
        let call = self.calls.get(&number).copied();
        let (Some(call), Ok(caller)) = (call, Caller::of(notification.thread)) else {
            return Reply::Answer(Answer::Continue);
        };
        let [first, second, ..] = notification.arguments;
        Reply::Answer(match call.act {
            Act::Signal => signals::kill(&caller, first, second),
            Act::SignalByDescriptor => signals::by_descriptor(&caller, first, second),
            Act::Process(argument) => signals::one(notification.arguments[argument]),
            Act::ProcessOrMore(process) => signals::one_or_more(process, first, second),
            _ => return self.of_path(notification, call, &caller),
        })
    }

    fn of_path(&mut self, notification: &Notification, call: Call, caller: &Caller) -> Reply {
        let unserved = Reply::Answer(Answer::Continue);
        let Ok(path) = caller.text(notification.arguments[call.path]) else {
            return unserved;
        };
        if path.is_empty() || !may_be_served(&path, self.is_in_served_folder) {
            return unserved;
        }
        let Some(name) = self.name(notification, call, caller, &path) else {
            return unserved;
        };
        let found = procfs::find(&name, caller);
        let asked = Asked {
            listener: &self.listener,
            tree: &self.tree,
            notification,
            call,
            caller,
            is_folder: path.ends_with(b"/"),
            gives_folder: Cell::new(false),
        };
        let reply = asked.reply(found);
        self.is_in_served_folder |= asked.gives_folder.get();
        reply
    }

    fn name(
        &self,
        notification: &Notification,
        call: Call,
        caller: &Caller,
        path: &[u8],
    ) -> Option<Name> {
        if path.starts_with(b"/") {
            return Name::of(path);
        }
        let descriptor = call
            .folder
            .map_or(libc::AT_FDCWD, |at| notification.arguments[at] as i32);
        let folder = self.tree.inside(&caller.folder(descriptor).ok()?)?;
        Name::of(&[folder.as_os_str().as_bytes(), b"/", path].concat())
    }
}
