//! `SOURCE_DATE_EPOCH` as the name of what has a time: named contexts, and stages that only fetch one thing. Unaware of what a time changes.

use crate::support::http::{Answer, Server};
use crate::support::repository::Repository;
use crate::support::tar::Tar;
use crate::support::{Kiln, Space, plain_cases};
use kiln_oci::tarfile::{HeaderFields, Kind, write_header};

plain_cases! {
    a_named_context_gives_its_time,
    a_stage_that_fetches_gives_its_time,
    other_stages_are_refused,
}

/// What RUN sees of the argument.
const TOLD: &str = "FROM tools\nARG SOURCE_DATE_EPOCH\nRUN echo ${SOURCE_DATE_EPOCH-none}\n";

/// A repository of 2020, a file of 2015, one without a time, and an archive whose newest file is of 2017.
fn server(space: &Space) -> Server {
    let repository = Repository::new(space, "code");
    repository.write("lib.c", "library");
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let dated = Answer::file("text").header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT");
    server.set("/dated", dated);
    server.set("/undated", Answer::file("text"));
    let mut tar = Tar::default();
    for (path, mtime) in [("old", 1), ("new", 1_500_000_000), ("middle", 2)] {
        let fields = HeaderFields {
            mtime,
            ..HeaderFields::new(path.as_bytes(), Kind::File)
        };
        write_header(&mut tar.0, &fields).unwrap();
    }
    server.set("/tar", Answer::file(tar.end()));
    server
}

/// A build with `stages` before the one that tells the argument; `URL` is the server's address.
fn build(space: &Space, server: &Server, stages: &str) -> Kiln {
    let text = format!("{stages}{TOLD}").replace("URL", &server.url(""));
    space.build(&text).arg("--no-cache")
}

fn named(name: &str) -> String {
    format!("--build-arg=SOURCE_DATE_EPOCH={name}")
}

fn a_named_context_gives_its_time(space: &Space) {
    let server = server(space);
    for (name, seconds) in [
        ("code", "1577934245"),
        ("dated", "1445412480"),
        ("tar", "1500000000"),
        ("undated", "none"),
        ("folder", "none"),
        ("+007", "7"),
        ("", "none"),
    ] {
        let mut build = build(space, &server, "").arg("--build-context=folder=.");
        for (context, path) in [
            ("code", "/git/code.git"),
            ("dated", "/dated"),
            ("undated", "/undated"),
            ("tar", "/tar"),
        ] {
            build = build.arg(format!("--build-context={context}={}", server.url(path)));
        }
        assert_eq!(build.arg(named(name)).ok().output(), [seconds], "{name}");
    }
}

fn a_stage_that_fetches_gives_its_time(space: &Space) {
    let server = server(space);
    for (add, seconds) in [
        ("ADD URL/git/code.git /", "1577934245"),
        ("ARG FILE=dated\nADD URL/$FILE /x", "1445412480"),
        ("ADD URL/tar /x", "1500000000"),
        ("ADD URL/undated /x", "none"),
    ] {
        let stage = format!("FROM scratch AS Times\n{add}\n");
        let built = build(space, &server, &stage).arg(named("tIMES")).ok();
        assert_eq!(built.output(), [seconds], "{add}");
        let global = format!("ARG SOURCE_DATE_EPOCH=times\n{stage}");
        let built = build(space, &server, &global).ok();
        assert_eq!(built.output(), [seconds], "{add}");
    }
}

fn other_stages_are_refused(space: &Space) {
    let server = server(space);
    for (stage, why) in [
        (
            "FROM tools AS times\nADD URL/tar /\n",
            "must be FROM scratch",
        ),
        (
            "FROM scratch AS times\nADD URL/tar /\nWORKDIR /x\n",
            "ARG and ADD only",
        ),
        (
            "FROM scratch AS times\nADD URL/tar URL/dated /\n",
            "must ADD one",
        ),
        (
            "FROM scratch AS times\nADD URL/tar /\nADD URL/dated /\n",
            "must ADD one",
        ),
        ("FROM scratch AS times\nADD Dockerfile /\n", "must ADD one"),
        ("FROM scratch AS times\n", "must ADD one"),
        (
            "FROM scratch AS other\n",
            "invalid SOURCE_DATE_EPOCH: times",
        ),
    ] {
        let failed = build(space, &server, stage).arg(named("times")).exits(1);
        failed.says(&[why]);
    }
}
