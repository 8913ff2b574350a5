//! Connects the network of one command: a process outside the command's namespaces that starts a network stack of the host in namespaces of
//! its own, and ends with the supervisor. Unaware of what the command is, and of how packets travel.
//!
//! The process is the first of a PID namespace. Whatever the stack starts, and whoever it becomes (pasta leaves for the background), ends
//! with it, and it ends when the supervisor does: the kernel sees to both.
//!
//! Where no stack can, ports are forwarded by the process itself ([`forward`]).

mod forward;
mod free;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal, set_parent_process_death_signal};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::sys::{self, Fork};
use crate::{Network, NetworkProgram, NetworkStack, Port, RunSpec, SpawnError};

/// Where a stack finds the command's network. It drops rights before it looks, so it may not follow `/proc/PID/ns/net`; a mount it may. The
/// file is one that every Linux has and no stack reads, and it is covered for the stack only.
const PLACE: &str = "/proc/version";

/// What the command's side waits at until its network is connected: a pipe. Each side drops the other's end.
#[derive(Debug)]
pub struct Gate {
    programs: Vec<NetworkProgram>,
    ports: Vec<Port>,
    wait: OwnedFd,
    open: OwnedFd,
}

impl Gate {
    /// None for a command whose network needs no program.
    pub fn before(spec: &RunSpec) -> io::Result<Option<Self>> {
        let Network::Private(programs) = &spec.network else {
            return Ok(None);
        };
        let (wait, open) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Some(Self {
            programs: programs.clone(),
            ports: spec.ports.clone(),
            wait,
            open,
        }))
    }

    /// The command's side: waits until the network is connected.
    pub fn pass(self) -> io::Result<()> {
        drop(self.open);
        File::from(self.wait).read_exact(&mut [0])
    }

    /// The supervisor's side: connects the network of the process `command` with the first program that can, and lets it pass; with what is
    /// to be said of that. Returns too when the caller's end of `caller` closes.
    pub fn connect(
        self,
        command: libc::pid_t,
        caller: &OwnedFd,
    ) -> Result<(Connection, Option<String>), SpawnError> {
        let connected = Connection::make((&self.programs, &self.ports), command, caller)?;
        // a side that has failed meanwhile says so in its report
        let _ = File::from(self.open).write_all(&[0]);
        Ok(connected)
    }
}

/// A connected network; dropping it ends the stack.
#[derive(Debug)]
pub struct Connection {
    pid: libc::pid_t,
    process: OwnedFd,
}

impl Connection {
    fn make(
        (programs, ports): (&[NetworkProgram], &[Port]),
        command: libc::pid_t,
        caller: &OwnedFd,
    ) -> Result<(Self, Option<String>), SpawnError> {
        free::check(ports)?;
        let mut refused = Vec::new();
        for way in ways(programs, ports) {
            let started = start((way, ports), command);
            let (connection, answer) = started.map_err(SpawnError::of("start the network"))?;
            let said = said(answer, caller).map_err(SpawnError::of("wait for the network"))?;
            match (said == READY, way) {
                (true, Way::Program(_)) => return Ok((connection, None)),
                (true, Way::Forward) => return Ok((connection, Some(told(&refused)))),
                (false, _) => refused.push(format!("{way}: {said}")),
            }
        }
        refused.extend(no_device());
        Err(SpawnError::Network(refused.join("; ")))
    }
}

/// How a network can be connected.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    Program(&'a NetworkProgram),
    /// Ports alone.
    Forward,
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => program.stack.fmt(f),
            Self::Forward => f.write_str("without any"),
        }
    }
}

/// All ways, the best first.
fn ways<'a>(programs: &'a [NetworkProgram], ports: &[Port]) -> impl Iterator<Item = Way<'a>> {
    let forward = (!ports.is_empty()).then_some(Way::Forward);
    programs.iter().map(Way::Program).chain(forward)
}

/// What is said where ports alone are connected.
fn told(refused: &[String]) -> String {
    let mut why = refused.to_vec();
    if why.is_empty() {
        why.push("neither pasta nor slirp4netns is installed".to_owned());
    }
    why.extend(no_device());
    let why = why.join("; ");
    format!("the container is reached at its ports, but reaches no network itself: {why}")
}

/// The device that every stack needs, if it cannot be used.
fn no_device() -> Option<String> {
    let opened = File::options().read(true).write(true).open(TUN);
    opened.err().map(|error| format!("{TUN}: {error}"))
}

const TUN: &str = "/dev/net/tun";

impl Drop for Connection {
    fn drop(&mut self) {
        // it may have ended by itself, and whatever is said of that, nobody can do anything about it
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        let _ = sys::wait(self.pid);
    }
}

/// What the process says when packets can travel; everything else is why they cannot.
const READY: &str = "ready";

fn start(stack: (Way<'_>, &[Port]), command: libc::pid_t) -> io::Result<(Connection, OwnedFd)> {
    let (answer, say) = pipe_with(PipeFlags::CLOEXEC)?;
    match sys::fork_into(libc::CLONE_NEWPID | libc::CLONE_NEWNS)? {
        Fork::Child => serve(stack, command, say),
        Fork::Parent(pid, process) => Ok((Connection { pid, process }, answer)),
    }
}

/// The answer; that the caller is gone is one too.
fn said(answer: OwnedFd, caller: &OwnedFd) -> io::Result<String> {
    let mut fds = [
        PollFd::new(&answer, PollFlags::IN),
        PollFd::new(caller, PollFlags::IN),
    ];
    poll(&mut fds, None)?;
    let [answered, _] = fds;
    if answered.revents().is_empty() {
        return Ok("the caller is gone".to_owned());
    }
    let mut text = String::new();
    File::from(answer).read_to_string(&mut text)?;
    Ok(text)
}

/// The whole life of the process.
fn serve(stack: (Way<'_>, &[Port]), command: libc::pid_t, say: OwnedFd) -> ! {
    let stack = connect(stack, command, &say);
    let text = match &stack {
        Ok(_) => READY.to_owned(),
        Err(error) => error.to_string(),
    };
    // a supervisor that ended before its death could be signalled does not hear this
    let told = File::from(say).write_all(text.as_bytes());
    while stack.is_ok() && told.is_ok() {
        std::thread::park();
    }
    sys::exit_now(0)
}

/// Starts the stack and returns when it is ready.
fn connect(
    (way, ports): (Way<'_>, &[Port]),
    command: libc::pid_t,
    say: &OwnedFd,
) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    drop(null);
    // the caller must see its socket end, and the command's pipes must end with the command
    sys::close_all_but([0, 1, 2, say.as_raw_fd()]);
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    mount_bind(format!("/proc/{command}/ns/net"), PLACE)?;
    match way {
        Way::Forward => forward::forward(Path::new(PLACE), ports),
        Way::Program(program) => match program.stack {
            NetworkStack::Pasta => pasta(&program.path, ports),
            NetworkStack::Slirp4netns => slirp4netns(&program.path, ports),
        },
    }
}

/// It goes to the background when it is ready. As root it would become nobody, who may not enter the network.
fn pasta(path: &Path, ports: &[Port]) -> io::Result<()> {
    let mut command = Command::new(path);
    command.args(["--quiet", "--runas", "0", "--config-net", "--netns", PLACE]);
    command.args(["--dns-forward", NetworkStack::RESOLVER]);
    // neither the host's services on loopback in the network, nor the network's on the host but for the ports
    command.args(["--no-map-gw", "-T", "none", "-U", "none"]);
    for (flag, is_udp) in [("-t", false), ("-u", true)] {
        let asked = ports.iter().filter(|port| port.is_udp == is_udp);
        let asked = asked.filter(|port| !is_had_by_pasta(port, ports));
        let mut asked: Vec<String> = asked.map(asked_of_pasta).collect();
        if asked.is_empty() {
            asked.push("none".to_owned());
        }
        for text in asked {
            command.args([flag, &text]);
        }
    }
    let complaints = quiet(&mut command)?;
    let status = command.status()?;
    judge(status, complaints)
}

/// Whether pasta has it with another one: without an address, a port is that of both families, and nobody may ask it for a port twice.
fn is_had_by_pasta(port: &Port, ports: &[Port]) -> bool {
    let of_both = Port {
        address: None,
        ..*port
    };
    port.address == Some(Ipv6Addr::UNSPECIFIED.into()) && ports.contains(&of_both)
}

/// `ADDRESS/PORT:PORT`.
fn asked_of_pasta(port: &Port) -> String {
    let address = port.address.map(|address| format!("{address}/"));
    let address = address.unwrap_or_default();
    format!("{address}{}:{}", port.host, port.inside)
}

/// It writes a byte when it is ready, and stays.
fn slirp4netns(path: &Path, ports: &[Port]) -> io::Result<()> {
    let (ready, say) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = Command::new(path);
    command.args(["--configure", "--mtu=65520", "--disable-host-loopback"]);
    command.args(["--enable-sandbox", "--enable-seccomp", "--ready-fd=0"]);
    if !ports.is_empty() {
        // only this process and the program see it
        mount("tmpfs", ASKS, "tmpfs", MountFlags::empty(), None)?;
        command.arg(format!("--api-socket={ASKS}/slirp4netns"));
    }
    command.args(["--netns-type=path", PLACE, "tap0"]);
    let complaints = quiet(&mut command)?;
    let mut child = command.stdin(say).spawn()?;
    drop(command);
    if File::from(ready).read(&mut [0])? != 1 {
        return judge(child.wait()?, complaints);
    }
    ports.iter().try_for_each(ask_slirp4netns)
}

/// The folder in which slirp4netns can be asked for ports.
const ASKS: &str = "/tmp";

fn ask_slirp4netns(port: &Port) -> io::Result<()> {
    let all = IpAddr::from([0, 0, 0, 0]);
    let question = serde_json::json!({"execute": "add_hostfwd", "arguments": {
        "proto": port.protocol(),
        "host_addr": port.address.unwrap_or(all).to_string(),
        "host_port": port.host,
        "guest_port": port.inside,
    }});
    let mut socket = UnixStream::connect(format!("{ASKS}/slirp4netns"))?;
    socket.write_all(question.to_string().as_bytes())?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    match answer.contains("\"error\"") {
        true => Err(io::Error::other(format!(
            "port {}: {}",
            port.host,
            answer.trim()
        ))),
        false => Ok(()),
    }
}

/// Gives a program no input, no variables and a file for what it complains about.
fn quiet(command: &mut Command) -> io::Result<File> {
    let complaints = File::from(memfd_create("kiln-network", MemfdFlags::CLOEXEC)?);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.stderr(complaints.try_clone()?);
    Ok(complaints)
}

/// The last complaint of a program that has failed.
fn judge(status: ExitStatus, mut complaints: File) -> io::Result<()> {
    if status.success() {
        return Ok(());
    }
    let mut text = Vec::new();
    complaints.rewind()?;
    complaints.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let said = last.map_or_else(|| status.to_string(), |line| line.trim().to_owned());
    Err(io::Error::other(said))
}
