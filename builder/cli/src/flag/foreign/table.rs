//! The flags of other engines, a line each. Unaware of what becomes of them.

use super::Answer::{self, Accept, Off, Refuse, Wish};

const NOTHING_LEFT: Answer = Accept("kiln leaves no containers behind");
const NO_BUILDERS: Answer = Accept("kiln has no separate builders");
const NO_ATTESTATIONS: &str = "kiln writes none, so that equal builds have equal digests";
const ATTESTATIONS: Answer = Wish(NO_ATTESTATIONS);
const SCANNERS: Answer = Off(NO_ATTESTATIONS);
const NAMESPACES: Answer = Refuse(
    "every RUN has its own namespaces; RUN --security=insecure lifts its confinement, with --allow security.insecure",
);
const CAPABILITIES: Answer = Refuse(
    "RUN has the same capabilities as in docker; RUN --security=insecure has all of them, with --allow security.insecure",
);
const RESOLVER: Answer = Refuse("RUN uses this machine's /etc/resolv.conf; --add-host adds names");
const ENCRYPTION: Answer =
    Refuse("kiln neither signs nor encrypts; process the output of `kiln save`");
const KANIKO_CACHE: Answer = Accept("kiln always uses its own cache; --no-cache runs all steps");
const RETRIES: Answer = Accept("--retry applies to all requests to registries");
const LAYERS: Answer = Refuse("use --output type=registry,compression=…");
const SIGNATURES: Answer = Accept("kiln checks no signatures");
const RUSAGE: Answer = Accept("--progress json shows how long steps take");
const DEVICES: Answer = Refuse("kiln gives RUN no devices of the host");
const UNCHANGED: Answer = Accept("an unchanged empty folder adds nothing to the image");
const OVERLAY: Answer = Accept("kiln does not need to compare files to find changes");

flags_of_others! {
    // docker build, docker buildx build
    "rm" Switch NOTHING_LEFT;
    "force-rm" Switch NOTHING_LEFT;
    "compress" Switch Accept("kiln reads the context in place and sends nothing");
    "security-opt" List Accept("RUN is confined as in docker; RUN --security=insecure lifts that");
    "builder" Single NO_BUILDERS;
    "debug" 'D' Switch Accept("set KILN_LOG=debug to see what kiln does");
    "attest" List ATTESTATIONS;
    "provenance" Single ATTESTATIONS;
    "sbom" Single ATTESTATIONS;
    "policy" List Refuse("kiln reads no policies in Rego; see --source-policy-file");
    // buildah build, podman build
    "layers" Switch Accept("every instruction that changes files makes one layer");
    "format" Single Accept("images in the store keep all fields of both formats; use kiln save --format to choose the output format");
    "rewrite-timestamp" Switch Accept("--source-date-epoch already rewrites all timestamps");
    "inherit-annotations" Switch Off("annotations of a base are never inherited");
    "userns" Single NAMESPACES;
    "userns-uid-map" List NAMESPACES;
    "userns-gid-map" List NAMESPACES;
    "cgroupns" Single NAMESPACES;
    "ipc" Single NAMESPACES;
    "uts" Single NAMESPACES;
    "pid" Single NAMESPACES;
    "cap-add" List CAPABILITIES;
    "cap-drop" List CAPABILITIES;
    "device" List DEVICES;
    "dns" List RESOLVER;
    "dns-option" List RESOLVER;
    "dns-search" List RESOLVER;
    "no-hostname" Switch Accept("RUN sees the image's own /etc/hostname");
    "identity-label" Switch Accept("kiln adds no label of its own");
    "disable-compression" Switch Accept("layers in the store are not compressed");
    "rusage" Switch RUSAGE;
    "runtime" Single Accept("kiln runs commands itself");
    "runtime-flag" List Accept("kiln runs commands itself");
    "hooks-dir" List Refuse("kiln runs no hooks");
    "cw" Single ENCRYPTION;
    "sign-by" Single ENCRYPTION;
    "decryption-key" List ENCRYPTION;
    "creds" Single Refuse("log in with kiln login");
    "authfile" Single Refuse("name the file in REGISTRY_AUTH_FILE");
    "cert-dir" Single Refuse("set SSL_CERT_DIR to a folder of trusted authorities");
    "signature-policy" Single Refuse("kiln checks no signatures");
    "os-version" Single Refuse("use --platform OS/ARCH[/VARIANT]");
    "os-feature" List Refuse("use --platform OS/ARCH[/VARIANT]");
    "blob-cache" Single Accept("kiln keeps blobs in its store");
    "compat-volumes" Switch Off("kiln keeps files below a VOLUME, as BuildKit does");
    "skip-unused-stages" Switch Accept("kiln never builds stages that the target does not need");
    // more of docker's
    "disable-content-trust" Switch SIGNATURES;
    // more of buildah's
    "all-platforms" Switch Off("name them: --platform linux/amd64,linux/arm64");
    "created-annotation" Switch Off("--annotation org.opencontainers.image.created=TIME adds it");
    "compression-format" Single LAYERS;
    "force-compression" Switch Off("use --output type=registry,force-compression=true");
    "group-add" List NAMESPACES;
    "userns-uid-map-user" Single NAMESPACES;
    "userns-gid-map-group" Single NAMESPACES;
    "iidfile-raw" Single Refuse("use --iidfile, which writes the ID with the prefix sha256:");
    "log-rusage" Switch RUSAGE;
    "rusage-logfile" Single RUSAGE;
    "loglevel" Single Accept("set KILN_LOG=debug to see what kiln does");
    "cdi-config-dir" Single DEVICES;
    "mount" List Refuse("write it into the RUN: RUN --mount=…; for a folder of this machine, use --volume");
    "sbom-scanner-image" Single SCANNERS;
    "sbom-scanner-command" List SCANNERS;
    "sbom-merge-strategy" Single SCANNERS;
    "sbom-output" Single SCANNERS;
    "sbom-image-output" Single SCANNERS;
    "sbom-purl-output" Single SCANNERS;
    "sbom-image-purl-output" Single SCANNERS;
    // kaniko
    "cache" Switch KANIKO_CACHE;
    "cache-dir" Single KANIKO_CACHE;
    "cache-copy-layers" Switch KANIKO_CACHE;
    "cache-run-layers" Switch KANIKO_CACHE;
    "compressed-caching" Switch KANIKO_CACHE;
    "snapshot-mode" Single OVERLAY;
    "snapshotMode" Single OVERLAY;
    "bucket" 'b' Single Refuse("kiln does not read buckets: pipe the archive to kiln build -, or give its URL");
    "force-build-metadata" Switch Off("metadata makes no layers");
    "use-new-run" Switch OVERLAY;
    "ignore-path" List Refuse("use RUN --mount=type=tmpfs or type=cache for files that should not end up in the image");
    "ignore-var-run" Switch UNCHANGED;
    "whitelist-var-run" Switch UNCHANGED;
    "force" Switch Accept("kiln can run anywhere");
    "cleanup" Switch NOTHING_LEFT;
    "registry-certificate" List Refuse("set SSL_CERT_FILE to a file of trusted authorities");
    "image-name-with-digest-file" Single Refuse("use --metadata-file, which writes names and digest");
    "image-name-tag-with-digest-file" Single Refuse("use --metadata-file, which writes names and digest");
    "context-sub-path" Single Refuse("give the folder as the context: kiln build FOLDER, or URL#BRANCH:FOLDER");
    "git" Single Refuse("put the branch or commit into the URL: URL#BRANCH");
    "push-retry" Single RETRIES;
    "image-download-retry" Single RETRIES;
    "image-fs-extract-retry" Single RETRIES;
    "log-format" Single Accept("use --progress to choose the format");
    "log-timestamp" Switch Accept("--progress json has timestamps");
    "skip-push-permission-check" Switch Accept("kiln does not check permissions before a push");
    "skip-default-registry-fallback" Switch Off("if no mirror answers, kiln asks the registry itself");
    "push-ignore-immutable-tag-errors" Switch Off("kiln treats a push that the registry refuses as an error");
    "kaniko-dir" Single Accept("everything is in the store (--store)");
    "credential-helpers" List Refuse("configure them in docker's config.json");
    "registry-client-cert" List Refuse("kiln does not support client certificates");
    "compression" Single LAYERS;
    "compression-level" Single LAYERS;
    "verbosity" Single Accept("set KILN_LOG=debug to see what kiln does");
}
