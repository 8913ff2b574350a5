//! Are containers what kiln has written, and what can be mended of one that is not? What somebody kept is never lost by it: a folder goes only
//! if nothing is in it. Unaware of everything else in the store.

use super::record::{Draft, RECORD, Record, bytes};
use crate::failure::KeptError;
use crate::request::RunOptions;
use crate::tryout::container::Container;
use kiln_cache::{HeldContainer, Store};
use kiln_oci::{Digest, ImageConfig, Platform, RuntimeConfig};
use kiln_parser::graph::Network;
use kiln_sandbox::TerminalSize;
use std::path::{Path, PathBuf};

const SIGTERM: i32 = 15;
const TERMINAL: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// Something that is wrong with a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its ID.
    pub id: String,
    /// What is wrong.
    pub what: What,
    /// Whether it is mended.
    pub is_mended: bool,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// What it is cannot be read. Mended, it is a shell without a name on the layers that it stands on.
    Record,
    /// Another kiln has written what it is, which knows more. It stays as it is.
    Foreign,
    /// What it stands on cannot be read. Mended, it is what it stood on when it was made.
    Layers,
    /// Neither. Only one that has changed nothing can be mended: it goes.
    Both {
        /// Where what it has changed is.
        changes: PathBuf,
    },
    /// A layer is lost that it stands on, and cannot be fetched.
    Lost(Digest),
}

/// Looks at all containers that do not run, and mends what can be.
///
/// # Errors
/// The store cannot be read or written.
pub fn check(store: &Store, repairs: bool) -> Result<Vec<Flaw>, KeptError> {
    let containers = store.containers();
    let mut flaws = Vec::new();
    for id in containers.ids()? {
        // whoever runs one has read it already, and one that is gone by now is no container
        if let Ok(Some(held)) = containers.hold(&id) {
            let of = Held { store, id: &id };
            flaws.extend(of.check(held, repairs)?);
        }
    }
    Ok(flaws)
}

/// What can be read of a container.
enum Found {
    /// All, and it stands on these layers.
    Whole(Vec<Digest>),
    /// What it is, but not for this kiln.
    Foreign,
    /// What it is, with the layers that it was made on.
    NoLayers(Vec<Digest>),
    /// The layers.
    NoRecord(Vec<Digest>),
    /// Nothing; where what it has changed is.
    Nothing(PathBuf),
}

/// A container that nobody else has.
struct Held<'a> {
    store: &'a Store,
    id: &'a str,
}

impl Held<'_> {
    fn check(&self, lock: HeldContainer, repairs: bool) -> Result<Vec<Flaw>, KeptError> {
        let found = self.found();
        let is_mended = repairs && self.is_mended(&found, lock)?;
        let flaw = |what| Flaw {
            id: self.id.to_owned(),
            what,
            is_mended,
        };
        Ok(match found {
            Found::Whole(layers) => {
                let lost = self.store.containers().lost_layers(&layers)?.into_iter();
                lost.map(|layer| flaw(What::Lost(layer))).collect()
            }
            Found::Foreign => vec![flaw(What::Foreign)],
            Found::NoLayers(_) => vec![flaw(What::Layers)],
            Found::NoRecord(_) => vec![flaw(What::Record)],
            Found::Nothing(changes) => vec![flaw(What::Both { changes })],
        })
    }

    fn found(&self) -> Found {
        let containers = self.store.containers();
        let record = Record::read_alone(self.store, self.id);
        match (record, containers.layers(self.id)) {
            (Ok(Some(record)), Ok(layers))
                if layers.starts_with(&record.draft.container.layers) =>
            {
                Found::Whole(layers)
            }
            (Ok(Some(record)), _) => Found::NoLayers(record.draft.container.layers),
            _ if Record::is_of_another_kiln(self.store, self.id) => Found::Foreign,
            (_, Ok(layers)) => Found::NoRecord(layers),
            (_, Err(_)) => Found::Nothing(containers.path(self.id).join("upper")),
        }
    }

    fn is_mended(&self, found: &Found, lock: HeldContainer) -> Result<bool, KeptError> {
        let containers = self.store.containers();
        match found {
            Found::Whole(_) | Found::Foreign => return Ok(false),
            Found::NoLayers(layers) => containers.stand_on(self.id, layers)?,
            Found::NoRecord(layers) => self.record(layers)?,
            Found::Nothing(changes) if holds_anything(changes) => return Ok(false),
            Found::Nothing(_) => containers.remove(self.id, lock)?,
        }
        Ok(true)
    }

    /// Writes a record; one that cannot be read stays beside it.
    fn record(&self, layers: &[Digest]) -> Result<(), KeptError> {
        let containers = self.store.containers();
        let old = containers.path(self.id).join(RECORD);
        // it may be no file, or not be there
        let _ = std::fs::rename(&old, old.with_extension("damaged"));
        let record = bytes(&Record::new(self.id, shell(layers)));
        Ok(containers.write(self.id, RECORD, &record)?)
    }
}

/// Whether there is anything in a folder, or nobody can tell.
fn holds_anything(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// A shell on layers of which nothing else is known.
fn shell(layers: &[Digest]) -> Draft {
    let base = base(layers);
    let argv = vec!["/bin/sh".to_owned()];
    Draft {
        name: None,
        image: "unknown".to_owned(),
        image_id: Digest::of(&base.to_bytes()),
        base,
        config: RuntimeConfig {
            cmd: Some(argv.clone()),
            ..RuntimeConfig::default()
        },
        created_us: 0,
        stop_signal: SIGTERM,
        is_interactive: true,
        is_temporary: false,
        is_run_at_once: false,
        container: container(layers.to_vec(), argv),
    }
}

fn base(layers: &[Digest]) -> ImageConfig {
    let host = Platform::host();
    let mut base = ImageConfig {
        architecture: host.architecture,
        os: host.os,
        ..ImageConfig::default()
    };
    base.rootfs.diff_ids = layers.to_vec();
    base
}

fn container(layers: Vec<Digest>, argv: Vec<String>) -> Container {
    Container {
        layers,
        argv,
        env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        hostname: None,
        network: Network::Default,
        ports: Vec::new(),
        options: RunOptions::default(),
        tmpfs: Vec::new(),
        is_read_only: false,
        has_init: false,
        terminal: Some(TERMINAL),
    }
}
