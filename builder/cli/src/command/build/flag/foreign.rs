//! Flags that other engines have and kiln does not need: each is answered, none is ignored silently. One that cannot change the image
//! is accepted with a warning; one that would is refused, with what to do instead.
//!
//! Sources: `docker build` and `docker buildx build`, `buildah build` and `podman build`, kaniko's executor.

use super::Flag;
use crate::failure::Failure;
use clap::{Arg, ArgAction, ArgMatches, Command};
use kiln_engine::options::BuildOptions;

/// What becomes of a flag.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Warned about; the text says why it changes nothing.
    Accept(&'static str),
    /// An error; the text says what to do instead.
    Refuse(&'static str),
    /// Accepted without a word when it switches something off, else as [`Answer::Refuse`].
    Off(&'static str),
}
use Answer::{Accept, Off, Refuse};

/// Whether a flag has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It may have one after `=`: a switch.
    Switch,
    /// It always has one.
    Needed,
}
use Value::{Needed, Switch};

struct Foreign {
    id: &'static str,
    name: &'static str,
    short: Option<char>,
    value: Value,
    answer: Answer,
}

/// One line of the table. The id keeps it apart from kiln's own arguments, of which one may have the same name.
macro_rules! of {
    ($name:literal, $value:expr, $answer:expr $(,)?) => {
        Foreign {
            id: concat!("foreign ", $name),
            name: $name,
            short: None,
            value: $value,
            answer: $answer,
        }
    };
}

const fn short(short: char, flag: Foreign) -> Foreign {
    Foreign {
        short: Some(short),
        ..flag
    }
}

const NOTHING_LEFT: Answer = Accept("kiln leaves no containers behind");
const NO_BUILDERS: Answer = Accept("there are no builders to choose from");
const ATTESTATIONS: Answer =
    Off("kiln writes no attestations, so that equal builds have equal digests");
const NAMESPACES: Answer = Refuse(
    "every RUN has namespaces of its own; RUN --security=insecure lifts its confinement, with --allow security.insecure",
);
const CAPABILITIES: Answer = Refuse(
    "RUN has docker's capabilities; RUN --security=insecure has all, with --allow security.insecure",
);
const RESOLVER: Answer =
    Refuse("RUN resolves names as this machine does (/etc/resolv.conf); --add-host adds names");
const ENCRYPTION: Answer =
    Refuse("kiln neither signs nor encrypts; do it to what `kiln save` writes");
const KANIKO_CACHE: Answer =
    Accept("the cache is kiln's own and is always used; --no-cache executes all");
const RETRIES: Answer = Accept("--retry says it for all that registries are asked");
const LAYERS: Answer = Refuse("use --output type=registry,compression=…");
const OVERLAY: Answer = Accept("kiln sees what a step changed; nothing is compared");

/// All of them.
const TABLE: &[Foreign] = &[
    // docker build, docker buildx build
    of!("rm", Switch, NOTHING_LEFT),
    of!("force-rm", Switch, NOTHING_LEFT),
    of!(
        "compress",
        Switch,
        Accept("the context is read in place, nothing is sent")
    ),
    of!("isolation", Needed, Accept("kiln always uses namespaces")),
    of!(
        "security-opt",
        Needed,
        Accept("RUN is confined as docker does it; RUN --security=insecure lifts that")
    ),
    of!("builder", Needed, NO_BUILDERS),
    short(
        'D',
        of!(
            "debug",
            Switch,
            Accept("KILN_LOG=debug shows what kiln does")
        ),
    ),
    of!("attest", Needed, ATTESTATIONS),
    of!("provenance", Switch, ATTESTATIONS),
    of!("sbom", Switch, ATTESTATIONS),
    of!(
        "policy",
        Needed,
        Refuse("kiln reads no policies in Rego; see --source-policy-file")
    ),
    // buildah build, podman build
    of!(
        "layers",
        Switch,
        Accept("every instruction that changes files makes one layer")
    ),
    of!(
        "format",
        Needed,
        Accept(
            "images keep all fields of both formats; kiln save --format chooses how they are written"
        )
    ),
    of!(
        "rewrite-timestamp",
        Switch,
        Accept("all times are rewritten where there is a --source-date-epoch")
    ),
    of!(
        "inherit-annotations",
        Switch,
        Off("the annotations of a base are never taken over")
    ),
    of!("userns", Needed, NAMESPACES),
    of!("userns-uid-map", Needed, NAMESPACES),
    of!("userns-gid-map", Needed, NAMESPACES),
    of!("cgroupns", Needed, NAMESPACES),
    of!("ipc", Needed, NAMESPACES),
    of!("uts", Needed, NAMESPACES),
    of!("pid", Needed, NAMESPACES),
    of!("cap-add", Needed, CAPABILITIES),
    of!("cap-drop", Needed, CAPABILITIES),
    of!(
        "device",
        Needed,
        Refuse("kiln gives RUN no devices of the host")
    ),
    of!("dns", Needed, RESOLVER),
    of!("dns-option", Needed, RESOLVER),
    of!("dns-search", Needed, RESOLVER),
    of!(
        "no-hostname",
        Switch,
        Accept("RUN sees the image's own /etc/hostname")
    ),
    of!(
        "http-proxy",
        Switch,
        Accept("a proxy reaches RUN when it is given: --build-arg HTTP_PROXY")
    ),
    of!(
        "identity-label",
        Switch,
        Accept("kiln adds no label of its own")
    ),
    of!(
        "disable-compression",
        Switch,
        Accept("layers in the store are not compressed")
    ),
    of!(
        "rusage",
        Switch,
        Accept("--progress json tells what steps took")
    ),
    of!("runtime", Needed, Accept("kiln runs commands itself")),
    of!("runtime-flag", Needed, Accept("kiln runs commands itself")),
    of!("hooks-dir", Needed, Refuse("kiln runs no hooks")),
    of!("cw", Needed, ENCRYPTION),
    of!("sign-by", Needed, ENCRYPTION),
    of!("decryption-key", Needed, ENCRYPTION),
    of!(
        "tls-verify",
        Switch,
        Refuse("--insecure-registry HOST names a registry without a good certificate")
    ),
    of!("creds", Needed, Refuse("log in with kiln login")),
    of!(
        "authfile",
        Needed,
        Refuse("name the file in REGISTRY_AUTH_FILE")
    ),
    of!(
        "cert-dir",
        Needed,
        Refuse("SSL_CERT_DIR names a folder of authorities that are trusted")
    ),
    of!(
        "signature-policy",
        Needed,
        Refuse("kiln checks no signatures")
    ),
    of!(
        "os-version",
        Needed,
        Refuse("use --platform OS/ARCH[/VARIANT]")
    ),
    of!(
        "os-feature",
        Needed,
        Refuse("use --platform OS/ARCH[/VARIANT]")
    ),
    of!("blob-cache", Needed, Accept("the store keeps blobs")),
    of!(
        "compat-volumes",
        Switch,
        Off("what is written below a VOLUME is kept, as BuildKit does")
    ),
    of!(
        "skip-unused-stages",
        Switch,
        Accept("stages that the target does not need are never built")
    ),
    // kaniko
    of!("cache", Switch, KANIKO_CACHE),
    of!("cache-dir", Needed, KANIKO_CACHE),
    of!("cache-copy-layers", Switch, KANIKO_CACHE),
    of!("cache-run-layers", Switch, KANIKO_CACHE),
    of!("compressed-caching", Switch, KANIKO_CACHE),
    of!("snapshot-mode", Needed, OVERLAY),
    of!("use-new-run", Switch, OVERLAY),
    of!(
        "ignore-path",
        Needed,
        Refuse("what RUN must not keep belongs into RUN --mount=type=tmpfs or type=cache")
    ),
    of!(
        "ignore-var-run",
        Switch,
        Accept("a folder that stays empty is no change")
    ),
    of!("force", Switch, Accept("kiln may run anywhere")),
    of!("cleanup", Switch, NOTHING_LEFT),
    of!(
        "registry-certificate",
        Needed,
        Refuse("SSL_CERT_FILE names the authorities that are trusted")
    ),
    of!(
        "image-name-with-digest-file",
        Needed,
        Refuse("--metadata-file writes names and digest")
    ),
    of!(
        "image-name-tag-with-digest-file",
        Needed,
        Refuse("--metadata-file writes names and digest")
    ),
    of!(
        "context-sub-path",
        Needed,
        Refuse("the context is the argument: kiln build FOLDER, or URL#BRANCH:FOLDER")
    ),
    of!(
        "git",
        Needed,
        Refuse("a git context has its branch or commit in the address: URL#BRANCH")
    ),
    of!("push-retry", Needed, RETRIES),
    of!("image-download-retry", Needed, RETRIES),
    of!("image-fs-extract-retry", Needed, RETRIES),
    of!("log-format", Needed, Accept("--progress chooses the form")),
    of!("log-timestamp", Switch, Accept("--progress json has times")),
    of!(
        "skip-push-permission-check",
        Switch,
        Accept("kiln pushes without asking before")
    ),
    of!(
        "skip-default-registry-fallback",
        Switch,
        Refuse("where no mirror answers, the registry itself is asked")
    ),
    of!(
        "push-ignore-immutable-tag-errors",
        Switch,
        Refuse("a push that the registry refuses is an error")
    ),
    of!(
        "kaniko-dir",
        Needed,
        Accept("everything is in the store (--store)")
    ),
    of!(
        "credential-helpers",
        Needed,
        Refuse("docker's config.json names them")
    ),
    of!(
        "registry-client-cert",
        Needed,
        Refuse("kiln shows registries no certificate of its own")
    ),
    of!("compression", Needed, LAYERS),
    of!("compression-level", Needed, LAYERS),
    of!(
        "verbosity",
        Needed,
        Accept("KILN_LOG=debug shows what kiln does")
    ),
];

/// Spelling, answer and text of each, sorted: for the reference.
#[cfg(test)]
pub(super) fn answers() -> Vec<(String, &'static str, &'static str)> {
    let spelled = |flag: &Foreign| {
        let short = flag.short.map(|short| format!("-{short}, "));
        format!("{}--{}", short.unwrap_or_default(), flag.name)
    };
    let answer = |flag: &Foreign| match flag.answer {
        Accept(text) => (spelled(flag), "accepted", text),
        Refuse(text) => (spelled(flag), "refused", text),
        Off(text) => (spelled(flag), "off", text),
    };
    let mut all: Vec<_> = TABLE.iter().map(answer).collect();
    all.sort_by(|a, b| a.0.trim_start_matches('-').cmp(b.0.trim_start_matches('-')));
    all
}

/// Those that were given, with their values.
#[derive(Debug, Default)]
pub struct ForeignFlags(Vec<(usize, String)>);

impl Flag for ForeignFlags {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for (number, value) in &self.0 {
            let Foreign { name, answer, .. } = TABLE[*number];
            match answer {
                Accept(why) => options
                    .notices
                    .push(format!("--{name} has no effect: {why}")),
                Off(_) if is_off(value) => {}
                Refuse(instead) | Off(instead) => {
                    return Err(Failure::usage(format!("--{name} is not supported")).hint(instead));
                }
            }
        }
        Ok(())
    }
}

/// `--provenance=false`, `--attest type=sbom,disabled=true`.
fn is_off(value: &str) -> bool {
    value == "false" || value == "0" || value.split(',').any(|part| part == "disabled=true")
}

impl clap::Args for ForeignFlags {
    fn augment_args(command: Command) -> Command {
        TABLE.iter().fold(command, |command, flag| {
            let argument = Arg::new(flag.id)
                .long(flag.name)
                .short(flag.short)
                .action(ArgAction::Append)
                .hide(true);
            command.arg(match flag.value {
                Needed => argument.num_args(1).allow_hyphen_values(true),
                Switch => argument
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ForeignFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for (number, flag) in TABLE.iter().enumerate() {
            for value in matches.get_many::<String>(flag.id).into_iter().flatten() {
                given.push((number, value.clone()));
            }
        }
        Ok(ForeignFlags(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
