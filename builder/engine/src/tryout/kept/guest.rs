//! A container that runs, as others see it: what they ask for is done to its process, or beside it. Unaware of how they ask.

use super::control::{Reply, Request};
use super::copy::{Root, inside};
use super::record::Record;
use crate::execute::is_supervised;
use crate::execute::operation::{ACCOUNTS, accounts_text};
use crate::execute::process::ProcessNetwork;
use crate::execute::users::Accounts;
use crate::failure::chain_of_causes;
use crate::session::Session;
use crate::tryout::container::Container;
use kiln_sandbox::{
    Exit, KillHandle, Lent, Network, RunSpec, Running, SpawnError, Stdin, Stdio, TerminalSize,
    join, packets, root_of,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::{Builder, scope};

/// Another command in a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Exec {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// `NAME=value`, beside those of the container.
    pub env: Vec<String>,
    /// The folder to start in; the container's without it.
    pub cwd: Option<String>,
    /// Who runs it; the container's user without it.
    pub user: Option<String>,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
    /// It goes on when nobody attends it.
    pub is_detached: bool,
}

/// A container that runs, for those who ask.
#[derive(Debug)]
pub struct Guest {
    session: Session,
    container: Container,
    process: KillHandle,
}

impl Guest {
    /// The container of a record.
    pub fn new(session: &Session, record: &Record, process: KillHandle) -> Self {
        Guest {
            session: session.clone(),
            container: record.draft.container.clone(),
            process,
        }
    }

    /// Does what a caller asks for.
    ///
    /// # Errors
    /// It has hung up.
    pub(super) fn answer(
        &self,
        caller: &OwnedFd,
        (request, fds): (Request, Vec<OwnedFd>),
    ) -> io::Result<()> {
        let done = |fds: &[BorrowedFd<'_>]| packets::send(caller, &Reply::Done, fds);
        let refused = match request {
            Request::Signal(signal) => {
                self.process.signal(signal);
                return done(&[]);
            }
            Request::GivenBack => return Ok(()),
            Request::Process => return done(&[self.process.as_fd()]),
            Request::Root => match self.namespaces().and_then(|()| self.root()) {
                Ok(root) => return done(&[root.as_fd()]),
                Err(why) => why,
            },
            Request::Exec {
                command,
                has_stdin,
                has_person,
            } => match self.exec(&command, streams(fds, has_stdin, has_person)) {
                Ok(running) => {
                    return attend(caller, running, (command.is_detached, has_person));
                }
                Err(why) => why,
            },
        };
        packets::send(caller, &Reply::Refused(refused), &[])
    }

    fn exec(
        &self,
        command: &Exec,
        streams: Result<(Stdio, Option<OwnedFd>), String>,
    ) -> Result<Running, String> {
        self.namespaces()?;
        self.start(command, streams?)
    }

    /// That there are some to enter.
    fn namespaces(&self) -> Result<(), String> {
        match is_supervised(&self.session) {
            true => {
                Err("a supervised container has no namespaces that others could enter".to_owned())
            }
            false => Ok(()),
        }
    }

    fn root(&self) -> Result<OwnedFd, String> {
        root_of(&self.process).map_err(|error| format!("the root of the container: {error}"))
    }

    fn start(
        &self,
        command: &Exec,
        (stdio, person): (Stdio, Option<OwnedFd>),
    ) -> Result<Running, String> {
        let spec = self.spec(command)?;
        let person = person.as_ref().map(AsFd::as_fd);
        let running = join(&self.process, &spec, stdio, person);
        running.map_err(|error| chain_of_causes(&error))
    }

    /// What the command sees where the container does not say it already.
    fn spec(&self, command: &Exec) -> Result<RunSpec, String> {
        let mut container = self.container.clone();
        container.argv.clone_from(&command.argv);
        container.cwd = command.cwd.clone().unwrap_or(container.cwd);
        container.user = command.user.clone().unwrap_or(container.user);
        let accounts = accounts(&Root::Open(self.root()?))?;
        let process = container.process(&self.session, &accounts);
        let mut process = process.map_err(|error| chain_of_causes(&error))?;
        process.set_env(&command.env);
        Ok(RunSpec {
            argv: process.argv,
            env: process.env,
            cwd: process.cwd,
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.groups,
            network: joined(&process.network),
            rlimits: process.ulimits,
            terminal: command.terminal,
            ..RunSpec::default()
        })
    }
}

/// The accounts of a container as they are now: one that was added in it is known.
fn accounts(root: &Root) -> Result<Accounts, String> {
    let [passwd, group] = ACCOUNTS.map(|path| {
        let text = text(root, Path::new(path));
        text.map_err(|error| format!("cannot read /{path} of the container: {error}"))
    });
    Ok(Accounts {
        passwd: passwd?,
        group: group?,
    })
}

/// As of an image: what is not there, or no regular file, is empty.
fn text(root: &Root, path: &Path) -> io::Result<String> {
    let file = match inside(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NXIO) => return Ok(String::new()),
        opened => File::from(opened?),
    };
    match file.metadata()?.is_file() {
        true => accounts_text(file),
        false => Ok(String::new()),
    }
}

/// What a command that joins a network has to know of it.
fn joined(network: &ProcessNetwork) -> Network {
    match network {
        ProcessNetwork::Host => Network::Host,
        ProcessNetwork::None | ProcessNetwork::Private(_) => Network::None,
    }
}

/// The streams of a command, and the terminal of the person at them.
fn streams(
    fds: Vec<OwnedFd>,
    has_stdin: bool,
    has_person: bool,
) -> Result<(Stdio, Option<OwnedFd>), String> {
    let mut fds = fds.into_iter();
    let mut next = || fds.next().ok_or("a descriptor is missing");
    let (stdout, stderr) = (next()?, next()?);
    let stdin = has_stdin.then(&mut next).transpose()?;
    let person = has_person.then(&mut next).transpose()?;
    let stdio = Stdio {
        stdin: stdin.map_or(Stdin::Null, Stdin::Fd),
        stdout,
        stderr,
    };
    Ok((stdio, person))
}

/// Tells a caller of a command that runs, and of its end. A caller that hangs up before takes it along, unless it is to be on its own.
fn attend(
    caller: &OwnedFd,
    mut running: Running,
    (is_detached, has_person): (bool, bool),
) -> io::Result<()> {
    let terminal = running.take_terminal();
    let told = tell_start(caller, (&running.kill_handle(), terminal));
    if is_detached {
        // whoever waits for the container waits for it too
        let _ = running.wait();
        return told;
    }
    match until_ended(caller, running)? {
        Err(error) => packets::send(caller, &Reply::Refused(chain_of_causes(&error)), &[]),
        Ok((exit, lent)) => {
            packets::send(caller, &Reply::Exited(exit), &[])?;
            if has_person && is_given_back(caller) {
                lent.given_back();
            }
            Ok(())
        }
    }
}

/// Waits until it has ended, or the caller is gone.
fn until_ended(caller: &OwnedFd, running: Running) -> io::Result<Result<(Exit, Lent), SpawnError>> {
    let (process, (over, ends)) = (running.kill_handle(), io::pipe()?);
    scope(|scope| {
        let listens = Builder::new().name("line".to_owned());
        listens.spawn_scoped(scope, || until_hung_up(caller, &over, &process))?;
        let ended = running.ended();
        drop(ends);
        Ok(ended)
    })
}

fn tell_start(
    caller: &OwnedFd,
    (process, terminal): (&KillHandle, Option<OwnedFd>),
) -> io::Result<()> {
    let fds = [Some(process.as_fd()), terminal.as_ref().map(AsFd::as_fd)];
    let fds: Vec<_> = fds.into_iter().flatten().collect();
    packets::send(caller, &Reply::Started, &fds)
}

/// Waits until a caller has shown all that its command wrote.
fn is_given_back(caller: &OwnedFd) -> bool {
    let said = packets::receive::<Request>(caller);
    matches!(said, Ok(Some((Request::GivenBack, _))))
}

/// Kills a process when the caller says anything, which can only be that it is gone, before all is over.
fn until_hung_up(caller: &OwnedFd, over: &impl AsFd, process: &KillHandle) {
    let mut fds = [
        PollFd::new(caller, PollFlags::IN),
        PollFd::new(over, PollFlags::IN),
    ];
    while poll(&mut fds, None).is_err() {}
    let [caller, over] = fds;
    if over.revents().is_empty() && !caller.revents().is_empty() {
        process.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir;
    use std::os::unix::fs::symlink;

    #[test]
    fn accounts_that_cannot_be_read_are_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let found = || {
            let root = Root::Open(File::open(folder.path()).unwrap().into());
            accounts(&root).map(|accounts| (accounts.passwd, accounts.group))
        };
        assert_eq!(found().unwrap(), Default::default());
        create_dir(path("etc")).unwrap();
        std::fs::write(path("etc/real"), "of users").unwrap();
        symlink("/etc/real", path("etc/passwd")).unwrap();
        create_dir(path("etc/group")).unwrap();
        assert_eq!(found().unwrap(), ("of users".to_owned(), String::new()));
        let large = File::create(path("etc/real")).unwrap();
        large.set_len((16 << 20) + 1).unwrap();
        let error = found().unwrap_err();
        assert!(error.contains("etc/passwd"), "{error}");
    }
}
