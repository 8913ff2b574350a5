//! `type=cache`: a directory that is kept between builds.

use super::{Key, MountType, RELABEL, SOURCE, TARGET, key};
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
        let from = spec.from(&fields, stage)?;
        // What begins with other files looks as they do, where nothing is said.
        let said = |value: Option<u32>, usual| value.or(from.is_none().then_some(usual));
        Ok(RunMount::Cache {
            id: stage.world.cache_id(&fields),
            target,
            sharing: fields.sharing.unwrap_or_default(),
            from,
            source: path::clean(&format!("/{}", fields.source)),
            mode: said(fields.mode, 0o755),
            uid: said(fields.uid, 0),
            gid: said(fields.gid, 0),
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
    key(
        &["mode"],
        "mode of a new one, octal; `0755`, or that of `source`",
    ),
    key(&["uid"], "owner; 0, or that of `source`"),
    key(&["gid"], "group; 0, or that of `source`"),
    key(&["ro", "readonly"], "read-only; `false`"),
    key(&["rw", "readwrite"], "writable; `true`"),
    RELABEL,
];
