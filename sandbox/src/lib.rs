//! Everything Linux: namespaces, mounts, overlay, and one process in a root filesystem.
//!
//! The order in which a program uses it:
//!
//! 1. [`main_if_reexecuted`] first thing in `main`, because [`run`] and [`probe`] start the program's own binary again;
//! 2. [`enter`] once, before the first thread: afterwards the process is root of its own mounts, for real or in a user namespace;
//! 3. [`mount_overlay`] for a root file system, [`run`] for a process in it, as often and from as many threads as wanted.
//!
//! Nothing that was started or mounted outlives the process, however it ends: mounts are detached file descriptors,
//! and every process of a run lives in a PID namespace whose first process dies with us.
//!
//! Linux 5.12 or newer (`mount_setattr`), x86_64 or aarch64.
//!
//! The crate is unaware of images, layers, Dockerfiles and the cache. It reads no environment variable, prints nothing
//! (but what a failed exec says on the command's own stderr) and decides no policy: callers say what to mount and run.

mod cgroup;
mod changes;
mod detached;
mod disabled;
mod enter;
mod error;
mod examine;
mod exec;
mod facts;
mod files;
mod helper;
mod hint;
mod host_program;
mod identity;
mod idmap;
mod init;
mod limits;
mod memory;
mod mount2;
mod mounts;
mod overlay;
mod path;
mod probe;
mod program;
mod reexec;
mod rootfs;
mod run;
mod seccomp;
mod spec;
mod streams;
mod stubs;
mod subid;
mod supervisor;
mod sys;
mod tether;
mod trial;
mod wire;
mod workdir;

pub use cgroup::{Cgroup, Found, Refused, check_limits, find_cgroup};
pub use changes::{ChangesIn, best_place, is_on_overlay};
pub use disabled::{Disabled, Feature, UnknownFeature};
pub use enter::{EnterOptions, Entered, enter};
pub use error::{EnterError, LimitError, MountError, SpawnError};
pub use host_program::host_program;
pub use identity::is_limit;
pub use idmap::{IdMap, IdRange};
pub use limits::{Limits, Swap, numbers};
pub use memory::{MemoryFolder, MemoryGauge, memory_for_changes};
pub use overlay::{MAX_LOWERS, OverlaySpec, RootMount, mount_folder, mount_overlay};
pub use path::open_in_root;
pub use probe::{Check, Status, probe};
pub use reexec::main_if_reexecuted;
pub use run::{Exit, Extra, KillHandle, Running, Stdin, Stdio, run};
pub use spec::{Mount, MountKind, Network, RunSpec};
pub use streams::stdout_was_closed;
pub use tether::die_with_parent;
