//! kiln as docker's plugin: how it is put in place and taken away, how docker calls it, and where what is built goes.

use crate::support::engine::{Engine, Kind};
use crate::support::{Kiln, Space, plain_cases};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

plain_cases! {
    what_is_installed_goes_without_a_trace,
    another_plugin_is_moved_aside_and_comes_back,
    an_alias_comes_and_goes,
    what_is_no_plugin_is_left_alone,
    docker_is_answered,
    what_is_built_goes_to_docker,
    a_base_is_what_docker_means_by_its_name,
    verbs_for_instances_are_answered,
    docker_stops_it_without_a_signal,
}

const PLUGIN: &str = "$HOME/.docker/cli-plugins/docker-buildx";

/// Everything below a folder: paths with the targets of links, and contents.
fn all(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::from([(folder.display().to_string(), Vec::new())]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, kind) = entry
            .map(|entry| (entry.path(), entry.file_type().unwrap()))
            .unwrap();
        let content = match kind {
            kind if kind.is_symlink() => std::fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes(),
            kind if kind.is_dir() => {
                found.extend(all(&path));
                continue;
            }
            _ => std::fs::read(&path).unwrap(),
        };
        found.insert(path.display().to_string(), content);
    }
    found
}

/// Asserts that standard output holds all of these.
#[track_caller]
fn prints(kiln: Kiln, texts: &[&str]) {
    let ended = kiln.ok();
    for text in texts {
        assert!(
            ended.stdout.contains(text),
            "{text:?} is not printed\n{ended}"
        );
    }
}

/// The home of a case, made once.
fn home(space: &Space) -> PathBuf {
    let home = space.path("home");
    match home.is_dir() {
        true => home,
        false => space.own_folder("home"),
    }
}

/// A script in a home of its own, after `kiln docker-plugin install`.
fn installed(space: &Space, script: &str) -> Kiln {
    let home = home(space);
    let script = format!("kiln docker-plugin install 2>/dev/null\n{script}");
    space.shell(&script).env("HOME", home)
}

fn what_is_installed_goes_without_a_trace(space: &Space) {
    let home = home(space);
    let before = all(&home);
    let status = installed(
        space,
        &format!("test -x \"{PLUGIN}\"\nkiln docker-plugin status"),
    );
    prints(status, &["docker-buildx: kiln"]);
    installed(space, "kiln docker-plugin uninstall").ok();
    assert_eq!(all(&home), before);
    // a second time there is nothing to do
    space
        .shell("kiln docker-plugin uninstall")
        .env("HOME", &home)
        .ok();
    // folders that were there stay, with what is in them
    space
        .shell("mkdir -p \"$HOME/.docker/cli-plugins\"; echo x >\"$HOME/.docker/config.json\"")
        .env("HOME", &home)
        .ok();
    let before = all(&home);
    installed(space, "kiln docker-plugin uninstall").ok();
    assert_eq!(all(&home), before);
}

fn another_plugin_is_moved_aside_and_comes_back(space: &Space) {
    let home = home(space);
    let answer = r#"{"SchemaVersion":"0.1.0","Vendor":"Docker Inc.","Version":"v0.13.1"}"#;
    let script = format!(
        "mkdir -p \"$HOME/.docker/cli-plugins\"\nprintf '#!/bin/sh\\necho '\"'\"'{answer}'\"'\" >\"{PLUGIN}\"\nchmod +x \"{PLUGIN}\""
    );
    space.shell(&script).env("HOME", &home).ok();
    let before = all(&home);
    let told = installed(
        space,
        &format!("\"{PLUGIN}\" docker-cli-plugin-metadata; kiln docker-plugin uninstall"),
    );
    prints(told, &["\"Vendor\":\"kiln\""]);
    assert_eq!(all(&home), before);
}

fn what_is_no_plugin_is_left_alone(space: &Space) {
    for foreign in ["echo text >", "mkdir -p "] {
        let home = home(space);
        let script = format!(
            "rm -rf \"$HOME/.docker\"; mkdir -p \"$HOME/.docker/cli-plugins\"\n{foreign}\"{PLUGIN}\""
        );
        space.shell(&script).env("HOME", &home).ok();
        let before = all(&home);
        let refused = space
            .shell("kiln docker-plugin install")
            .env("HOME", &home)
            .exits(3);
        refused.says(&["it is left alone"]);
        space
            .shell("kiln docker-plugin uninstall")
            .env("HOME", &home)
            .ok();
        assert_eq!(all(&home), before);
    }
}

/// docker asks before it calls, readers of the version take the first number for buildx's, and no verb is a question for help.
fn docker_is_answered(space: &Space) {
    let told = installed(space, &format!("\"{PLUGIN}\" docker-cli-plugin-metadata")).stdout();
    let metadata: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(metadata["SchemaVersion"], "0.1.0");
    let version = metadata["Version"].as_str().unwrap();
    assert!(version.starts_with('v'), "{version}");
    let told = installed(space, &format!("\"{PLUGIN}\" buildx version")).stdout();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told.split(' ').nth(1), Some(version));
    for line in [
        "",
        "buildx",
        "--config C -D buildx",
        "buildx --help",
        "help buildx",
    ] {
        prints(
            installed(space, &format!("\"{PLUGIN}\" {line}")),
            &["Usage:"],
        );
    }
    installed(space, &format!("\"{PLUGIN}\" buildx dial-stdio")).exits(1);
}

fn what_is_built_goes_to_docker(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Docker);
    space.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let build = |line: &str| {
        let script = format!("\"{PLUGIN}\" {line} \"$CONTEXT\"");
        installed(space, &script)
            .env("CONTEXT", space.context())
            .env("DOCKER_HOST", engine.address())
    };
    build("buildx build -t one").ok();
    assert_eq!(engine.id("one:latest"), Some(space.id("one")));
    build("build -t two").ok();
    build("-D buildx build --load -t three").ok();
    build("buildx build -o type=docker -t four").ok();
    build("buildx build -o type=docker,name=five").ok();
    for name in ["two", "three", "four", "five"] {
        assert_eq!(
            engine.id(&format!("{name}:latest")),
            engine.id("one:latest")
        );
    }
    let id = build("buildx build -q").stdout();
    assert_eq!(
        String::from_utf8(id).unwrap().trim(),
        engine.id("one:latest").unwrap()
    );
    // what goes elsewhere does not go to docker
    let before = engine.asked().len();
    for elsewhere in [
        "-o type=cacheonly",
        "-o out",
        "-o type=docker,dest=file.tar",
        "--load=false",
        "--call check",
    ] {
        build(&format!("buildx build -t other {elsewhere}")).ok();
    }
    assert_eq!(engine.asked().len(), before);
    assert_eq!(engine.id("other:latest"), None);
}

/// What only docker has comes once for each ID, and what docker has goes before what kiln's store has under the same name.
fn a_base_is_what_docker_means_by_its_name(space: &Space) {
    let engine = Engine::start(&space.own(), Kind::Docker);
    let given = |content: &str| {
        space.write("file", content);
        space.write("Dockerfile", "FROM scratch\nCOPY file /\n");
        let base = space.kiln(["--store"]).arg(space.own().join("elsewhere"));
        let base = base.args(["build", "-t", "only", "--load=docker"]);
        base.arg(space.context())
            .env("DOCKER_HOST", engine.address())
            .ok();
    };
    let build = |more: &str| {
        space.write("Dockerfile", "FROM only\nCOPY Dockerfile /\n");
        installed(
            space,
            &format!("\"{PLUGIN}\" build -t app {more} \"$CONTEXT\""),
        )
        .env("CONTEXT", space.context())
        .env("DOCKER_HOST", engine.address())
        .env("KILN_OFFLINE", "1")
    };
    let saved = || {
        let asked = engine.asked();
        asked.iter().filter(|line| line.ends_with("/get")).count()
    };
    given("first");
    build("").ok();
    assert_eq!(space.image("app").text("file"), "first");
    build("-o type=cacheonly").ok();
    assert_eq!(saved(), 1);
    given("second");
    build("").ok();
    assert_eq!(space.image("app").text("file"), "second");
    assert_eq!(saved(), 2);
    space.write("file", "third");
    space.write("Dockerfile", "FROM scratch\nCOPY file /\n");
    let named = space.kiln(["build", "-t", "only"]);
    named.arg(space.context()).ok();
    build("").ok();
    assert_eq!(space.image("app").text("file"), "second");
    assert_eq!(saved(), 2);
    build("--build-context only=docker-image://nobody/has")
        .exits(1)
        .says(&["nobody/has"]);
}

fn verbs_for_instances_are_answered(space: &Space) {
    let run = |line: &str| installed(space, &format!("\"{PLUGIN}\" {line}"));
    assert_eq!(run("buildx create --name mine --driver docker-container --use --driver-opt a=b --buildkitd-flags '--allow-insecure-entitlement network.host'").stdout(), b"mine\n");
    prints(
        run("buildx inspect --bootstrap mine"),
        &["Name:          mine", "Status:           running"],
    );
    prints(run("buildx ls"), &["mine", "default*"]);
    let listed = String::from_utf8(run("buildx ls --format json").stdout()).unwrap();
    let templated = run("buildx ls --format '{{json . }}'").stdout();
    assert_eq!(templated, listed.as_bytes());
    for line in listed.lines() {
        let builder: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(builder["Nodes"][0]["Status"], "running");
    }
    run("buildx use mine").ok();
    run("buildx stop mine").ok();
    run("buildx rm mine").ok();
    run("buildx inspect mine")
        .exits(1)
        .says(&["no builder \"mine\" found"]);
    run("buildx inspect").ok();
    run("buildx create --driver kubernetes").exits(1);
    run("buildx create ssh://elsewhere").exits(1);
    run("buildx create --name ../x").exits(1);
    run("buildx build --nonsense .").exits(125);
    run("buildx build --load=x .").exits(125);
    run("build").exits(1);
    run("build . .").exits(1);
    run("buildx du").ok();
    run("buildx prune -f").ok();
    run("buildx history ls").ok();
    let home = home(space);
    space
        .shell("kiln docker-plugin uninstall")
        .env("HOME", &home)
        .ok();
    assert!(all(&home).len() == 1, "{:?}", all(&home).keys());
}

/// docker closes the socket that it has named.
fn docker_stops_it_without_a_signal(space: &Space) {
    let name = format!("docker_cli{}", space.own().display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let docker = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        "printf 'FROM tools\\nRUN echo begun; sleep 1000\\n' >\"$HOME/Dockerfile\"\nexec \"{PLUGIN}\" buildx build --progress plain --build-context tools=host-tools:sh,sleep \"$HOME\""
    );
    let mut running = installed(space, &script)
        .env("DOCKER_CLI_PLUGIN_SOCKET", format!("@{name}"))
        .spawn();
    let (mut connection, _) = docker.accept().unwrap();
    running.until("begun");
    connection.set_nonblocking(true).unwrap();
    assert!(connection.read(&mut [0]).is_err());
    drop(connection);
    let ended = running.wait();
    assert_eq!(ended.status.code(), Some(130), "{ended}");
}

fn an_alias_comes_and_goes(space: &Space) {
    let home = home(space);
    let run = |script: &str| space.shell(script).env("HOME", &home);
    let before = all(&home);
    let install = "kiln docker-plugin install --alias 2>/dev/null";
    let says = "grep -q '\"builder\": \"kiln\"' \"$HOME/.docker/config.json\"";
    let uninstall = "kiln docker-plugin uninstall";
    run(&format!("{install}\n{says}\ntest -x \"$HOME/.docker/cli-plugins/docker-kiln\"\n{install}\n{uninstall}")).ok();
    assert_eq!(all(&home), before);
    // a file that was there comes back as it was, and a change of somebody else stays
    let config = "{\"auths\":   {\"r.test\": {}}, \"aliases\": {\"x\": \"y\"}}";
    let path = space.write_in("home", ".docker/config.json", config);
    space.give(path.parent().unwrap());
    space.give(&path);
    let before = all(&home);
    run(&format!("{install}\n{says}\n{uninstall}")).ok();
    assert_eq!(all(&home), before);
    run(&format!(
        "{install}\nsed -i s/r.test/s.test/ \"$HOME/.docker/config.json\"\n{uninstall}"
    ))
    .ok();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("s.test") && text.contains("\"x\"") && !text.contains("kiln"),
        "{text}"
    );
    // another builder stays
    for wrong in ["{\"aliases\":{\"builder\":\"other\"}}", "[]", "{"] {
        let path = space.write_in("home", ".docker/config.json", wrong);
        space.give(&path);
        run("kiln docker-plugin install --alias")
            .exits(3)
            .says(&["it is left alone"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
        run(uninstall).ok();
    }
}
