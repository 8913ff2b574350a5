//! `ADD` of addresses: what the file looks like, when it is fetched again, who gets credentials, what goes wrong.

use kiln_oci::Digest;

use kiln_oci::LayerCompression;

use crate::support::http::{Answer, Server};
use crate::support::tar::compressed;
use crate::support::{Kind, Space, plain_cases};

plain_cases! {
    a_fetched_file_looks_as_docker_makes_it,
    an_unchanged_file_is_not_fetched_again,
    a_file_without_a_tag_is_known_by_its_time,
    dates_come_in_three_forms,
    compression_of_the_way_is_undone,
    a_checksum_needs_no_network_twice,
    archives_are_unpacked_only_on_demand,
    credentials_go_to_their_host_alone,
    failures_show_the_line,
    offline_names_all_that_is_missing,
}

/// 2015-10-21T07:28:00Z
const MODIFIED: (&str, u64) = ("Wed, 21 Oct 2015 07:28:00 GMT", 1_445_412_480);

fn a_fetched_file_looks_as_docker_makes_it(space: &Space) {
    let server = Server::start();
    let dated = Answer::file("dated").header("Last-Modified", MODIFIED.0);
    server.set("/a/dated.txt", dated);
    server.set("/plain", Answer::file("plain"));
    let (dated, plain) = (server.url("/a/dated.txt?x=1"), server.url("/plain"));
    let text = format!(
        "FROM scratch\nADD {dated} /folder/\nADD {plain} /renamed\n\
         ADD --chown=7:8 --chmod=644 --link {dated} {plain} /owned/\n"
    );
    space.build(&text).ok();
    let image = space.image("app");
    let entry = image.entry("folder/dated.txt");
    assert_eq!(entry.kind, Kind::File(b"dated".to_vec()));
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o600, 0, 0));
    assert_eq!(entry.mtime, MODIFIED.1);
    assert_eq!(image.text("renamed"), "plain");
    assert_eq!(image.entry("renamed").mtime, 0);
    let entry = image.entry("owned/plain");
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o644, 7, 8));
    // Once for each address, however often it is used.
    assert_eq!(server.asked().len(), 2);
}

fn an_unchanged_file_is_not_fetched_again(space: &Space) {
    let server = Server::start();
    let version = |etag: &str, body: &str| Answer::file(body).header("ETag", etag);
    server.set("/file", version("\"1\"", "one"));
    let text = format!(
        "FROM tools\nADD {} /file\nRUN cat /file\n",
        server.url("/file")
    );
    let first = space.build(&text).ok();
    assert_eq!(first.output(), ["one"]);
    assert_eq!(lines(&server), ["GET /file"]);
    let id = space.id("app");
    let second = space.build(&text).ok();
    assert_eq!(lines(&server), ["HEAD /file"]);
    assert_eq!((second.output().len(), space.id("app")), (0, id));
    server.set("/file", version("\"2\"", "two"));
    let third = space.build(&text).ok();
    assert_eq!(third.output(), ["two"]);
    assert_eq!(lines(&server), ["HEAD /file", "GET /file"]);
    // Another ETag and the same bytes: the file is fetched, and nothing that follows runs.
    server.set("/file", version("\"3\"", "two"));
    assert_eq!(space.build(&text).ok().output().len(), 0);
    space.build(&text).ok();
    assert_eq!(lines(&server), ["HEAD /file", "GET /file", "HEAD /file"]);
    // Without an ETag it is fetched each time.
    server.set("/file", Answer::file("two"));
    for _ in 0..2 {
        assert_eq!(space.build(&text).ok().output().len(), 0);
    }
    assert_eq!(lines(&server).last().unwrap(), "GET /file");
}

fn lines(server: &Server) -> Vec<String> {
    server.asked().into_iter().map(|asked| asked.line).collect()
}

fn a_file_without_a_tag_is_known_by_its_time(space: &Space) {
    let server = Server::start();
    let dated = |date: &str, body: &str| Answer::file(body).header("Last-Modified", date);
    let text = format!("FROM scratch\nADD {} /file\n", server.url("/file"));
    let build = || {
        space.build(&text).ok();
        (lines(&server), space.image("app").text("file"))
    };
    server.set("/file", dated(MODIFIED.0, "one"));
    assert_eq!(build(), (vec!["GET /file".to_owned()], "one".to_owned()));
    assert_eq!(build(), (vec!["HEAD /file".to_owned()], "one".to_owned()));
    space.build(&text).ok();
    let asked = server.asked().remove(0);
    assert_eq!(asked.headers["if-modified-since"], MODIFIED.0);
    let both = vec!["HEAD /file".to_owned(), "GET /file".to_owned()];
    server.set("/file", dated("Wed, 21 Oct 2015 07:28:01 GMT", "two"));
    assert_eq!(build(), (both, "two".to_owned()));
    // A time that is as young as the answer tells nothing: the file may change again within its second.
    let young = "Wednesday, 21-Oct-15 07:28:02 GMT";
    let answer = |body: &str| dated(young, body).header("Date", young);
    server.set("/file", answer("three"));
    build();
    server.set("/file", answer("four"));
    assert_eq!(build(), (vec!["GET /file".to_owned()], "four".to_owned()));
}

fn dates_come_in_three_forms(space: &Space) {
    let server = Server::start();
    let forms = [
        (MODIFIED.0, MODIFIED.1),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", MODIFIED.1),
        ("Wed Oct 21 07:28:00 2015", MODIFIED.1),
        ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("yesterday", 0),
        ("2015-10-21T07:28:00Z", 0),
    ];
    let mut text = "FROM scratch\n".to_owned();
    for (number, (date, _)) in forms.iter().enumerate() {
        let path = format!("/{number}");
        server.set(&path, Answer::file("x").header("Last-Modified", date));
        text += &format!("ADD {} /\n", server.url(&path));
    }
    space.build(&text).ok();
    let image = space.image("app");
    for (number, (date, time)) in forms.iter().enumerate() {
        assert_eq!(image.entry(&number.to_string()).mtime, *time, "{date}");
    }
}

/// As Go's client does, which asks for gzip and undoes nothing else; what the file itself is stays.
fn compression_of_the_way_is_undone(space: &Space) {
    let server = Server::start();
    let gzip = |bytes: &[u8]| compressed(bytes, LayerCompression::Gzip(6));
    let encoded =
        |body: Vec<u8>, encoding: &str| Answer::file(body).header("Content-Encoding", encoding);
    server.set("/text", encoded(gzip(b"text"), "gzip"));
    server.set("/twice.gz", encoded(gzip(&gzip(b"text")), "GZip"));
    server.set("/plain.gz", Answer::file(gzip(b"text")));
    server.set("/other", encoded(gzip(b"text"), "x-gzip"));
    server.set("/empty", encoded(Vec::new(), "gzip"));
    let url = |path: &str| server.url(path);
    let sum = Digest::of(b"text");
    let text = format!(
        "FROM scratch\nADD {} {} {} {} {} /\nADD --checksum={sum} {} /sum\n",
        url("/text"),
        url("/twice.gz"),
        url("/plain.gz"),
        url("/other"),
        url("/empty"),
        url("/text")
    );
    space.build(&text).ok();
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers["accept-encoding"] == "gzip")
    );
    let image = space.image("app");
    assert_eq!(
        (image.text("text"), image.text("sum")),
        ("text".to_owned(), "text".to_owned())
    );
    for name in ["twice.gz", "plain.gz", "other"] {
        assert_eq!(image.entry(name).kind, Kind::File(gzip(b"text")), "{name}");
    }
    assert_eq!(image.text("empty"), "");
    // contexts and Dockerfiles come the same way
    let dockerfile = b"FROM scratch\nLABEL came=compressed\n";
    server.set("/Dockerfile", encoded(gzip(dockerfile), "gzip"));
    space.kiln(["build", "-t", "app", &url("/Dockerfile")]).ok();
    assert_eq!(space.image("app").setting("Labels")["came"], "compressed");
    // one that is cut off is no file
    let mut cut = gzip(&[b'x'; 1000]);
    cut.truncate(12);
    server.set("/cut", encoded(cut, "gzip"));
    let failed = space
        .build(&format!("FROM scratch\nADD {} /\n", url("/cut")))
        .exits(1);
    failed.says(&["Dockerfile:2", "cannot fetch"]);
}

fn a_checksum_needs_no_network_twice(space: &Space) {
    let server = Server::start();
    server.set("/file", Answer::file("content"));
    let right = Digest::of(b"content").to_string();
    let wrong = Digest::of(b"other").to_string();
    let text = |checksum: &str, path: &str| {
        let url = server.url(path);
        format!("FROM scratch\nADD --checksum={checksum} {url} /file\n")
    };
    let failed = space.build(&text(&wrong, "/file")).exits(1);
    failed.says(&["Dockerfile:2", &right, &wrong]);
    space.build(&text(&right, "/file")).ok();
    assert_eq!(server.asked().len(), 2);
    space.build(&text(&right, "/file")).ok();
    space.build(&text(&right, "/elsewhere/file")).ok();
    space.build(&text(&right, "/file")).arg("--no-cache").ok();
    assert_eq!(server.asked().len(), 0);
    assert_eq!(space.image("app").text("file"), "content");
    let sha512 = "b2d1d285b5199c85f988d03649c37e44fd3dde01e5d69c50fef90651962f48110e9340b60d49a479c4c0b53f5f07d690686dd87d2481937a512e8b85ee7c617f";
    space
        .build(&text(&format!("sha512:{sha512}"), "/file"))
        .ok();
}

fn archives_are_unpacked_only_on_demand(space: &Space) {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o640);
    header.set_cksum();
    archive
        .append_data(&mut header, "inner/file", &b"hi"[..])
        .unwrap();
    let server = Server::start();
    server.set("/a.tar", Answer::file(archive.into_inner().unwrap()));
    let url = server.url("/a.tar");
    let text = format!(
        "FROM scratch\nADD {url} /kept/\nADD --unpack {url} /open/\nADD --unpack=false {url} /no/\n"
    );
    space.build(&text).ok();
    let image = space.image("app");
    assert!(image.has("kept/a.tar") && image.has("no/a.tar") && !image.has("open/a.tar"));
    assert_eq!(image.text("open/inner/file"), "hi");
    assert_eq!(image.entry("open/inner/file").mode, 0o640);
}

fn credentials_go_to_their_host_alone(space: &Space) {
    let (server, other) = (Server::start(), Server::start());
    other.set("/file", Answer::file("x"));
    let redirect = Answer::status("302 Found").header("Location", &other.url("/file"));
    server.set("/file", redirect);
    let text = format!("FROM scratch\nADD {} /file\n", server.url("/file"));
    let built = space
        .build(&text)
        .env("KILN_LOG", "trace")
        .env("TOKEN", "s3cr3t-token")
        .args(["--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN"])
        .ok();
    built.never_says(&["s3cr3t-token"]);
    let sent = |server: &Server| server.asked()[0].headers.get("authorization").cloned();
    assert_eq!(sent(&server).as_deref(), Some("Bearer s3cr3t-token"));
    assert_eq!(sent(&other), None);
    server.set("/private", Answer::status("401 Unauthorized"));
    let url = server
        .url("/private")
        .replace("http://", "http://me:hidden@");
    let failed = space
        .build(&format!("FROM scratch\nADD {url} /file\n"))
        .exits(1);
    failed
        .says(&["401 Unauthorized", "HTTP_AUTH_TOKEN_127.0.0.1"])
        .never_says(&["failed: http://me:hidden"]);
}

fn failures_show_the_line(space: &Space) {
    let server = Server::start();
    let text = format!("FROM scratch\nADD {} /file\n", server.url("/gone"));
    let failed = space.build(&text).exits(1);
    failed.says(&["Dockerfile:2", "ADD failed", "404 Not Found"]);
    assert_eq!(server.asked().len(), 1);
    let url = server.url("/file");
    drop(server);
    let failed = space
        .build(&format!("FROM scratch\nADD {url} /f\n"))
        .exits(1);
    failed.says(&["Dockerfile:2", "cannot fetch", "refused"]);
    space.is_clean();
}

/// All at once, each with its line, and before anything runs.
fn offline_names_all_that_is_missing(space: &Space) {
    let text = "FROM scratch\nADD http://127.0.0.1:1/a /a\nADD http://127.0.0.1:1/b.git#main /b\n";
    let refused = space.build(text).arg("--offline").exits(1);
    refused.says(&[
        "http://127.0.0.1:1/a is needed, and the network must not be used",
        "Dockerfile:2",
        "http://127.0.0.1:1/b.git",
        "Dockerfile:3",
        "sources are missing",
        "without --offline",
    ]);
}
