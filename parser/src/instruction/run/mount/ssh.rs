//! `type=ssh`: the socket of an SSH agent.

use super::{GID, ID, Key, MountType, REQUIRED, UID, key};
use crate::graph::{RunMount, SshMount};

pub(super) const TYPE: MountType = MountType {
    name: "ssh",
    doc: "Mounts the socket of an SSH agent that `--ssh` gives; `SSH_AUTH_SOCK` points to it.",
    keys: &KEYS,
    read_only: true,
    needs_target: false,
    check: |_| Ok(()),
    resolve: |_, fields, target, _| {
        Ok(RunMount::Ssh(SshMount {
            id: fields.name().unwrap_or_else(|| "default".to_owned()),
            target: (!fields.target.is_empty()).then_some(target),
            required: fields.required,
            mode: fields.mode.unwrap_or(0o600),
            uid: fields.uid.unwrap_or(0),
            gid: fields.gid.unwrap_or(0),
        }))
    },
};

const KEYS: [Key; 6] = [
    ID,
    key(
        &["target", "dst", "destination"],
        "the socket; `/run/buildkit/ssh_agent.N`",
    ),
    REQUIRED,
    key(&["mode"], "mode of the socket, octal; `0600`"),
    UID,
    GID,
];
