//! `type=cache`: a directory that is kept between builds.

use super::{GID, Key, MountType, RELABEL, SOURCE, TARGET, UID, key};
use crate::graph::RunMount;
use crate::path;

pub(super) const TYPE: MountType = MountType {
    name: "cache",
    doc: "Shows a directory that is kept between builds and never enters the layer. Its content may be gone \
        at any time.",
    keys: &KEYS,
    read_only: false,
    needs_target: true,
    check: |_| Ok(()),
    resolve: |spec, fields, target, stage| {
        Ok(RunMount::Cache {
            id: stage.world.cache_id(&fields),
            target,
            sharing: fields.sharing.unwrap_or_default(),
            from: spec.from(&fields, stage)?,
            source: path::clean(&format!("/{}", fields.source)),
            mode: fields.mode.unwrap_or(0o755),
            uid: fields.uid.unwrap_or(0),
            gid: fields.gid.unwrap_or(0),
            ro: fields.read_only,
        })
    },
};

const KEYS: [Key; 11] = [
    TARGET,
    key(&["id"], "its name: those of one name are one; the target"),
    key(
        &["sharing"],
        "several at once: `shared` use it together, `private` have their own, `locked` wait; `shared`",
    ),
    key(&["from"], "what a new one begins with; nothing"),
    SOURCE,
    key(&["mode"], "mode of a new one, octal; `0755`"),
    UID,
    GID,
    key(&["ro", "readonly"], "read-only; `false`"),
    key(&["rw", "readwrite"], "writable; `true`"),
    RELABEL,
];
