//! What runs a process on top of layers and keeps what it changed. Unaware of Dockerfiles, keys and records.
//!
//! A runner makes the root file system itself, so that it can be one that no mount of this machine gives: a tree that is copied, one
//! that another process serves, one on another machine. Each way is a file in `runner/`: [`local`] and,
//! where there are no namespaces, [`supervised`].

pub mod attended;
pub mod console;
pub mod local;
pub mod supervised;

use crate::execute::live::Live;
use crate::execute::process::Process;
use crate::failure::StepError;
use attended::{Attendant, Attended, Keeps};
use console::Console;
use kiln_cache::{Isolation, Layer, Upper};
use kiln_oci::Digest;
use std::fmt::Debug;

/// The chain below a process.
pub struct Below<'a> {
    /// What is there now: a runner that mounts can stand on uppers whose layers are not written yet.
    pub live: &'a Live,
    /// Its layers, waited for until all are written: for a runner that needs them, because it copies or sends them.
    pub written: &'a (dyn Fn() -> Result<Vec<Digest>, StepError> + Sync),
}

impl<'a> Below<'a> {
    /// What is there now, and how to wait for its layers.
    pub fn new(
        live: &'a Live,
        written: &'a (dyn Fn() -> Result<Vec<Digest>, StepError> + Sync),
    ) -> Self {
        Below { live, written }
    }
}

/// What a process left.
#[derive(Debug)]
pub enum Changed {
    /// The upper of an overlay in the store. The next process can stand on it while its layer is written.
    Upper(Upper),
    /// A layer that is finished; none where nothing changed.
    Layer(Option<Layer>),
}

/// A way to run processes.
pub trait Runner: Debug + Sync {
    /// Whether it can run anything.
    fn check(&self) -> Result<(), StepError>;

    /// How far it keeps processes apart from the machine.
    fn isolation(&self) -> Isolation;

    /// Brings layers that a process will stand on for sure, and makes of them what can be made ahead.
    ///
    /// # Errors
    /// A layer does not come, or the disk is full.
    fn prepare(&self, layers: &[Digest]) -> Result<(), StepError>;

    /// So many processes may have to run, the first of them `surely`.
    fn expect(&self, _commands: usize, _surely: bool) {}

    /// Runs a process to its end. It may start it more than once, with a new console and none of the changes before.
    ///
    /// # Errors
    /// When it cannot be started, fails or is cancelled, or what it changed cannot be kept.
    fn run(
        &self,
        below: &Below<'_>,
        process: &Process,
        console: &Console<'_>,
    ) -> Result<Changed, StepError>;

    /// Runs a process that somebody attends to its end, whatever that is, and keeps of its changes what is to be kept.
    ///
    /// # Errors
    /// When it cannot be started, or what it changed cannot be kept.
    fn attend(
        &self,
        below: &Below<'_>,
        process: &Process,
        attended: (&dyn Attendant, Keeps<'_>),
    ) -> Result<Attended, StepError>;
}
