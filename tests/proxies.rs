//! Proxies: for whom they count, and how RUN gets to see them. Mirrors that fail.

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::http::{Answer, Server};
use crate::support::registry::{Guard, Registry};
use crate::support::repository::Repository;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    this_machine_is_asked_directly,
    other_machines_are_asked_through_the_proxy,
    docker_names_proxies_for_run,
    podman_passes_proxies_on,
    mirrors_that_fail_are_named,
    quiet_builds_say_what_has_no_effect,
}

/// With a proxy at which nobody listens.
fn behind_a_proxy(mut build: Kiln) -> Kiln {
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        build = build.env(name, "http://127.0.0.1:1");
    }
    build
}

fn this_machine_is_asked_directly(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "from git");
    repository.commit();
    let (server, bucket, registry) = (
        Server::start(),
        Bucket::start(),
        Registry::start(Guard::Open),
    );
    server.serve_repositories(&space.path("repositories"));
    server.set("/file", Answer::file("by http"));
    let by_name = server.url("/file").replace("127.0.0.1", "localhost");
    let text = format!(
        "FROM scratch\nADD {} /a\nADD {by_name} /b\nADD {} /c\n",
        server.url("/file"),
        server.url("/git/app.git")
    );
    let cache = format!(
        "type=s3,bucket=ci,endpoint_url={},use_path_style=true,name=main,access_key_id={KEY},secret_access_key={SECRET}",
        bucket.endpoint
    );
    let push = format!("type=registry,name={}/app:1", registry.host);
    for no_proxy in ["", "example.org"] {
        let build = behind_a_proxy(space.build(&text)).args(["--cache-to", &cache, "-o", &push]);
        build
            .env("NO_PROXY", no_proxy)
            .env("no_proxy", no_proxy)
            .ok();
        let image = space.image("app");
        assert_eq!(
            (image.text("a"), image.text("b")),
            ("by http".to_owned(), "by http".to_owned())
        );
        assert_eq!(image.text("c/file"), "from git");
        assert!(!bucket.objects().is_empty());
        space.remove_store();
    }
}

/// A proxy gets the whole address.
fn other_machines_are_asked_through_the_proxy(space: &Space) {
    let proxy = Server::start();
    proxy.set(
        "http://elsewhere.invalid/file",
        Answer::file("by the proxy"),
    );
    let text = "FROM scratch\nADD http://elsewhere.invalid/file /file\n";
    space.build(text).env("http_proxy", proxy.url("")).ok();
    assert_eq!(space.image("app").text("file"), "by the proxy");
    assert_eq!(proxy.asked()[0].line, "GET http://elsewhere.invalid/file");
    let direct = space.build("FROM scratch\nADD http://elsewhere.invalid/other /file\n");
    direct
        .env("http_proxy", proxy.url(""))
        .env("no_proxy", ".invalid")
        .exits(1);
    assert!(proxy.asked().is_empty());
}

/// Tells the proxies that RUN sees.
const ENV: &str = "FROM tools\nRUN echo \"$HTTP_PROXY $http_proxy|$HTTPS_PROXY $https_proxy|$NO_PROXY $no_proxy|$FTP_PROXY $ftp_proxy\"\n";
const NONE: [&str; 1] = [" | | | "];

fn docker_names_proxies_for_run(space: &Space) {
    let config = r#"{"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"a,b"},"tcp://other:1":{"httpsProxy":"http://no"}}}"#;
    let folder = space.own_folder("docker");
    space.write_in("docker", "config.json", config);
    let build = |text: &str| {
        space
            .build(text)
            .env("DOCKER_CONFIG", &folder)
            .arg("--no-cache")
    };
    let seen = ["http://p:1 http://p:1| |a,b a,b| "];
    let built = build(ENV).ok();
    assert_eq!(built.output(), seen);
    let warned = |line: &str| line.starts_with("warning") && line.to_lowercase().contains("proxy");
    assert!(!built.stderr.lines().any(warned), "{built}");
    // they are in no image and in no key
    let id = space.id("app");
    assert!(!space.image("app").config.to_string().contains("http://p:1"));
    assert!(space.build(ENV).ok().output().is_empty());
    assert_eq!(space.id("app"), id);
    for name in ["http_proxy", "HTTP_PROXY"] {
        let given = format!("{name}=http://given");
        let built = build(ENV).args(["--build-arg", &given]).ok();
        assert_eq!(built.output(), ["http://given http://given| |a,b a,b| "]);
    }
    let without = build(ENV).arg("--http-proxy=false").ok();
    assert_eq!(without.output(), NONE);
    space.write_in("docker", "config.json", "{\"proxies\":[]}");
    let built = build(ENV).ok();
    assert_eq!(built.output(), NONE);
    built.says(&["proxies", "config.json"]);
}

fn podman_passes_proxies_on(space: &Space) {
    let build = |flags: &[&str]| {
        let build = space.build(ENV).arg("--no-cache").args(flags);
        let build = build
            .env("https_proxy", "http://p:2")
            .env("FTP_PROXY", "http://p:3");
        build.ok().output().join("")
    };
    assert_eq!(build(&[]), NONE[0]);
    assert_eq!(build(&["--http-proxy=false"]), NONE[0]);
    // an argument counts for both cases of its name
    let seen = " |http://p:2 http://p:2| |http://p:3 http://p:3";
    for flag in ["--http-proxy", "--http-proxy=true"] {
        assert_eq!(build(&[flag]), seen);
    }
}

fn mirrors_that_fail_are_named(space: &Space) {
    let (origin, mirror) = (Registry::start(Guard::Open), Registry::start(Guard::Basic));
    let name = format!("{}/team/base:1", origin.host);
    let push = format!("type=registry,name={name}");
    space
        .build("FROM scratch\nLABEL a=b\n")
        .args(["-o", &push])
        .ok();
    let text = format!("FROM {name}\n");
    let build = |mirror: &str| {
        space.remove_store();
        let map = format!("{}={mirror}", origin.host);
        space
            .build(&text)
            .args(["--retry=0", "--registry-map", &map])
    };
    let built = build(&mirror.host).ok();
    built.says(&[
        "warning",
        &format!("the mirror {} is passed over", mirror.host),
        "refuses access",
    ]);
    let built = build("127.0.0.1:1").ok();
    built.says(&["the mirror 127.0.0.1:1 is passed over", "cannot connect"]);
    // one that only lacks the image is no failure
    let empty = Registry::start(Guard::Open);
    build(&empty.host).ok().never_says(&["passed over"]);
    assert!(!empty.seen().is_empty());
    space.remove_store();
    space.write_in(
        "own",
        "registries.json",
        format!(
            "{{\"mirrors\":{{\"{}\":[\"http://127.0.0.1:1\"]}}}}",
            origin.host
        ),
    );
    let file = space.path("own/registries.json");
    let pulled = space
        .kiln(["pull", &name])
        .env("KILN_REGISTRIES", file)
        .ok();
    pulled.says(&["the mirror 127.0.0.1:1 is passed over"]);
    // where the registry fails too, the answers of all are told
    let map = format!("{0}={1};{0}={2}", origin.host, mirror.host, empty.host);
    space.remove_store();
    let missing = format!("FROM {}/team/other:1\n", origin.host);
    let failed = space
        .build(&missing)
        .args(["--retry=0", "--registry-map", &map])
        .exits(1);
    failed.says(&[
        &format!(
            "the mirror {} was asked ({} refuses access",
            mirror.host, mirror.host
        ),
        &format!("the mirror {} was asked (", empty.host),
        &format!(
            "then the registry: {}/team/other:1 is not in {}",
            origin.host, origin.host
        ),
    ]);
}

fn quiet_builds_say_what_has_no_effect(space: &Space) {
    let quiet = |flags: &[&str]| {
        space
            .build("FROM scratch\nLABEL a=b\n")
            .arg("-q")
            .args(flags)
            .ok()
    };
    for flags in [
        ["--cache-to", "type=gha,scope=x"],
        ["--cache-to", "type=inline"],
        ["--cache-from", "type=azblob,name=x"],
        ["--progress=plain", "--cache-from=type=gha"],
    ] {
        let built = quiet(&flags);
        built.says(&["warning", "has no effect"]);
        assert_eq!(built.stdout.lines().count(), 1, "{built}");
    }
    assert_eq!(quiet(&[]).stderr, "");
}
