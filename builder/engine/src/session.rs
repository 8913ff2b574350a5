//! What a build works with: the store, the stream of events, the token that stops it, and what the host is like. Fields and
//! accessors only; functions take the narrowest part of it.

use crate::event::cancel::Cancel;
use crate::event::findings::Findings;
use crate::event::{EventKind, Events};
use crate::host::agent::Agents;
use crate::host::changes::ChangesPlace;
use crate::host::clock::seconds;
use crate::host::isolation::IsolationChoice;
use crate::transfer::remote::Remote;
use kiln_cache::{Budget, Store};
use kiln_parser::diagnostic::Diagnostic;
use kiln_sandbox::{Ahead, Disabled, EnterError, IdMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What the engine cannot know by itself, because libraries never read the environment.
#[derive(Debug, Clone)]
pub struct Host {
    /// Content of `/etc/resolv.conf` for RUN.
    pub resolv_conf: String,
    /// `PATH`, to find the programs of `host-tools:`.
    pub search_path: String,
    /// The user's home folder: ssh's known hosts are there.
    pub home: Option<PathBuf>,
    /// Variables that say how the network is to be used (proxies, certificate authorities), for programs that use it.
    pub network: Vec<(String, String)>,
    /// Bytes of a step's output that are kept.
    pub log_limit: u64,
    /// The clock.
    pub now: fn() -> SystemTime,
}

impl Host {
    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        seconds((self.now)())
    }
}

/// What all builds of one process work with. The command line makes one ([`Host`] is what it knows of the machine) and gives it to
/// every function that builds; it is no login and no connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// Everything on disk.
    pub store: Store,
    /// Where events go.
    pub events: Events,
    /// What was found in the Dockerfile.
    pub findings: Arc<Findings>,
    /// What stops a build.
    pub cancel: Cancel,
    /// Which ids files can have.
    pub ids: IdMap,
    /// The mounts are those of a user namespace: overlays need `userxattr`.
    pub rootless: bool,
    /// Why there are no namespaces, where they are refused: RUN is supervised then, in a container, and everything else can be done.
    pub refused: Option<Arc<EnterError>>,
    /// In which isolation commands may run.
    pub isolation: IsolationChoice,
    /// Where the changes of RUN go.
    pub changes: ChangesPlace,
    /// The network must not be used.
    pub offline: bool,
    /// Features that are switched off.
    pub disabled: Disabled,
    /// A process for a command that was started already.
    pub ahead: Option<Arc<Ahead>>,
    /// SSH agents that were started.
    pub agents: Arc<Agents>,
    /// The way to registries.
    pub remote: Remote,
    /// The host.
    pub host: Host,
    /// What the store is cut back to where the disk becomes full.
    pub budget: Budget,
}

impl Session {
    /// Keeps what rules found, and tells it.
    pub(crate) fn found_by_rules(&self, warnings: Vec<Diagnostic>) {
        warnings.iter().for_each(|warning| self.tell(warning));
        self.findings.by_rules(warnings);
    }

    /// Keeps what a step found, and tells it.
    pub(crate) fn found_by_step(&self, warning: &Diagnostic) {
        if self.findings.by_step(warning) {
            self.tell(warning);
        }
    }

    fn tell(&self, found: &Diagnostic) {
        self.events.send(EventKind::Finding {
            rule: found.code,
            message: found.message.clone(),
            line: found.line,
        });
    }
}
