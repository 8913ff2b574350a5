//! `--load=docker` and `--load=podman`: the image arrives in the daemon, and only what the daemon lacks travels.

use crate::support::engine::{Engine, Kind};
use crate::support::{Kiln, Space, plain_cases};
use kiln_oci::Digest;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

plain_cases! {
    only_new_layers_travel,
    a_daemon_that_has_lost_a_layer_gets_all,
    ids_are_those_of_the_daemon,
    a_refusal_leaves_no_name,
    a_daemon_is_found_as_its_client_finds_it,
    what_cannot_be_loaded_is_said,
    containerd_gets_an_archive,
}

fn build(space: &Space, last: &str) -> Kiln {
    space.write("a", "one");
    space.write("b", last);
    space.build("FROM scratch\nCOPY a /\nCOPY b /\n")
}

fn loaded(space: &Space, engine: &Engine, last: &str) -> Kiln {
    build(space, last)
        .arg("--load=docker")
        .env("DOCKER_HOST", engine.address())
}

fn only_new_layers_travel(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Docker);
    loaded(space, &engine, "first").ok();
    assert_eq!(engine.loads(), [2]);
    assert_eq!(engine.id("app:latest"), Some(space.id("app")));
    loaded(space, &engine, "second").ok();
    assert_eq!(engine.loads(), [2, 1]);
    assert_eq!(engine.id("app:latest"), Some(space.id("app")));
    // what is there gets the name alone
    loaded(space, &engine, "first").args(["-t", "other:1"]).ok();
    assert_eq!(engine.loads(), [2, 1]);
    for name in ["app:latest", "other:1"] {
        assert_eq!(engine.id(name), Some(space.id("app")));
    }
    space.is_clean();
}

fn a_daemon_that_has_lost_a_layer_gets_all(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Forgetful);
    loaded(space, &engine, "first").ok();
    loaded(space, &engine, "second").ok();
    assert_eq!(engine.loads(), [2, 1, 2]);
    assert_eq!(engine.id("app:latest"), Some(space.id("app")));
}

fn ids_are_those_of_the_daemon(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Containerd);
    let file = space.own().join("id");
    let told = loaded(space, &engine, "first")
        .arg("-q")
        .arg("--iidfile")
        .arg(&file)
        .stdout();
    let told = String::from_utf8(told).unwrap();
    let id = engine.id("app:latest").unwrap();
    assert_eq!(told.trim(), id);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), id);
    assert_ne!(id, space.id("app"));
    assert!(id.parse::<Digest>().is_ok());
}

fn a_refusal_leaves_no_name(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Full);
    let refused = loaded(space, &engine, "first").exits(3);
    refused.says(&[
        "does not take the image: open layer.tar: no such file or directory",
        "the image itself is built",
    ]);
    assert_eq!(engine.id("app:latest"), None);
    assert!(!space.id("app").is_empty());
    space.is_clean();
}

fn a_daemon_is_found_as_its_client_finds_it(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Docker);
    let address = engine.address();
    let meta = format!(
        ".docker/contexts/meta/{}/meta.json",
        Digest::of(b"mine").hex()
    );
    let endpoint = format!(r#"{{"Name":"mine","Endpoints":{{"docker":{{"Host":"{address}"}}}}}}"#);
    let home = space.own_folder("home");
    let path = space.write_in("home", &meta, endpoint);
    space.give(&path);
    let reaches = |kiln: Kiln| {
        let before = engine.asked().len();
        kiln.env("HOME", &home).ok();
        assert!(engine.asked().len() > before);
    };
    let docker = || build(space, "x").arg("--load=docker");
    reaches(docker().env("DOCKER_CONTEXT", "mine"));
    reaches(docker().env("DOCKER_HOST", &address));
    reaches(
        build(space, "x")
            .arg("--load=podman")
            .env("CONTAINER_HOST", &address),
    );
    let before_command = |flags: &[&str]| {
        space
            .kiln(flags)
            .args(["build", "-t", "app", "--load=docker"])
            .arg(space.context())
    };
    reaches(before_command(&["-H", &address]));
    reaches(before_command(&["--context", "mine"]));
    space.write_in(
        "home",
        ".docker/config.json",
        r#"{"currentContext":"mine"}"#,
    );
    reaches(docker());
    // what is not asked for is not loaded
    let before = engine.asked().len();
    build(space, "y")
        .env("DOCKER_HOST", &address)
        .arg("--load")
        .ok();
    assert_eq!(engine.asked().len(), before);
}

fn what_cannot_be_loaded_is_said(space: &Space) {
    let nowhere = format!("unix://{}/nothing.sock", space.own().display());
    let failed = build(space, "x")
        .arg("--load=docker")
        .env("DOCKER_HOST", &nowhere)
        .exits(3);
    failed.says(&["cannot be reached", "nothing.sock"]);
    let docker = |host: &str| {
        build(space, "x")
            .arg("--load=docker")
            .env("DOCKER_HOST", host)
    };
    docker("ssh://me@host")
        .exits(2)
        .says(&["kiln reaches daemons by sockets"]);
    docker("tcp://127.0.0.1:2376")
        .env("DOCKER_TLS_VERIFY", "1")
        .exits(2)
        .says(&["https://127.0.0.1:2376", "without TLS"]);
    let unknown = build(space, "x")
        .arg("--load=docker")
        .env("DOCKER_CONTEXT", "none");
    unknown.exits(3).says(&["docker has no context \"none\""]);
    build(space, "x")
        .arg("--load=dokcer")
        .exits(2)
        .says(&["docker", "podman", "containerd"]);
}

/// `ctr` is what it is: it says how it was called, keeps what it reads, or refuses it.
fn containerd_gets_an_archive(space: &Space) {
    let folder = space.own_folder("programs");
    let script = |end: &str| {
        let kept = folder.join("kept");
        let text = format!(
            "#!/bin/sh\nset -e\necho \"$@\" >{0}.call\ncat >{0}.tar\n{end}\n",
            kept.display()
        );
        let program = space.write_in("programs", "ctr", text);
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let loaded = || {
        let kiln = build(space, "x").arg("--load=containerd").arg("-q");
        kiln.env("PATH", &path).env("CONTAINERD_NAMESPACE", "mine")
    };
    script("");
    let told = String::from_utf8(loaded().stdout()).unwrap();
    let call = std::fs::read_to_string(folder.join("kept.call")).unwrap();
    let wanted = "--address /run/containerd/containerd.sock --namespace mine images import -";
    assert_eq!(call.trim(), wanted);
    let archive = folder.join("kept.tar");
    let other = space.own_folder("other");
    space
        .kiln(["load", "-q", "-i"])
        .arg(&archive)
        .env("KILN_STORE", &other)
        .ok();
    let told_id: Digest = told.trim().parse().unwrap();
    assert_ne!(told_id, space.id("app").parse().unwrap());
    script("echo 'ctr: content digest is wrong' >&2; exit 1");
    loaded()
        .exits(3)
        .says(&["containerd does not take the image: content digest is wrong"]);
    std::fs::remove_file(folder.join("ctr")).unwrap();
    let nowhere = folder.display().to_string();
    loaded()
        .env("PATH", &nowhere)
        .exits(3)
        .says(&["cannot start ctr"]);
    space.is_clean();
}
