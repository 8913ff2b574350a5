//! kiln with an output that nobody reads, or that is a terminal. Unaware of what kiln does.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Long enough for a busy machine, and much shorter than what would never end.
const PROMPT: Duration = Duration::from_secs(20);

/// A process that is killed when its case ends.
#[derive(Debug)]
pub struct Unread(Child);

impl Unread {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Unread::start_with(command.stdin(Stdio::null()))
    }

    /// The same with the standard input that it has.
    pub fn start_with(command: &mut Command) -> Self {
        Unread(command.spawn().unwrap())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether it goes on.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Its exit code, which must come soon.
    #[track_caller]
    pub fn ends(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PROMPT, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The most memory that it has had, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
        number.unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe that takes nothing more: its reader, and the end to write to.
pub fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'.'; 4096]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

/// A terminal of 80 columns: the side of who looks at it, and that of the program.
pub fn terminal() -> (OwnedFd, OwnedFd) {
    terminal_of(24, 80)
}

/// A terminal of any size.
pub fn terminal_of(rows: u16, columns: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let person = openpt(flags).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    resize(&program, rows, columns);
    (person, program)
}

/// Gives a terminal another size.
pub fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// All that a program writes to a terminal until it ends.
pub fn seen(command: &mut Command) -> (Option<i32>, String) {
    let (person, program) = terminal();
    let to_person = || Stdio::from(program.try_clone().unwrap());
    command.stdout(to_person()).stderr(to_person());
    let mut started = Unread::start(command);
    // what the command holds of it would keep it open
    command.stdout(Stdio::null()).stderr(Stdio::null());
    drop(program);
    let mut text = Vec::new();
    // a terminal that nobody writes to any more ends with an error
    let _ = std::fs::File::from(person).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
    (started.ends(), text)
}
