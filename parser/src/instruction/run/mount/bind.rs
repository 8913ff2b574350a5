//! `type=bind`: a file or folder of another file system, for the time of the process.

use super::{FROM, Key, MountType, RELABEL, SOURCE, TARGET, key};
use crate::graph::RunMount;
use crate::path;

pub(super) const TYPE: MountType = MountType {
    name: "bind",
    doc: "Shows a file or folder of the build context, of a stage, an image or a named context. It is the \
        default type. What is written to it with `rw` is thrown away.",
    keys: &KEYS,
    read_only: true,
    needs_target: true,
    check: |_| Ok(()),
    resolve: |spec, fields, target, stage| {
        let from = spec.from(&fields, stage)?;
        Ok(RunMount::Bind {
            from: from.unwrap_or_else(|| stage.context(spec.flag.span)),
            source: path::clean(&format!("/{}", fields.source)),
            target,
            rw: !fields.read_only,
        })
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
