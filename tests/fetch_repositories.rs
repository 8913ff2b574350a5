//! `ADD` of git repositories of other kinds: ids of SHA-256, servers that know nothing of git, folders with `..` in their path.

use crate::support::http::Server;
use crate::support::repository::{Repository, git};
use crate::support::{Space, plain_cases};

plain_cases! {
    ids_may_be_of_sha256,
    submodules_come_from_plain_files_too,
    folders_are_clean_paths,
}

fn added(space: &Space, source: &str) {
    space.build(&format!("FROM scratch\nADD {source} /\n")).ok();
}

fn ids_may_be_of_sha256(space: &Space) {
    let repository = Repository::of_format(space, "app", "sha256");
    repository.write("version", "first");
    let first = repository.commit();
    assert_eq!(first.len(), 64);
    git(&repository.work(), &["tag", "-a", "-m", "x", "v1"]);
    git(&repository.work(), &["tag", "light"]);
    repository.write("version", "second");
    repository.commit();
    git(&repository.work(), &["checkout", "-q", "-b", "other"]);
    repository.write("version", "third");
    repository.commit();
    repository.publish_as_files();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    server.serve_files(&space.path("repositories"));
    for url in [server.url("/git/app.git"), server.url("/files/app.git")] {
        for (query, content) in [
            ("", "second"),
            ("#main", "second"),
            ("#other", "third"),
            ("#v1", "first"),
            ("?tag=light", "first"),
            (&format!("#{first}"), "first"),
            (&format!("#{}", &first[..12]), "first"),
            (&format!("?branch=main&checksum={}", "0".repeat(8)), ""),
        ] {
            if content.is_empty() {
                let text = format!("FROM scratch\nADD {url}{query} /\n");
                space
                    .build(&text)
                    .exits(1)
                    .says(&["Dockerfile:2", "expected commit"]);
                continue;
            }
            added(space, &format!("{url}{query}"));
            assert_eq!(space.image("app").text("version"), content, "{url}{query}");
            // each anew, and not from what an earlier one left
            space.remove_store();
        }
    }
    added(
        space,
        &format!("--keep-git-dir {}#v1", server.url("/git/app.git")),
    );
    assert_eq!(space.image("app").text(".git/HEAD"), format!("{first}\n"));
}

fn submodules_come_from_plain_files_too(space: &Space) {
    let inner = Repository::new(space, "inner");
    inner.write("lib.c", "inner");
    inner.commit();
    let outer = Repository::new(space, "outer");
    outer.write("main.c", "outer");
    let folder = space.path("repositories/inner.git");
    let add = ["submodule", "--quiet", "add", folder.to_str().unwrap()];
    git(&outer.work(), &[&add[..], &["lib"]].concat());
    git(&outer.work(), &[&add[..], &["again"]].concat());
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    server.serve_files(&space.path("repositories"));
    let place = |name: &str, url: &str| {
        let key = format!("submodule.{name}.url");
        git(&outer.work(), &["config", "-f", ".gitmodules", &key, url]);
    };
    // one from each kind of server: what came before the failure must not stay half
    place("again", &server.url("/git/inner.git"));
    place("lib", &server.url("/files/inner.git"));
    outer.commit();
    outer.publish_as_files();
    inner.write("lib.c", "newer");
    inner.commit();
    inner.publish_as_files();
    for url in [server.url("/git/outer.git"), server.url("/files/outer.git")] {
        added(space, &url);
        let image = space.image("app");
        assert_eq!(image.text("main.c"), "outer");
        assert_eq!(
            (image.text("lib/lib.c"), image.text("again/lib.c")),
            ("inner".to_owned(), "inner".to_owned())
        );
        assert!(!image.has("lib/.git") && !image.has(".git"));
        space.is_clean();
        space.remove_store();
    }
}

/// By the name alone, as BuildKit cleans it: no link is looked at, and nothing is above the repository.
fn folders_are_clean_paths(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("deep/folder/file", "deep");
    repository.write("top", "top");
    std::os::unix::fs::symlink("/etc", repository.work().join("out")).unwrap();
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let url = server.url("/git/app.git");
    for query in [
        "#:deep/x/../folder",
        "#main:out/../deep/folder",
        "?subdir=../deep//folder/",
        "#:/../../deep/./folder/a/..",
    ] {
        added(space, &format!("{url}{query}"));
        let image = space.image("app");
        assert_eq!(image.text("file"), "deep", "{query}");
        assert!(!image.has("top"));
    }
    added(space, &format!("{url}#:.."));
    assert_eq!(space.image("app").text("top"), "top");
    for folder in ["x/../out", ".git", "deep/../.git"] {
        let text = format!("FROM scratch\nADD {url}#:{folder} /\n");
        space
            .build(&text)
            .exits(1)
            .says(&["Dockerfile:2", "folder"]);
    }
}
