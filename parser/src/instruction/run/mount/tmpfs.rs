//! `type=tmpfs`: an empty file system in memory.

use super::{Key, MountType, TARGET, key};
use crate::graph::RunMount;

pub(super) const TYPE: MountType = MountType {
    name: "tmpfs",
    doc: "Mounts an empty file system in memory, which is discarded.",
    keys: &KEYS,
    read_only: false,
    needs_target: true,
    check: |_| Ok(()),
    resolve: |_, fields, target, _| {
        Ok(RunMount::Tmpfs {
            target,
            size: fields.size,
        })
    },
};

const KEYS: [Key; 2] = [
    TARGET,
    key(
        &["size"],
        "its size, such as `64m`; as much as the machine allows",
    ),
];
