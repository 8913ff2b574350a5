//! `type=secret`: a secret as a file, an environment variable or both.

use super::fields::{Fields, Problem};
use super::{GID, ID, Key, MountType, REQUIRED, UID, key};
use crate::graph::{RunMount, SecretMount};
use crate::path;

pub(super) const TYPE: MountType = MountType {
    name: "secret",
    doc: "Mounts a secret that `--secret` gives. It is in no layer, and results do not depend on it. \
        Without the secret there is no file and the variable is empty; if it is required, the step fails.",
    keys: &KEYS,
    read_only: true,
    needs_target: false,
    check,
    resolve: |_, fields, target, _| Ok(resolve(fields, target)),
};

const KEYS: [Key; 7] = [
    ID,
    key(
        &["target", "dst", "destination"],
        "the file; `/run/secrets/` and the name, or no file if there is `env`",
    ),
    key(&["env"], "a variable that holds it; none"),
    REQUIRED,
    key(&["mode"], "mode of the file, octal; `0400`"),
    UID,
    GID,
];

fn check(fields: &Fields) -> Result<(), Problem> {
    let message = if !fields.from.is_empty() {
        "secret mount should not have a from"
    } else if fields.source.is_empty() && fields.target.is_empty() && fields.id.is_empty() {
        "invalid secret mount. one of source, target required"
    } else if !fields.source.is_empty() && !fields.id.is_empty() {
        "both source and id can't be set"
    } else {
        return Ok(());
    };
    Err(message.to_owned().into())
}

fn resolve(fields: Fields, target: String) -> RunMount {
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let id = fields.name().unwrap_or_else(|| base(&target));
    let target = match (&fields.env, fields.target.is_empty()) {
        (_, false) => Some(target),
        (Some(_), true) => None,
        (None, true) => Some(format!("/run/secrets/{}", base(&path::clean(&id)))),
    };
    RunMount::Secret(SecretMount {
        id,
        target,
        env: fields.env,
        required: fields.required,
        mode: fields.mode.unwrap_or(0o400),
        uid: fields.uid.unwrap_or(0),
        gid: fields.gid.unwrap_or(0),
    })
}
