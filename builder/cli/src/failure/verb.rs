//! Says what to use instead of a verb that kiln lacks. A tip never removes anything. Unaware of the verbs that kiln has.

use super::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};

const RUNS: &str = "kiln builds images and runs none: hand one over with `kiln save NAME | docker load` (or podman load), or push it";
const NO_CONTAINERS: &str = "kiln keeps no containers; `kiln images` lists images";
const NO_DAEMON: &str = "kiln has no daemon; `kiln doctor` shows what it can do on this machine";
const NO_VOLUMES: &str =
    "kiln keeps no volumes and no networks; `kiln df` shows what is in the store";
const STEPS: &str = "kiln builds from Dockerfiles only: `kiln build`";

/// Verbs of docker, buildx, podman and buildah, and what does their work.
const ELSEWHERE: [(&[&str], &str); 12] = [
    (
        &[
            "run", "exec", "start", "create", "attach", "up", "compose", "play", "kube",
        ],
        RUNS,
    ),
    (
        &[
            "ps",
            "stop",
            "kill",
            "restart",
            "wait",
            "rm",
            "logs",
            "top",
            "stats",
            "port",
            "pause",
            "unpause",
            "rename",
            "container",
            "containers",
            "down",
        ],
        NO_CONTAINERS,
    ),
    (
        &[
            "events", "daemon", "context", "machine", "swarm", "service", "stack", "node", "plugin",
        ],
        NO_DAEMON,
    ),
    (&["volume", "network"], NO_VOLUMES),
    (
        &[
            "from", "commit", "copy", "add", "config", "mount", "umount", "unmount", "unshare",
        ],
        STEPS,
    ),
    (&["bud", "create-image"], "`kiln build` does it"),
    (
        &["cp"],
        "`kiln export NAME | tar -x PATH` takes files out of an image",
    ),
    (
        &["search"],
        "kiln searches no registries; `kiln pull` gets an image by its name",
    ),
    (
        &["manifest", "imagetools"],
        "`kiln inspect` shows manifests; `kiln build --platform A,B` makes an index, and `kiln push` sends it",
    ),
    (
        &["bake"],
        "kiln reads no bake files; `kiln build --target STAGE` builds one target",
    ),
    (
        &["trust", "sign"],
        "kiln signs nothing; sign what `kiln push` tells the digest of",
    ),
    (
        &["scan", "scout", "sbom"],
        "`kiln size` and `kiln diff` show what is in an image; scanners read the output of `kiln save`",
    ),
];

/// Verbs that no tip names, as they remove what may be wanted.
const REMOVE: [&str; 3] = ["prune", "rmi", "logout"];

/// The failure, if a verb is what is wrong.
pub fn unknown(error: &clap::Error) -> Option<Failure> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let failure = Failure::usage(format!("kiln has no command {verb:?}"));
    let known = ELSEWHERE
        .iter()
        .find(|(verbs, _)| verbs.contains(&verb.as_str()));
    if let Some((_, instead)) = known {
        return Some(failure.hint(*instead));
    }
    let near = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(near)) => near.clone(),
        Some(ContextValue::String(near)) => vec![near.clone()],
        _ => Vec::new(),
    };
    let near = near
        .iter()
        .rev()
        .find(|near| !REMOVE.contains(&near.as_str()));
    let near = near.map(|near| format!("did you mean {near}?"));
    Some(failure.hints(near).hint("`kiln --help` lists the commands"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_verb_that_kiln_has_is_said_to_be_missing() {
        let command = crate::Arguments::command();
        for (verbs, _) in ELSEWHERE {
            for verb in verbs {
                assert!(command.find_subcommand(verb).is_none(), "{verb}");
            }
        }
    }
}
