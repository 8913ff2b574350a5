//! Says what to use instead of a verb that kiln lacks. A tip never removes anything. Unaware of the verbs that kiln has.

use super::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};

const RUNS: &str = "`kiln run` tries one image out; for anything larger, hand images over with `kiln save NAME | docker load` (or podman load), or push them";
const NO_DAEMON_OF_CONTAINERS: &str = "`kiln ps` lists containers, which start, stop and go; kiln has no daemon that does more with them";
const BACKGROUND: &str = "a container runs in the background, with `kiln run -d`, or here; `kiln logs -f` shows what it prints, and `kiln exec` runs another command in it";
const NO_DAEMON: &str = "kiln has no daemon; `kiln doctor` shows what it can do on this machine";
const NO_VOLUMES: &str =
    "kiln keeps no volumes and no networks; `kiln df` shows what is in the store";
const STEPS: &str = "kiln builds from Dockerfiles only: `kiln build`";

/// Verbs of docker, buildx, podman and buildah, and what does their work.
const ELSEWHERE: [(&[&str], &str); 16] = [
    (
        &[
            "up", "compose", "play", "kube", "pod", "generate", "quadlet",
        ],
        RUNS,
    ),
    (
        &[
            "pause",
            "unpause",
            "down",
            "update",
            "checkpoint",
            "healthcheck",
            "init",
            "auto-update",
        ],
        NO_DAEMON_OF_CONTAINERS,
    ),
    (&["attach"], BACKGROUND),
    (
        &[
            "events", "daemon", "context", "machine", "swarm", "service", "stack", "node",
            "plugin", "farm", "desktop",
        ],
        NO_DAEMON,
    ),
    (&["volume", "network"], NO_VOLUMES),
    (
        &[
            "from", "copy", "add", "mount", "umount", "unmount", "unshare",
        ],
        STEPS,
    ),
    (&["bud", "create-image"], "`kiln build` does it"),
    (
        &["search"],
        "kiln searches no registries; `kiln pull` gets an image by its name",
    ),
    (
        &["manifest", "imagetools"],
        "`kiln builder imagetools` shows and combines what registries have; `kiln build --platform A,B` makes an index, and `kiln push` sends it",
    ),
    (
        &["secret"],
        "kiln keeps no secrets: `kiln build --secret id=NAME,src=FILE` gives one to a RUN",
    ),
    (
        &["dive"],
        "`kiln explore` browses the layers of an image, and `kiln size` counts them",
    ),
    (
        &["untag"],
        "`kiln images` lists the names of images, and `kiln rmi --help` tells how one is taken away",
    ),
    (
        &["artifact"],
        "kiln keeps images only; `kiln pull` and `kiln push` move them",
    ),
    (
        &["docker", "podman", "buildah", "nerdctl"],
        "leave the word out: kiln has commands of the same names, such as `kiln build`",
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
    let failure = failure.hints(near(error));
    Some(failure.hint("`kiln --help` lists the commands"))
}

/// The verb that was probably meant.
fn near(error: &clap::Error) -> Option<String> {
    let near = match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::Strings(near) => near.clone(),
        ContextValue::String(near) => vec![near.clone()],
        _ => Vec::new(),
    };
    let mut harmless = near
        .iter()
        .rev()
        .filter(|near| !REMOVE.contains(&near.as_str()));
    harmless.next().map(|near| format!("did you mean {near}?"))
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
