//! What holds for every request over the network, whether it is for a registry, for a file that is added, or for object storage: how often
//! it is made, through which proxy, and that nobody has to wait for a server that says nothing.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::bucket::{KEY, SECRET};
use crate::support::http::{Answer, Server};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    failures_are_asked_again,
    proxies_count_for_all,
    a_silent_server_is_left_when_the_user_stops_the_build,
    a_silent_cache_is_left_when_the_user_stops_the_build,
}

/// How many builds there were.
static BUILDS: AtomicUsize = AtomicUsize::new(0);

/// A build that makes a request of some kind to `host`, and what the request line has in it. Of one kind after the other: each writes the
/// Dockerfile.
fn builds(space: &Space, host: &str) -> impl Iterator<Item = (Kiln, &'static str)> {
    let build = move |text: &str| space.build(text).args(["--insecure-registry", host]);
    let kinds = ["/v2/base/manifests/1", "/file", "/ci/manifests/main"];
    kinds.into_iter().map(move |part| match part {
        "/file" => (build(&format!("FROM scratch\nADD http://{host}/file /\n")), part),
        "/ci/manifests/main" => {
            // A build that has been made before reads no cache.
            let number = BUILDS.fetch_add(1, Ordering::Relaxed);
            space.write("word", number.to_string());
            let cache = format!(
                "type=s3,bucket=ci,endpoint_url=http://{host},use_path_style=true,name=main,access_key_id={KEY},secret_access_key={SECRET}"
            );
            (build("FROM scratch\nCOPY word /\n").args(["--cache-from", &cache]), part)
        }
        part => (build(&format!("FROM {host}/base:1\n")), part),
    })
}

/// How often `server` was asked for what has `part` in its address.
fn asked(server: &Server, part: &str) -> usize {
    let asked = server.asked();
    asked
        .iter()
        .filter(|asked| asked.line.contains(part))
        .count()
}

fn failures_are_asked_again(space: &Space) {
    let server = Server::start();
    server.set("/v2/", Answer::file(""));
    for path in ["/v2/base/manifests/1", "/file", "/ci/manifests/main"] {
        server.set(path, Answer::status("503 Service Unavailable"));
    }
    let host = server.url("").replace("http://", "");
    for (flags, requests) in [
        (&["--retry=0"][..], 1),
        (&["--retry=3", "--retry-delay=10ms"], 4),
    ] {
        for (build, part) in builds(space, &host) {
            let ended = build.args(flags).run();
            assert!(ended.stderr.contains("503"), "{ended}");
            assert_eq!(asked(&server, part), requests, "{part}");
        }
    }
}

fn proxies_count_for_all(space: &Space) {
    let proxy = Server::start();
    for (no_proxy, is_asked) in [
        ("", true),
        ("other.example", true),
        (".invalid", false),
        ("*", false),
    ] {
        for (build, part) in builds(space, "elsewhere.invalid") {
            let build = build.arg("--retry=0").env("http_proxy", proxy.url(""));
            build.env("no_proxy", no_proxy).run();
            let whole = format!("http://elsewhere.invalid{part}");
            assert_eq!(asked(&proxy, &whole) > 0, is_asked, "{part} {no_proxy}");
        }
    }
}

fn a_silent_server_is_left_when_the_user_stops_the_build(space: &Space) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    for (build, part) in builds(space, &host) {
        let running = build.spawn();
        let _connection = listener.accept().unwrap();
        running.signal(Signal::INT);
        let ended = running.wait();
        assert_eq!(ended.status.code(), Some(130), "{part} {ended}");
    }
}

fn a_silent_cache_is_left_when_the_user_stops_the_build(space: &Space) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = format!("type=registry,ref={}/cache", listener.local_addr().unwrap());
    for flag in ["--cache-from", "--cache-to"] {
        let build = space.build("FROM scratch\nCOPY Dockerfile /\n");
        let running = build.args([flag, &cache]).spawn();
        let _connection = listener.accept().unwrap();
        running.signal(Signal::INT);
        let ended = running.wait();
        assert_eq!(ended.status.code(), Some(130), "{flag} {ended}");
    }
}
