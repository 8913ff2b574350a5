//! `type=cache`: a directory that is kept between builds.

use super::fields::Fields;
use super::{Key, MountType, RELABEL, SOURCE, TARGET, key};
use crate::graph::{CacheMount, RunMount};
use crate::path;

pub(super) const TYPE: MountType = MountType {
    name: "cache",
    doc: "Mounts a directory that is kept between builds and never becomes part of the layer. Its content may \
        disappear between builds.",
    keys: &KEYS,
    read_only: false,
    needs_target: true,
    check: |_| Ok(()),
    resolve: |spec, fields, target, stage| {
        let from = spec.from(&fields, stage)?;
        // One that begins with other files looks like them, unless fields say otherwise.
        let said = |value: Option<u32>, usual| value.or(from.is_none().then_some(usual));
        Ok(RunMount::Cache(CacheMount {
            id: id(&fields, stage.scope.argument("BUILDKIT_CACHE_MOUNT_NS")),
            target,
            sharing: fields.sharing.unwrap_or_default(),
            from,
            source: path::clean(&format!("/{}", fields.source)),
            mode: said(fields.mode, 0o755),
            uid: said(fields.uid, 0),
            gid: said(fields.gid, 0),
            ro: fields.read_only,
        }))
    },
};

/// The id, in the namespace of the build.
fn id(fields: &Fields, namespace: Option<&str>) -> String {
    let id = match fields.id.as_str() {
        "" => path::clean(&fields.target),
        id => id.to_owned(),
    };
    match namespace {
        None | Some("") => id,
        Some(namespace) => format!("{namespace}/{id}"),
    }
}

const KEYS: [Key; 11] = [
    TARGET,
    key(&["id"], "its name, which all its users share; the target"),
    key(
        &["sharing"],
        "what several users at once do: `shared` share it, `private` get one each, `locked` wait; `shared`",
    ),
    key(&["from"], "the initial content of a new one; nothing"),
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
