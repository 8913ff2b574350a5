//! Everything Linux: namespaces, mounts, overlay, and one process in a root file system.
//!
//! A program uses it in this order:
//!
//! 1. [`main_if_reexecuted`] first thing in `main`, because [`run`] and [`probe`] start the program's own binary again;
//! 2. [`enter`] once, before the first thread: afterwards the process is root of its own mounts, for real or in a user namespace;
//! 3. [`mount_overlay`] for a root file system, [`run`] for a process in it, as often and from as many threads as needed.
//!
//! ```no_run
//! use kiln_sandbox::{
//!     Disabled, EnterOptions, Extra, OverlaySpec, RunSpec, Stdin, Stdio, enter, mount_overlay, run,
//! };
//! use std::{fs::File, path::Path, process::ExitCode};
//!
//! fn main() -> ExitCode {
//!     if let Some(code) = kiln_sandbox::main_if_reexecuted() {
//!         return code;
//!     }
//!     hello().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
//! }
//!
//! fn hello() -> Result<(), Box<dyn std::error::Error>> {
//!     let entered = enter(EnterOptions::default())?;
//!     let spec = OverlaySpec {
//!         lowers: &["/images/alpine".into()],
//!         upper: Some((Path::new("/tmp/upper"), Path::new("/tmp/work"))),
//!         rootless: entered.rootless,
//!         keeps: false,
//!     };
//!     let root = mount_overlay(&spec, Disabled::default())?;
//!     let command = RunSpec {
//!         argv: vec!["echo".to_owned(), "hello".to_owned()],
//!         ..RunSpec::default()
//!     };
//!     let output = File::create("/tmp/output")?;
//!     let stdio = Stdio {
//!         stdin: Stdin::Null,
//!         stderr: output.try_clone()?.into(),
//!         stdout: output.into(),
//!     };
//!     let exit = run(&root, &command, stdio, Extra::default())?.wait()?;
//!     assert_eq!(exit.code, Some(0));
//!     Ok(())
//! }
//! ```
//!
//! Nothing that was started or mounted outlives the process, however it ends: mounts are detached file descriptors,
//! and every process of a run lives in a PID namespace whose first process dies with the caller.
//!
//! Linux 5.12 or newer (`mount_setattr`), x86_64 or aarch64.
//!
//! The crate is unaware of images, layers, Dockerfiles and the cache. It reads no environment variable, prints nothing
//! (except what a failed exec says on the command's own stderr) and decides no policy: callers say what to mount and run.
//!
//! # Rooms
//!
//! From the lowest: `error`, `disabled`, `container`, `sys` and `path` (system calls), `enter`, `cgroup`, `spec` (what to run), `seccomp`, `root`
//! (everything that is mounted), `process` (everything that runs), `doctor` (what works here), `reexec`. A room uses only those before it.
//!
//! # Without namespaces
//!
//! Where namespaces are refused, as by docker's default profile, [`plain_folder`] gives a root to which nothing is mounted, and [`run`] starts the
//! command in a chroot whose calls are answered (`process/supervised.rs`). [`try_supervised`] says whether that works here.

mod cgroup;
mod container;
mod disabled;
mod doctor;
mod enter;
mod error;
mod path;
mod process;
mod reexec;
mod root;
mod seccomp;
mod spec;
mod sys;

pub use cgroup::{Cgroup, Found, Limits, Refused, Swap, find_cgroup, numbers};
pub use container::is_in_container;
pub use disabled::{Disabled, Feature, UnknownFeature};
pub use doctor::limits::check_limits;
pub use doctor::{Check, Status, probe};
pub use enter::idmap::{IdMap, IdRange};
pub use enter::{EnterOptions, Entered, enter};
pub use error::{EnterError, LimitError, MountError, SpawnError};
pub use process::again::{again_about, start_again};
pub use process::host_program::{die_with_parent, host_program};
pub use process::join::{join, root_of};
pub use process::packets;
pub use process::rights::is_limit;
pub use process::starting::Ahead;
pub use process::streams::stdout_was_closed;
pub use process::supervised::trial::try_supervised;
pub use process::{Extra, KillHandle, Lent, Running, Stdin, Stdio, run};
pub use reexec::main_if_reexecuted;
pub use root::changes::{ChangesIn, best_place, is_on_overlay};
pub use root::memory::{MemoryFolder, MemoryGauge, memory_for_changes};
pub use root::overlay::{MAX_LOWERS, OverlaySpec, mount_overlay};
pub use root::{RootMount, mount_folder, plain_folder};
pub use spec::network::{Network, NetworkProgram, NetworkStack, Port};
pub use spec::{Exit, Mount, MountKind, RunSpec, TerminalSize, Used};
