//! Where credentials come from and go to: files of docker and podman, credential helpers, `login` and `logout`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_oci::Digest;

use crate::support::registry::{Guard, Registry};
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    helpers_are_asked,
    a_helper_that_fails_is_told_and_no_other_file_is_forgotten,
    a_helper_keeps_what_login_checks,
    files_are_found_where_docker_and_podman_keep_them,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `user:password`.
const AUTH: &str = "dXNlcjpwYXNzd29yZA==";

/// An empty image in a registry.
fn put(registry: &Registry, name: &str) {
    let config = br#"{"os":"linux","architecture":"amd64","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    registry.put_blob(config);
    let (digest, size) = (Digest::of(config), config.len());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}},"layers":[]}}"#
    );
    registry.put_manifest(name, MANIFEST, manifest.as_bytes());
}

fn helper(space: &Space, name: &str, script: &str) {
    let path = format!("bin/docker-credential-{name}");
    let path = space.write_in("own", &path, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    space.give(&space.own().join("bin"));
}

fn with_helpers(space: &Space, kiln: Kiln) -> Kiln {
    let path = format!("{}:/usr/bin:/bin", space.own().join("bin").display());
    kiln.env("PATH", path)
}

/// A pull of `NAME` of a registry into a new store.
fn pull(space: &Space, registry: &Registry, name: &str) -> Kiln {
    let store = space.own().join(format!("store-{}", registry.seen().len()));
    let pull = space.kiln(["pull", "-q", "--platform", "linux/amd64"]);
    let pull = pull.arg(format!("{}/{name}", registry.host));
    with_helpers(space, pull.env("KILN_STORE", store))
}

fn config(space: &Space, text: &str) {
    let path = space.write_in("own", ".docker/config.json", text);
    space.give(&path);
    space.give(&space.own().join(".docker"));
}

fn helpers_are_asked(space: &Space) {
    let answer = |user: &str, secret: &str| {
        format!(
            r#"read server; echo "$server" >> "$0.asked"; echo '{{"ServerURL":"x","Username":"{user}","Secret":"{secret}"}}'"#
        )
    };
    helper(space, "good", &answer("user", "password"));
    helper(space, "identity", &answer("<token>", "identity"));
    helper(space, "empty", &answer("", ""));
    for (guard, name) in [
        (Guard::Basic, "good"),
        (Guard::Token, "good"),
        (Guard::Token, "identity"),
    ] {
        let registry = Registry::start(guard);
        put(&registry, "app:v1");
        for text in [
            format!(r#"{{"credHelpers":{{"{}":"{name}"}}}}"#, registry.host),
            format!(r#"{{"credsStore":"{name}"}}"#),
        ] {
            config(space, &text);
            pull(space, &registry, "app:v1").ok();
        }
        let asked = fs::read_to_string(
            space
                .own()
                .join(format!("bin/docker-credential-{name}.asked")),
        );
        let asked = asked.unwrap();
        let mine = asked.lines().filter(|server| **server == registry.host);
        assert_eq!(mine.count(), 2, "once for each pull: {asked}");
    }
    let registry = Registry::start(Guard::Basic);
    put(&registry, "app:v1");
    config(space, r#"{"credsStore":"empty"}"#);
    let refused = pull(space, &registry, "app:v1").exits(1);
    refused.says(&["asked without credentials"]);
}

fn a_helper_that_fails_is_told_and_no_other_file_is_forgotten(space: &Space) {
    helper(space, "failing", "echo 'the vault is locked' >&2; exit 1");
    helper(space, "garbage", "echo Zq9-half-a-secret");
    helper(space, "silent", "exit 0");
    helper(space, "endless", "while :; do echo Zq9-half-a-secret; done");
    let registry = Registry::start(Guard::Basic);
    put(&registry, "app:v1");
    let open = Registry::start(Guard::Open);
    put(&open, "app:v1");
    for (name, says) in [
        (
            "failing",
            "docker-credential-failing failed: the vault is locked",
        ),
        (
            "garbage",
            "docker-credential-garbage answered no credentials",
        ),
        ("silent", "docker-credential-silent answered no credentials"),
        ("endless", "docker-credential-endless"),
        ("absent", "docker-credential-absent is not installed"),
        ("../../bin/sh", "is no name of a program"),
    ] {
        config(space, &format!(r#"{{"credsStore":"{name}"}}"#));
        let refused = pull(space, &registry, "app:v1").exits(1);
        refused.says(&[says]).never_says(&["Zq9-half-a-secret"]);
        // who asks for nothing is shown nothing
        pull(space, &open, "app:v1").ok();
        // podman's file has what docker's helper does not give
        let auth = format!(r#"{{"auths":{{"{}":{{"auth":"{AUTH}"}}}}}}"#, registry.host);
        let file = space.write_in("own", "run/containers/auth.json", auth);
        space.give(&file);
        let runtime = space.own().join("run");
        pull(space, &registry, "app:v1")
            .env("XDG_RUNTIME_DIR", &runtime)
            .ok();
    }
}

fn a_helper_keeps_what_login_checks(space: &Space) {
    let script = r#"case $1 in
store) cat > "$0.kept" ;;
get) if [ -e "$0.kept" ]; then cat "$0.kept"; else echo 'credentials not found in native keychain'; exit 1; fi ;;
erase) rm "$0.kept" ;;
esac"#;
    helper(space, "keeping", script);
    let registry = Registry::start(Guard::Basic);
    put(&registry, "app:v1");
    config(space, r#"{"credsStore":"keeping","other":1}"#);
    let kept = space.own().join("bin/docker-credential-keeping.kept");
    let login = |password: &str| {
        let login = space.kiln(["login", "-u", "user", "--password-stdin", &registry.host]);
        with_helpers(space, login).stdin(format!("{password}\n"))
    };
    login("wrong").exits(1);
    assert!(!kept.exists(), "only what the registry accepts is kept");
    login("password").ok();
    assert!(kept.exists());
    let text = fs::read_to_string(space.own().join(".docker/config.json")).unwrap();
    assert!(!text.contains(AUTH) && text.contains("\"other\""), "{text}");
    pull(space, &registry, "app:v1").ok();
    let logout =
        |finished: &Finished, says: &str| assert!(finished.stdout.contains(says), "{finished}");
    let out = || with_helpers(space, space.kiln(["logout", &registry.host])).ok();
    logout(&out(), "Removed login credentials");
    assert!(!kept.exists());
    logout(&out(), "Not logged in");
}

fn files_are_found_where_docker_and_podman_keep_them(space: &Space) {
    let registry = Registry::start(Guard::Basic);
    let host = &registry.host;
    put(&registry, "team/app:v1");
    put(&registry, "else/app:v1");
    let whole = format!(r#"{{"auths":{{"{host}":{{"auth":"{AUTH}"}}}}}}"#);
    for (file, variable) in [
        (".docker/config.json", None),
        (".config/containers/auth.json", None),
        (
            "elsewhere/config.json",
            Some(("DOCKER_CONFIG", "elsewhere")),
        ),
        ("mine.json", Some(("REGISTRY_AUTH_FILE", "mine.json"))),
        ("xdg/containers/auth.json", Some(("XDG_RUNTIME_DIR", "xdg"))),
        ("cfg/containers/auth.json", Some(("XDG_CONFIG_HOME", "cfg"))),
    ] {
        let path = space.write_in("own", file, &whole);
        space.give(&path);
        let mut pull = pull(space, &registry, "team/app:v1");
        if let Some((name, value)) = variable {
            pull = pull.env(name, space.own().join(value));
        }
        pull.ok();
        fs::remove_file(path).unwrap();
    }
    // as runners of pipelines give it
    let given = pull(space, &registry, "team/app:v1").env("DOCKER_AUTH_CONFIG", &whole);
    given.ok();
    let broken = pull(space, &registry, "team/app:v1").env("DOCKER_AUTH_CONFIG", "{hush");
    let broken = broken.exits(1);
    broken.says(&["DOCKER_AUTH_CONFIG are malformed"]);
    broken.never_says(&["hush"]);
    let part = format!(r#"{{"auths":{{"{host}/team":{{"auth":"{AUTH}"}}}}}}"#);
    config(space, &part);
    pull(space, &registry, "team/app:v1").ok();
    pull(space, &registry, "else/app:v1")
        .exits(1)
        .says(&["asked without credentials"]);
}
