//! Starts the binary and keeps what it said and how it ended. A process that hangs is killed and fails its case. Unaware
//! of what the commands mean.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::binary::program;
use super::users::Account;

/// No command of the tests takes nearly as long; whatever does, hangs.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// A command line in the making.
#[derive(Debug)]
pub struct Kiln {
    command: Command,
    account: Option<Account>,
    stdin: Vec<u8>,
}

impl Kiln {
    /// The binary, without arguments, with an environment that holds PATH and a short `KILN_RETRY_DELAY` only.
    pub fn new(account: Option<&Account>) -> Self {
        Kiln::of(program(), account)
    }

    /// Another program, in the same surroundings.
    pub fn of(program: impl AsRef<OsStr>, account: Option<&Account>) -> Self {
        let mut command = Command::new(program);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // many cases name registries that are not there
        command.env("KILN_RETRY_DELAY", "5ms");
        if let Some(account) = account {
            account.apply(&mut command);
        }
        Kiln {
            command,
            account: account.cloned(),
            stdin: Vec::new(),
        }
    }

    /// The command underneath.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// One more variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The folder to start it in.
    pub fn current_dir(mut self, folder: &std::path::Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What standard input gives; else it is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The same command without folder and user, which small programs set first. With them, the standard library would fork, and copying
    /// the page tables of all the tests costs more than most commands do.
    fn light(&self) -> Command {
        let mut light = match &self.account {
            None => Command::new("/usr/bin/env"),
            Some(account) => account.launcher(),
        };
        if let Some(folder) = self.command.get_current_dir() {
            light.arg("-C").arg(folder);
        }
        light.arg(self.command.get_program());
        light.args(self.command.get_args());
        light.env_clear();
        for (name, value) in self.command.get_envs() {
            light.env(name, value.unwrap_or_default());
        }
        light
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let mut command = self.light();
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = self.stdin;
        // A command that ends early does not read it all.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Runs it; it has to succeed.
    #[track_caller]
    pub fn ok(self) -> Finished {
        self.exits(0)
    }

    /// Runs it; it has to succeed. What it wrote to standard output, byte for byte.
    #[track_caller]
    pub fn stdout(self) -> Vec<u8> {
        let running = self.spawn();
        let text = running.stdout.text.clone();
        let finished = running.wait();
        assert!(finished.status.success(), "{finished}");
        std::mem::take(&mut text.lock().unwrap())
    }

    /// Runs it; it has to end with this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Finished {
        let finished = self.run();
        assert_eq!(finished.status.code(), Some(code), "{finished}");
        finished
    }
}

type Text = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
struct Collector {
    text: Text,
    thread: JoinHandle<()>,
}

fn collect(stream: impl Read + Send + 'static) -> Collector {
    let text = Text::default();
    let shared = text.clone();
    let thread = std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            shared.lock().unwrap().append(&mut line);
        }
    });
    Collector { text, thread }
}

impl Collector {
    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn all(self) -> String {
        self.thread.join().unwrap();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Collector,
    stderr: Collector,
}

impl Running {
    /// The process.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends a signal to the binary's own process, as a terminal's user or `kill` would.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id()).unwrap();
        // It may have ended; its end is what the case looks at.
        let _ = kill_process(pid, signal);
    }

    /// Waits until standard error holds this text.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.stderr.so_far().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it ended before it said {text:?}: {}",
                self.stderr.so_far()
            );
            self.check_deadline(begun);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.check_deadline(begun);
            std::thread::sleep(Duration::from_millis(2));
        };
        Finished {
            status,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    #[track_caller]
    fn check_deadline(&mut self, begun: Instant) {
        if begun.elapsed() > DEADLINE {
            self.child.kill().unwrap();
            panic!("it hangs; standard error so far:\n{}", self.stderr.so_far());
        }
    }
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Finished {
    /// Asserts that standard error holds all of these.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not said\n{self}");
        }
        self
    }

    /// Asserts that standard error holds none of these.
    #[track_caller]
    pub fn never_says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.stderr.contains(text), "{text:?} is said\n{self}");
        }
        self
    }

    /// The output of a build's RUN steps, without the prefixes of plain progress.
    pub fn output(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(output_of).collect()
    }
}

/// What a step printed, if a line of plain progress tells that: `[stage 1/2] 0.05s | said`.
pub fn output_of(line: &str) -> Option<&str> {
    let (seconds, said) = line
        .strip_prefix('[')?
        .split_once("] ")?
        .1
        .split_once("s | ")?;
    seconds.parse::<f64>().is_ok().then_some(said)
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, signal) = (self.status.code(), self.status.signal());
        writeln!(f, "exit code {code:?}, signal {signal:?}")?;
        writeln!(
            f,
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}
