//! A process that somebody attends: its streams are the caller's, or it has a terminal of its own, whose other side is. Unaware of who
//! that is, and of what runs.

use kiln_cache::Layer;
use kiln_sandbox::{Exit, KillHandle, Lent, Stdio};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Who attends a process.
pub trait Attendant: Sync {
    /// The streams that it starts with. A process with a terminal changes them for that.
    ///
    /// # Errors
    /// There are none.
    fn streams(&self) -> io::Result<Stdio>;

    /// The terminal of a person whose modes are changed meanwhile. They are put back in any case, even if this process is killed.
    fn terminal(&self) -> Option<BorrowedFd<'_>>;

    /// What is weaker than it should be of a process that is about to run, for a person.
    fn note(&self, note: &str);

    /// It runs: how it is sent signals, and the other side of its terminal if it has one.
    ///
    /// # Errors
    /// It cannot be attended, and is killed.
    fn started(&self, process: KillHandle, terminal: Option<OwnedFd>) -> io::Result<()>;

    /// It has ended: returns when all that it wrote is where others look for it. Waits for no person, as others wait for what follows.
    fn ended(&self);

    /// All that its end asks for is done: returns when what it wrote is shown, and the modes of the person's terminal are put back. What it has
    /// left behind may hold its streams still.
    fn leave(&self);
}

/// What becomes of what a process changes.
#[derive(Debug, Clone, Copy)]
pub enum Keeps<'a> {
    /// It is thrown away.
    Nothing,
    /// It becomes a layer.
    Layer,
    /// It stays in the upper of a container with this ID; where there can be none, it becomes a layer.
    In(&'a str),
    /// It is in that upper meanwhile, so that others can make something of it, and goes with the container.
    Until(&'a str),
}

impl Keeps<'_> {
    /// Whether nobody has it when the process has ended.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing | Self::Until(_))
    }
}

/// How a process ended that was attended.
#[derive(Debug)]
pub struct Attended {
    /// Its end.
    pub exit: Exit,
    /// The terminal of the person.
    pub lent: Lent,
    /// What it changed, if that was to become a layer and is anything.
    pub layer: Option<Layer>,
}

impl Attended {
    /// Ends what was attended to, when all that the end of the process asks for is done.
    pub fn leave(self, attendant: &dyn Attendant) -> Exit {
        attendant.leave();
        self.lent.given_back();
        self.exit
    }
}
