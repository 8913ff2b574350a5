//! `type=bind`: a file or folder of another file system, while the process runs.

use super::{FROM, Key, MountType, RELABEL, SOURCE, TARGET, key};
use crate::graph::{BindMount, RunMount};
use crate::path;

pub(super) const TYPE: MountType = MountType {
    name: "bind",
    doc: "Mounts a file or folder of the build context, a stage, an image or a named context. It is the \
        default type. Changes made with `rw` are discarded.",
    keys: &KEYS,
    read_only: true,
    needs_target: true,
    check: |_| Ok(()),
    resolve: |spec, fields, target, stage| {
        let from = spec.from(&fields, stage)?;
        Ok(RunMount::Bind(BindMount {
            from: from.unwrap_or_else(|| stage.context(spec.flag.span)),
            source: path::clean(&format!("/{}", fields.source)),
            target,
            rw: !fields.read_only,
        }))
    },
};

const KEYS: [Key; 6] = [
    TARGET,
    FROM,
    SOURCE,
    key(&["rw", "readwrite"], "writable; `false`"),
    key(&["ro", "readonly"], "read-only; `true`"),
    RELABEL,
];
