//! Answers the calls of a command until it has ended. Unaware of what stands at a name.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::process::Gid;
use rustix::thread::set_thread_groups;

use super::call::{self, Act, Call, Links};
use super::caller::Caller;
use super::confined::{Job, Said};
use super::files::{Asked, Reply};
use super::name::{Name, may_be_served};
use super::procfs::{self, Found};
use super::secrets::Secrets;
use super::tree::Tree;
use super::{family, signals};
use crate::SpawnError;
use crate::path::open_in_root;
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
    secrets: Secrets,
    calls: HashMap<(u32, u32), Call>,
    /// Whether a process may have a served folder open, or work in one: then no relative path is above suspicion.
    is_in_served_folder: bool,
}

impl Server {
    /// Waits until the command's side asks to be supervised.
    pub fn start(job: &Job, secrets: Secrets, said: &OwnedFd) -> Result<Self, SpawnError> {
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
            secrets,
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
        let Some(found) = self.find(notification, call, caller, &path) else {
            return unserved;
        };
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

    /// What stands at the path, if it is served.
    fn find(
        &self,
        notification: &Notification,
        call: Call,
        caller: &Caller,
        path: &[u8],
    ) -> Option<Found> {
        let may_be_served = may_be_served(path, self.is_in_served_folder);
        if path.is_empty() || (self.secrets.is_empty() && !may_be_served) {
            return None;
        }
        let path = self.absolute(notification, call, caller, path)?;
        match Name::of(&path) {
            Some(name) => match procfs::find(&name, caller) {
                Found::Unserved => self.secret(call, caller, &path),
                Found::Tree(place) => {
                    let path = self.tree.inside(&place)?;
                    let secret = self.secret(call, caller, path.as_os_str().as_bytes());
                    Some(secret.unwrap_or(Found::Tree(place)))
                }
                found => Some(found),
            },
            None => self.secret(call, caller, &path),
        }
    }

    /// The path from the tree's root.
    fn absolute(
        &self,
        notification: &Notification,
        call: Call,
        caller: &Caller,
        path: &[u8],
    ) -> Option<Vec<u8>> {
        if path.starts_with(b"/") {
            return Some(path.to_vec());
        }
        let descriptor = call
            .folder
            .map_or(libc::AT_FDCWD, |at| notification.arguments[at] as i32);
        let folder = self.tree.inside(&caller.folder(descriptor).ok()?)?;
        Some([folder.as_os_str().as_bytes(), b"/", path].concat())
    }

    /// The secret that the path leads to. Links are the kernel's to read.
    fn secret(&self, call: Call, caller: &Caller, path: &[u8]) -> Option<Found> {
        let is_of_link = matches!(call.act, Act::ReadLink(_) | Act::Stat(_, _, Links::Taken));
        if self.secrets.is_empty() || call.act == Act::Execute {
            return None;
        }
        let flags = match is_of_link {
            true => OFlags::PATH | OFlags::NOFOLLOW,
            false => OFlags::PATH,
        };
        let (root, path) = (self.tree.root.as_fd(), Path::new(OsStr::from_bytes(path)));
        let open = || open_in_root(root, path, flags, Mode::empty(), self.tree.disabled);
        let opened = caller.with_its_rights(open).ok()?;
        let file = self.secrets.behind(&fstat(&opened).ok()?)?;
        Some(Found::Secret(file))
    }
}
