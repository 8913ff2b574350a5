//! What the unit tests of steps share: a session with a store of its own, and operations by their text.

use crate::event::Events;
use crate::execute::step::Step;
use crate::host::changes::ChangesPlace;
use crate::session::{Host, Session};
use crate::transfer::remote::Remote;
use kiln_cache::{Budget, OpenOptions, Silent, Store};
use kiln_oci::{Digest, Platform};
use kiln_parser::graph::{Node, Op};
use kiln_parser::inputs::{Bases, Evaluation, Inputs};
use kiln_sandbox::{ChangesIn, Disabled, IdMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The time of the tests' clock.
pub const NOW: i64 = 1_700_000_000;

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

/// A session with an empty store, which is gone with the folder.
pub fn session() -> (TempDir, Session) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(OpenOptions {
        root: folder.path().join("store"),
        id_map_key: "test".to_owned(),
        rootless: false,
        single_id: false,
        boot_id: "boot".to_owned(),
        read_only: false,
        now: clock,
        waiter: Arc::new(Silent),
    });
    let host = Host {
        resolv_conf: String::new(),
        search_path: String::new(),
        home: None,
        network: Vec::new(),
        log_limit: 1 << 20,
        now: clock,
    };
    let session = Session {
        store: store.unwrap(),
        events: Events::ignored(),
        findings: Arc::default(),
        cancel: Default::default(),
        ids: IdMap::Root,
        rootless: false,
        refused: None,
        isolation: Default::default(),
        changes: ChangesPlace::new(ChangesIn::Store),
        offline: true,
        disabled: Disabled::default(),
        ahead: None,
        agents: Arc::default(),
        remote: Remote::offline(),
        host,
        budget: Budget::default(),
    };
    (folder, session)
}

/// The node of an instruction after `FROM scratch`, with a stage `other` beside it.
pub fn node(instruction: &str) -> Node {
    let text = format!("FROM scratch AS other\nFROM scratch\n{instruction}\n");
    let parsed = kiln_parser::parse(&text);
    let inputs = Inputs::new(Platform::new("linux", "amd64"));
    let evaluated = kiln_parser::evaluate(&parsed.dockerfile, &inputs, &Bases::default());
    match evaluated.unwrap() {
        Evaluation::Graph(graph) => graph.nodes.last().unwrap().clone(),
        Evaluation::Needs(images) => unreachable!("{images:?}"),
    }
}

/// The operation of an instruction.
pub fn op(instruction: &str) -> Op {
    node(instruction).op
}

/// A step with this definition that may use the cache.
pub fn step<'a>(session: &'a Session, node: &'a Node, definition: Digest) -> Step<'a> {
    Step {
        session,
        node,
        definition,
        derived: definition,
        epoch: None,
        ignores_cache: false,
        max_age: None,
        past: None,
    }
}
