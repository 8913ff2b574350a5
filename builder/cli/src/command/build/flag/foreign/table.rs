//! The flags of other engines, a line each. Unaware of what becomes of them.

use super::Answer::{self, Accept, Off, Refuse};
use super::Foreign;
use super::Value::{List, Single, Switch};

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
const SIGNATURES: Answer = Accept("kiln checks no signatures");
const RUSAGE: Answer = Accept("--progress json tells what steps took");
const DEVICES: Answer = Refuse("kiln gives RUN no devices of the host");
const OVERLAY: Answer = Accept("kiln sees what a step changed; nothing is compared");

/// All of them.
pub(super) const TABLE: &[Foreign] = &[
    // docker build, docker buildx build
    of!("rm", Switch, NOTHING_LEFT),
    of!("force-rm", Switch, NOTHING_LEFT),
    of!(
        "compress",
        Switch,
        Accept("the context is read in place, nothing is sent")
    ),
    of!("isolation", Single, Accept("kiln always uses namespaces")),
    of!(
        "security-opt",
        List,
        Accept("RUN is confined as docker does it; RUN --security=insecure lifts that")
    ),
    of!("builder", Single, NO_BUILDERS),
    short(
        'D',
        of!(
            "debug",
            Switch,
            Accept("KILN_LOG=debug shows what kiln does")
        ),
    ),
    of!("attest", List, ATTESTATIONS),
    of!("provenance", Single, ATTESTATIONS),
    of!("sbom", Single, ATTESTATIONS),
    of!(
        "policy",
        List,
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
        Single,
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
    of!("userns", Single, NAMESPACES),
    of!("userns-uid-map", List, NAMESPACES),
    of!("userns-gid-map", List, NAMESPACES),
    of!("cgroupns", Single, NAMESPACES),
    of!("ipc", Single, NAMESPACES),
    of!("uts", Single, NAMESPACES),
    of!("pid", Single, NAMESPACES),
    of!("cap-add", List, CAPABILITIES),
    of!("cap-drop", List, CAPABILITIES),
    of!("device", List, DEVICES),
    of!("dns", List, RESOLVER),
    of!("dns-option", List, RESOLVER),
    of!("dns-search", List, RESOLVER),
    of!(
        "no-hostname",
        Switch,
        Accept("RUN sees the image's own /etc/hostname")
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
    of!("rusage", Switch, RUSAGE),
    of!("runtime", Single, Accept("kiln runs commands itself")),
    of!("runtime-flag", List, Accept("kiln runs commands itself")),
    of!("hooks-dir", List, Refuse("kiln runs no hooks")),
    of!("cw", Single, ENCRYPTION),
    of!("sign-by", Single, ENCRYPTION),
    of!("decryption-key", List, ENCRYPTION),
    of!("creds", Single, Refuse("log in with kiln login")),
    of!(
        "authfile",
        Single,
        Refuse("name the file in REGISTRY_AUTH_FILE")
    ),
    of!(
        "cert-dir",
        Single,
        Refuse("SSL_CERT_DIR names a folder of authorities that are trusted")
    ),
    of!(
        "signature-policy",
        Single,
        Refuse("kiln checks no signatures")
    ),
    of!(
        "os-version",
        Single,
        Refuse("use --platform OS/ARCH[/VARIANT]")
    ),
    of!(
        "os-feature",
        List,
        Refuse("use --platform OS/ARCH[/VARIANT]")
    ),
    of!("blob-cache", Single, Accept("the store keeps blobs")),
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
    // more of docker's
    of!("disable-content-trust", Switch, SIGNATURES),
    // more of buildah's
    of!(
        "all-platforms",
        Switch,
        Off("name them: --platform linux/amd64,linux/arm64")
    ),
    of!(
        "created-annotation",
        Switch,
        Off("--annotation org.opencontainers.image.created=TIME adds it")
    ),
    of!("compression-format", Single, LAYERS),
    of!(
        "force-compression",
        Switch,
        Off("use --output type=registry,force-compression=true")
    ),
    of!("group-add", List, NAMESPACES),
    of!("userns-uid-map-user", Single, NAMESPACES),
    of!("userns-gid-map-group", Single, NAMESPACES),
    of!(
        "iidfile-raw",
        Single,
        Refuse("--iidfile writes the ID with its algorithm, sha256:")
    ),
    of!("log-rusage", Switch, RUSAGE),
    of!("rusage-logfile", Single, RUSAGE),
    of!(
        "loglevel",
        Single,
        Accept("KILN_LOG=debug shows what kiln does")
    ),
    of!("cdi-config-dir", Single, DEVICES),
    of!(
        "mount",
        List,
        Refuse("write it into the RUN: RUN --mount=…; for a folder of this machine, use --volume")
    ),
    of!("sbom-scanner-image", Single, ATTESTATIONS),
    of!("sbom-scanner-command", List, ATTESTATIONS),
    of!("sbom-merge-strategy", Single, ATTESTATIONS),
    of!("sbom-output", Single, ATTESTATIONS),
    of!("sbom-image-output", Single, ATTESTATIONS),
    of!("sbom-purl-output", Single, ATTESTATIONS),
    of!("sbom-image-purl-output", Single, ATTESTATIONS),
    // kaniko
    of!("cache", Switch, KANIKO_CACHE),
    of!("cache-dir", Single, KANIKO_CACHE),
    of!("cache-copy-layers", Switch, KANIKO_CACHE),
    of!("cache-run-layers", Switch, KANIKO_CACHE),
    of!("compressed-caching", Switch, KANIKO_CACHE),
    of!("snapshot-mode", Single, OVERLAY),
    of!("use-new-run", Switch, OVERLAY),
    of!(
        "ignore-path",
        List,
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
        List,
        Refuse("SSL_CERT_FILE names the authorities that are trusted")
    ),
    of!(
        "image-name-with-digest-file",
        Single,
        Refuse("--metadata-file writes names and digest")
    ),
    of!(
        "image-name-tag-with-digest-file",
        Single,
        Refuse("--metadata-file writes names and digest")
    ),
    of!(
        "context-sub-path",
        Single,
        Refuse("the context is the argument: kiln build FOLDER, or URL#BRANCH:FOLDER")
    ),
    of!(
        "git",
        Single,
        Refuse("a git context has its branch or commit in the address: URL#BRANCH")
    ),
    of!("push-retry", Single, RETRIES),
    of!("image-download-retry", Single, RETRIES),
    of!("image-fs-extract-retry", Single, RETRIES),
    of!("log-format", Single, Accept("--progress chooses the form")),
    of!("log-timestamp", Switch, Accept("--progress json has times")),
    of!(
        "skip-push-permission-check",
        Switch,
        Accept("kiln pushes without asking before")
    ),
    of!(
        "skip-default-registry-fallback",
        Switch,
        Off("where no mirror answers, the registry itself is asked")
    ),
    of!(
        "push-ignore-immutable-tag-errors",
        Switch,
        Off("a push that the registry refuses is an error")
    ),
    of!(
        "kaniko-dir",
        Single,
        Accept("everything is in the store (--store)")
    ),
    of!(
        "credential-helpers",
        List,
        Refuse("docker's config.json names them")
    ),
    of!(
        "registry-client-cert",
        List,
        Refuse("kiln shows registries no certificate of its own")
    ),
    of!("compression", Single, LAYERS),
    of!("compression-level", Single, LAYERS),
    of!(
        "verbosity",
        Single,
        Accept("KILN_LOG=debug shows what kiln does")
    ),
];
