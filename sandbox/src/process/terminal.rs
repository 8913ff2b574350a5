//! The terminal of a command: a pair of the run's own `/dev/pts`. One side becomes the command's standard streams and its controlling terminal,
//! so that Ctrl-C and Ctrl-Z reach its foreground group; the other side goes to the caller. And the terminal of a person, which gets
//! its modes back. Unaware of what is typed and shown.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, Uid, fchown, open, openat};
use rustix::io::Errno;
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stdin};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::process::wire::{self, GivenBack};
use crate::process::{Stdin, Stdio};
use crate::{SpawnError, TerminalSize};

/// Both sides.
#[derive(Debug)]
pub struct Terminal {
    /// For the caller.
    pub person: OwnedFd,
    program: OwnedFd,
}

impl Terminal {
    /// A new one of a `devpts`, which need not be attached yet.
    pub fn open(devpts: BorrowedFd<'_>, size: TerminalSize) -> Result<Self, SpawnError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let person = openat(devpts, "ptmx", flags, Mode::empty());
        let opened = person.and_then(|person| Self::of(person, size));
        opened.map_err(SpawnError::of("open a terminal"))
    }

    /// A new one of the `/dev/pts` of a root that this process has entered.
    pub fn inside(size: TerminalSize) -> Result<Self, SpawnError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let devpts = open("/dev/pts", flags, Mode::empty());
        let devpts = devpts.map_err(SpawnError::at("open", "/dev/pts"))?;
        Self::open(devpts.as_fd(), size)
    }

    /// One of this process's own `/dev/pts`, for a command that has none.
    pub fn outside(size: TerminalSize) -> Result<Self, SpawnError> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let opened = openpt(flags).and_then(|person| Self::of(person, size));
        opened.map_err(SpawnError::of("open a terminal"))
    }

    fn of(person: OwnedFd, size: TerminalSize) -> Result<Self, Errno> {
        unlockpt(&person)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let program = ioctl_tiocgptpeer(&person, flags)?;
        let size = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size)?;
        Ok(Self { person, program })
    }

    /// The program's side as the streams of a process of this user; with it the other side.
    pub fn streams(self, uid: u32) -> Result<(Stdio, OwnedFd), SpawnError> {
        let streams = || {
            fchown(&self.program, Some(Uid::from_raw(uid)), None)?;
            Ok::<_, io::Error>(Stdio {
                stdin: Stdin::Fd(self.program.try_clone()?),
                stdout: self.program.try_clone()?,
                stderr: self.program.try_clone()?,
            })
        };
        let streams = streams().map_err(SpawnError::of("give the terminal"))?;
        Ok((streams, self.person))
    }

    /// The program's side becomes this process's, which leads a session, and its user's.
    pub fn take(self, uid: u32) -> Result<(), SpawnError> {
        let take = || {
            fchown(&self.program, Some(Uid::from_raw(uid)), None)?;
            dup2_stdin(&self.program)?;
            dup2_stdout(&self.program)?;
            dup2_stderr(&self.program)
        };
        take().map_err(SpawnError::of("take the terminal"))?;
        control()
    }
}

/// Standard input becomes the controlling terminal of this process, which leads a session.
pub fn control() -> Result<(), SpawnError> {
    ioctl_tiocsctty(stdin()).map_err(SpawnError::of("ioctl(TIOCSCTTY)"))
}

/// The terminal of a person: dropping this gives it the modes back that it had.
#[derive(Debug)]
pub struct Borrowed {
    terminal: OwnedFd,
    modes: Termios,
}

impl Borrowed {
    /// Notes the modes. None for what is no terminal.
    pub fn note(terminal: OwnedFd) -> Option<Self> {
        let modes = tcgetattr(&terminal).ok()?;
        Some(Self { terminal, modes })
    }

    /// The command has ended: waits while the caller shows the rest of what it wrote, for which the modes matter, and puts them back. Not if
    /// the caller says that it has done so: whoever waits for that one may have changed them already.
    pub fn release(borrowed: Option<Self>, caller: &OwnedFd) {
        if borrowed.is_some()
            && let Ok(Some((GivenBack, _))) = wire::receive(caller)
        {
            std::mem::forget(borrowed);
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // it may be gone, and then there is nothing to give back
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}
