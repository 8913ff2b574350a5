//! Runs git with nothing of the machine's configuration, no hooks, no prompts, few transports, in a folder of its own.
//! Addresses and references are checked before (`address`), and the address stands in a file of that folder, not among the
//! arguments, which other users can see. Credentials are in git's environment alone, bound to the host of the source.
//! Unaware of what is fetched.

use super::{Format, credentials, ssh};
use crate::event::EventKind;
use crate::failure::FetchError;
use crate::host::agent::Agent;
use crate::source::fetch::Access;
use crate::source::fetch::address::redacted;
use kiln_parser::graph::GitSource;
use kiln_parser::redact;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of output that are looked at.
const MAX_OUTPUT: u64 = 16 << 20;
/// Bytes of an error message.
const MAX_MESSAGE: usize = 600;
/// No fetch takes longer; over http a connection without progress ends after a minute.
const MAX_TIME: Duration = Duration::from_secs(3600);
/// What asks for the names that a remote has, and how long that may take: git itself waits for a `git://` server without end.
pub(super) const LIST: &str = "ls-remote";
const MAX_LIST_TIME: Duration = Duration::from_secs(120);
/// How often a running git is looked after.
const TICK: Duration = Duration::from_millis(10);

/// What every git of kiln obeys, in place of the configuration of user and system.
const CONFIGURATION: &str = "\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tprotectHFS = true
\tprotectNTFS = true
\tsymlinks = true
\tautocrlf = false
\tlogAllRefUpdates = false
\taskPass = true
[protocol]
\tallow = never
[protocol \"https\"]
\tallow = always
[protocol \"http\"]
\tallow = always
[protocol \"ssh\"]
\tallow = always
[protocol \"git\"]
\tallow = always
[http]
\tlowSpeedLimit = 1
\tlowSpeedTime = 60
[advice]
\tdetachedHead = false
[init]
\tdefaultBranch = main
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\trecurseSubmodules = false
\twriteCommitGraph = false
[transfer]
\tbundleURI = false
[safe]
\tbareRepository = explicit
";

/// A folder with an empty repository whose remote is the source.
#[derive(Debug)]
pub(super) struct Git<'a> {
    access: Access<'a>,
    program: PathBuf,
    folder: PathBuf,
    source: &'a GitSource,
    /// Kept while git may ask it.
    agent: Option<Agent>,
}

impl<'a> Git<'a> {
    /// Makes the folder and the repository.
    ///
    /// # Errors
    /// When there is no git, or the store has no room.
    pub(super) fn start(
        access: Access<'a>,
        source: &'a GitSource,
        format: Format,
    ) -> Result<Self, FetchError> {
        let program = find(&access.session.host.search_path)?;
        let folder = access.session.store.scratch().dir("git")?;
        let agent = ssh::agent(access, source)?;
        let git = Git {
            access,
            program,
            folder,
            source,
            agent,
        };
        git.prepare(format)?;
        Ok(git)
    }

    fn prepare(&self, format: Format) -> Result<(), FetchError> {
        let home = self.folder.join("home");
        std::fs::create_dir(&home).map_err(|error| io("make", &home, error))?;
        let configuration = home.join("gitconfig");
        std::fs::write(&configuration, CONFIGURATION)
            .map_err(|error| io("write", &configuration, error))?;
        let own = self.access.session.host.home.as_deref();
        ssh::prepare(&home, own, self.agent.as_ref())?;
        let work = self.work();
        std::fs::create_dir(&work).map_err(|error| io("make", &work, error))?;
        let format = match format {
            Format::Sha1 => "--object-format=sha1",
            Format::Sha256 => "--object-format=sha256",
        };
        self.ask("init", &["init", "--quiet", "--template=", format])?;
        self.append_configuration(&remote(&credentials::bare(&self.source.remote)))
    }

    fn append_configuration(&self, text: &str) -> Result<(), FetchError> {
        let path = self.work().join(".git/config");
        let old = std::fs::read_to_string(&path).map_err(|error| io("read", &path, error))?;
        std::fs::write(&path, old + text).map_err(|error| io("write", &path, error))
    }

    /// The folder with the checked out files, and `.git`.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Throws the folder away.
    pub(super) fn finish(self) -> Result<(), FetchError> {
        Ok(self.access.session.store.scratch().discard(&self.folder)?)
    }

    /// Runs git in the repository; what it printed.
    ///
    /// # Errors
    /// When it fails, or the build is stopped.
    pub(super) fn ask(&self, action: &str, arguments: &[&str]) -> Result<String, FetchError> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        self.surround(&mut command);
        kiln_sandbox::die_with_parent(&mut command);
        let mut child = command.spawn().map_err(not_started)?;
        let collected = collect(child.stdout.take())
            .and_then(|output| Ok((output, collect(child.stderr.take())?)));
        let (output, messages) = collected.map_err(|error| {
            kill(&mut child);
            FetchError::Thread(error)
        })?;
        let ended = self.watch(&mut child, action)?;
        let (output, messages) = (text(output), text(messages));
        match ended {
            Some(status) if status.success() => Ok(output),
            Some(_) => Err(self.failed(action, self.message(&messages))),
            None => Err(FetchError::GitTooSlow {
                action: action.to_owned(),
                url: redacted(&self.source.remote),
            }),
        }
    }

    fn failed(&self, action: &str, message: String) -> FetchError {
        FetchError::Git {
            action: action.to_owned(),
            url: redacted(&self.source.remote),
            message,
        }
    }

    /// Waits for git, and ends it and what it has started when the build is stopped, or when it takes too long: `None`.
    fn watch(&self, child: &mut Child, action: &str) -> Result<Option<ExitStatus>, FetchError> {
        let session = self.access.session;
        let patience = &session.remote.http.settings().patience;
        let lists = action == LIST;
        let limit = if lists { MAX_LIST_TIME } else { MAX_TIME };
        let mut notice = lists.then_some(patience.notice);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(not_started)? {
                return Ok(Some(status));
            }
            let is_stopped = session.cancel.requested();
            if is_stopped || begun.elapsed() > limit {
                kill(child);
                return match is_stopped {
                    true => Err(FetchError::Cancelled),
                    false => Ok(None),
                };
            }
            if notice.is_some_and(|notice| begun.elapsed() > notice) {
                notice = None;
                self.tell_waiting();
            }
            std::thread::sleep(TICK);
        }
    }

    fn tell_waiting(&self) {
        self.access.session.events.send(EventKind::Waiting {
            host: redacted(&self.source.remote),
            what: "its branches and tags".to_owned(),
        });
    }

    fn surround(&self, command: &mut Command) {
        let host = &self.access.session.host;
        let home = self.folder.join("home");
        command
            .env("PATH", &host.search_path)
            .env("HOME", &home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", home.join("gitconfig"))
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", &self.folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git")
            .env("GIT_SSH_COMMAND", ssh::COMMAND)
            .env("GIT_SSH_VARIANT", "ssh");
        if self.agent.is_some() {
            command.env("SSH_AUTH_SOCK", ssh::AGENT);
        }
        command.envs(host.network.iter().map(|(name, value)| (name, value)));
        let configuration = credentials::configuration(self.access, &self.source.remote);
        for (number, (key, value)) in configuration.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
            command.env("GIT_CONFIG_COUNT", (number + 1).to_string());
        }
    }

    /// The end of what git said, on one line, without its own folder and without credentials.
    fn message(&self, messages: &str) -> String {
        let lines: Vec<&str> = messages
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let said = lines[lines.len().saturating_sub(4)..].join("; ");
        let shown = said
            .replace(&self.source.remote, &redacted(&self.source.remote))
            .replace(&*self.folder.to_string_lossy(), "");
        let end: String = redact::credentials(&shown)
            .chars()
            .take(MAX_MESSAGE)
            .collect();
        if end.is_empty() {
            "it said nothing".to_owned()
        } else {
            end
        }
    }
}

/// `[remote "origin"]` with an address.
pub(super) fn remote(address: &str) -> String {
    let quoted = address.replace('\\', "\\\\").replace('"', "\\\"");
    format!("[remote \"origin\"]\n\turl = \"{quoted}\"\n")
}

fn find(search_path: &str) -> Result<PathBuf, FetchError> {
    std::env::split_paths(search_path)
        .map(|folder| folder.join("git"))
        .find(|program| program.is_file())
        .ok_or_else(|| FetchError::NoGit(format!("there is no git in {search_path}")))
}

fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn not_started(source: std::io::Error) -> FetchError {
    FetchError::Start {
        program: "git",
        source,
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> std::io::Result<JoinHandle<Vec<u8>>> {
    std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What is cut off or unreadable is missing from a message, or from a list that is then found to be wrong.
            let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        bytes
    })
}

fn text(collector: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&collector.join().unwrap_or_default()).into_owned()
}

pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> FetchError {
    let path = path.to_owned();
    FetchError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_one_value() {
        assert_eq!(
            remote("https://h/a\"b.git"),
            "[remote \"origin\"]\n\turl = \"https://h/a\\\"b.git\"\n"
        );
    }
}
