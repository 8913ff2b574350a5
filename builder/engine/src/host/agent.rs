//! SSH agents that RUN and git may ask for signatures: the socket of a running agent, or keys from files, which get an agent of their own
//! (the host's `ssh-agent`) the first time that they are used. Unaware of RUN, of mounts and of git.
//!
//! Why not a crate: those that speak the protocol (`ssh-agent-lib`, `russh-keys`) are asynchronous and hold keys, so they bring tokio and
//! the cryptography of OpenSSH's keys into a program that needs neither. Kiln starts the agent that the user's ssh trusts, holds no key
//! in its memory, and passes messages on ([`forward`]), of which it must understand one byte: the type.

mod forward;

pub use forward::Forward;

use crate::failure::AgentError;
use kiln_cache::StoreError;
use kiln_sandbox::host_program;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The agent's socket in its folder; a bare name, since a socket's path may have no more than 107 bytes.
const SOCKET: &str = "agent";
/// An agent that is not there after this time does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `--ssh` names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentSource {
    /// The socket of an agent.
    Socket(PathBuf),
    /// Files of private keys, absolute paths.
    Keys(Vec<PathBuf>),
}

/// The agents of one process; each is started once.
#[derive(Debug, Default)]
pub struct Agents {
    /// By the key files.
    started: Mutex<BTreeMap<Vec<PathBuf>, Arc<KeyAgent>>>,
}

/// One that can be connected to. The last clone ends what was started.
#[derive(Debug, Clone)]
pub enum Agent {
    /// Served by somebody else.
    Socket(PathBuf),
    /// Started for this build; ends with the last clone.
    Keys(Arc<KeyAgent>),
}

impl Agents {
    /// The agent behind a source, started if it has to be. `folder` makes an empty folder that only this user can enter.
    ///
    /// # Errors
    /// When it cannot be reached or started, or does not accept a key.
    pub fn get(
        &self,
        source: &AgentSource,
        search_path: &str,
        folder: impl FnOnce() -> Result<PathBuf, StoreError>,
    ) -> Result<Agent, AgentError> {
        let agent = match source {
            AgentSource::Socket(path) => Agent::Socket(path.clone()),
            AgentSource::Keys(keys) => {
                let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
                if !started.contains_key(keys) {
                    let agent = KeyAgent::start(&folder()?, keys, search_path)?;
                    started.insert(keys.clone(), Arc::new(agent));
                }
                Agent::Keys(started[keys].clone())
            }
        };
        let failed = |source| AgentError::Connect {
            path: agent.path(),
            source,
        };
        agent.connect().map_err(failed)?;
        Ok(agent)
    }
}

impl Agent {
    /// A new connection.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.path())
    }

    fn path(&self) -> PathBuf {
        match self {
            Agent::Socket(path) => path.clone(),
            Agent::Keys(agent) => agent.path(),
        }
    }

    /// Where programs of this user find the socket; it may be longer than a socket's name may be.
    pub fn socket(&self) -> PathBuf {
        match self {
            Agent::Socket(path) => path.clone(),
            Agent::Keys(agent) => agent.place.join(SOCKET),
        }
    }
}

/// An `ssh-agent` of this build. It dies with the thread that started it, and so with kiln, however that ends.
#[derive(Debug)]
pub struct KeyAgent {
    folder: File,
    place: PathBuf,
    // Dropped first: the thread waits for it.
    end: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl KeyAgent {
    fn start(folder: &Path, keys: &[PathBuf], search_path: &str) -> Result<Self, AgentError> {
        let program = |program| move |source| AgentError::Program { program, source };
        let opened = File::open(folder).map_err(program("ssh-agent"))?;
        let mut command = host_program("ssh-agent", search_path);
        command
            .args(["-D", "-a", SOCKET])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (end, keeper) = keep(command).map_err(program("ssh-agent"))?;
        let agent = KeyAgent {
            folder: opened,
            place: folder.to_owned(),
            end: Some(end),
            keeper: Some(keeper),
        };
        agent.wait_until_there()?;
        for key in keys {
            add(folder, key, search_path)?;
        }
        Ok(agent)
    }

    /// Short, whatever the folder is called.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/self/fd/{}/{SOCKET}",
            self.folder.as_raw_fd()
        ))
    }

    fn wait_until_there(&self) -> Result<(), AgentError> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(self.path()) {
                Ok(_) => return Ok(()),
                Err(_) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(source) => {
                    return Err(AgentError::Connect {
                        path: self.path(),
                        source,
                    });
                }
            }
        }
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        self.end.take();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Starts a program in a thread that lives as long as it may.
fn keep(mut command: Command) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (end, ended) = channel::<()>();
    let (started, starting) = channel();
    let keeper = std::thread::Builder::new().spawn(move || match command.spawn() {
        Err(error) => drop(started.send(Err(error))),
        Ok(mut child) => {
            let _ = started.send(Ok(()));
            // Nothing is ever sent: this returns when the sender is gone.
            let _ = ended.recv();
            // It may have ended by itself; either way it must not stay a zombie.
            let _ = (child.kill(), child.wait());
        }
    })?;
    match starting.recv() {
        Ok(Ok(())) => Ok((end, keeper)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn add(folder: &Path, key: &Path, search_path: &str) -> Result<(), AgentError> {
    let mut command = host_program("ssh-add", search_path);
    // Without a terminal, a display and this program nobody can be asked for a passphrase.
    command
        .env("SSH_AUTH_SOCK", SOCKET)
        .env("SSH_ASKPASS_REQUIRE", "never")
        .current_dir(folder)
        .arg("-q")
        .arg("--")
        .arg(key);
    let output = command.output().map_err(|source| AgentError::Program {
        program: "ssh-add",
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty());
    Err(AgentError::Key {
        path: key.to_owned(),
        message: said.collect::<Vec<_>>().join("; "),
    })
}
