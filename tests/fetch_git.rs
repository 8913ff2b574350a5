//! `ADD` of git repositories: which commit, which files, and that nothing in an address or a repository leads git astray.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::http::Server;
use crate::support::processes::{appears, eventually, unique_nap, with_argument};
use crate::support::repository::{Repository, git};
use crate::support::{Kind, Space, plain_cases};

plain_cases! {
    the_files_of_a_commit_are_added,
    branches_tags_commits_and_folders,
    a_moved_branch_is_seen_and_a_commit_needs_no_network,
    a_checksum_is_compared,
    the_git_folder_is_kept_on_demand,
    submodules_come_along,
    tokens_reach_the_server_and_nothing_else,
    nothing_becomes_an_option_of_git,
    hostile_repositories_stay_inside,
    a_server_that_hangs_is_left,
}

/// The time of all commits.
const TIME: u64 = 1_577_934_245;

fn serve(space: &Space) -> Server {
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    server
}

fn the_files_of_a_commit_are_added(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("src/main.c", "int main;");
    repository.write("run.sh", "#!/bin/sh");
    git(&repository.work(), &["add", "-A"]);
    git(
        &repository.work(),
        &["update-index", "--chmod=+x", "run.sh"],
    );
    std::os::unix::fs::symlink("src/main.c", repository.work().join("link")).unwrap();
    git(&repository.work(), &["add", "link"]);
    git(&repository.work(), &["commit", "-q", "-m", "one"]);
    repository.publish();
    let server = serve(space);
    let url = server.url("/git/app.git");
    let text = format!(
        "FROM scratch\nADD {url} /plain\nADD --chown=3:4 --exclude=src {url} /owned/\nADD --chmod=700 --link {url} /modes/\n"
    );
    space.build(&text).ok();
    let image = space.image("app");
    assert_eq!(
        image.below("plain"),
        [
            "plain/link",
            "plain/run.sh",
            "plain/src",
            "plain/src/main.c"
        ]
    );
    let of = |path: &str| {
        let entry = image.entry(path);
        (entry.mode, entry.uid, entry.mtime)
    };
    assert_eq!(of("plain/src/main.c"), (0o644, 0, TIME));
    assert_eq!(of("plain/run.sh"), (0o755, 0, TIME));
    assert_eq!(of("plain/src"), (0o755, 0, TIME));
    let link = &image.entry("plain/link").kind;
    assert_eq!(*link, Kind::Symlink("src/main.c".to_owned()));
    assert_eq!(of("owned/run.sh"), (0o755, 3, TIME));
    assert!(!image.has("owned/src"));
    assert_eq!(of("modes/run.sh").0, 0o700);
    // The same commit gives the same image in another store.
    let id = space.id("app");
    space.remove_store();
    space
        .build(&text)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .ok();
    let reproducible = space.id("app");
    space.remove_store();
    space
        .build(&text)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .ok();
    assert_eq!(space.id("app"), reproducible);
    assert_ne!(reproducible, id);
    space.is_clean();
}

fn branches_tags_commits_and_folders(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("version", "first");
    repository.write("deep/folder/file", "deep");
    let first = repository.commit();
    git(&repository.work(), &["tag", "-a", "-m", "x", "v1"]);
    git(&repository.work(), &["tag", "both"]);
    repository.write("version", "second");
    repository.commit();
    git(&repository.work(), &["branch", "both"]);
    git(&repository.work(), &["checkout", "-q", "-b", "other"]);
    repository.write("version", "third");
    repository.commit();
    git(&repository.work(), &["checkout", "-q", "main"]);
    let server = serve(space);
    let url = server.url("/git/app.git");
    for (query, content) in [
        ("", "second"),
        ("#v1", "first"),
        ("#main", "second"),
        ("#other", "third"),
        ("#refs/heads/other", "third"),
        ("#both", "second"),
        ("?tag=both", "first"),
        ("?branch=other", "third"),
        ("?ref=v1", "first"),
        (&format!("#{first}"), "first"),
        (&format!("?checksum={}", &first[..10]), "first"),
    ] {
        space
            .build(&format!("FROM scratch\nADD {url}{query} /\n"))
            .ok();
        assert_eq!(space.image("app").text("version"), content, "{query}");
    }
    for query in [
        "#main:deep/folder",
        "?subdir=deep/folder/",
        "#:/deep/./folder",
    ] {
        space
            .build(&format!("FROM scratch\nADD {url}{query} /x\n"))
            .ok();
        assert_eq!(space.image("app").below("x"), ["x/file"], "{query}");
    }
    for (query, said) in [
        ("#absent", "no branch, tag or commit absent"),
        (&format!("#{}", "0".repeat(40)), "0000000"),
        ("#:absent", "no folder \"absent\""),
        ("#:version", "no folder"),
    ] {
        let failed = space
            .build(&format!("FROM scratch\nADD {url}{query} /\n"))
            .exits(1);
        failed.says(&["Dockerfile:2", said]);
    }
    space.is_clean();
}

fn a_moved_branch_is_seen_and_a_commit_needs_no_network(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "one");
    let first = repository.commit();
    let server = serve(space);
    let url = server.url("/git/app.git");
    let text = format!("FROM tools\nADD {url} /app\nRUN cat /app/file\n");
    assert_eq!(space.build(&text).ok().output(), ["one"]);
    server.asked();
    assert!(space.build(&text).ok().output().is_empty());
    let asked = server.asked();
    let fetches = |asked: &[crate::support::http::Asked]| {
        asked
            .iter()
            .filter(|asked| {
                asked
                    .headers
                    .get("content-length")
                    .is_some_and(|l| l.len() > 3)
            })
            .count()
    };
    assert!(!asked.is_empty() && fetches(&asked) == 0, "{asked:?}");
    repository.write("file", "two");
    repository.commit();
    assert_eq!(space.build(&text).ok().output(), ["two"]);
    server.asked();
    space
        .build(&format!("FROM scratch\nADD {url}#{first} /app\n"))
        .ok();
    assert_eq!(server.asked().len(), 0);
    assert_eq!(space.image("app").text("app/file"), "one");
}

fn a_checksum_is_compared(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "one");
    let commit = repository.commit();
    let server = serve(space);
    let url = server.url("/git/app.git");
    let text = |checksum: &str| format!("FROM scratch\nADD --checksum={checksum} {url}#main /\n");
    space.build(&text(&commit)).ok();
    space.build(&text(&commit[..7])).ok();
    let other = "abcdef0123";
    let failed = space.build(&text(other)).exits(1);
    failed.says(&["Dockerfile:2", other, &commit]);
}

fn the_git_folder_is_kept_on_demand(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "one");
    let commit = repository.commit();
    let server = serve(space);
    let url = server
        .url("/git/app.git")
        .replace("http://", "http://me:hidden@");
    let text = format!("FROM scratch\nADD --keep-git-dir=true {url} /app\n");
    let built = || {
        space
            .build(&text)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .ok();
        space.id("app")
    };
    let id = built();
    let image = space.image("app");
    assert_eq!(image.text("app/.git/HEAD"), format!("{commit}\n"));
    assert!(!image.text("app/.git/config").contains("hidden"));
    assert!(!image.has("app/.git/hooks") && !image.has("app/.git/FETCH_HEAD"));
    let checkout = space.path("checkout");
    for (path, entry) in image
        .below("app")
        .iter()
        .map(|path| (path, image.entry(path)))
    {
        if let Kind::File(content) = &entry.kind {
            space.write_in("checkout", path, content);
        }
    }
    for folder in ["refs", "objects"] {
        std::fs::create_dir_all(checkout.join("app/.git").join(folder)).unwrap();
    }
    assert_eq!(git(&checkout.join("app"), &["rev-parse", "HEAD"]), commit);
    assert_eq!(git(&checkout.join("app"), &["status", "--porcelain"]), "");
    space.remove_store();
    assert_eq!(built(), id);
}

fn submodules_come_along(space: &Space) {
    let inner = Repository::new(space, "inner");
    inner.write("lib.c", "inner");
    inner.commit();
    let outer = Repository::new(space, "outer");
    outer.write("main.c", "outer");
    let folder = space.path("repositories/inner.git");
    git(
        &outer.work(),
        &[
            "submodule",
            "--quiet",
            "add",
            folder.to_str().unwrap(),
            "lib",
        ],
    );
    git(
        &outer.work(),
        &[
            "config",
            "-f",
            ".gitmodules",
            "submodule.lib.url",
            "../inner.git",
        ],
    );
    outer.commit();
    let server = serve(space);
    let url = server.url("/git/outer.git");
    space
        .build(&format!(
            "FROM scratch\nADD {url} /a\nADD {url}?submodules=false /b\n"
        ))
        .ok();
    let image = space.image("app");
    assert_eq!(image.text("a/lib/lib.c"), "inner");
    assert!(!image.has("a/lib/.git") && !image.has("a/.git"));
    assert!(!image.has("b/lib/lib.c"));
    // Transports that could run commands or read this machine's files are not followed.
    for address in [
        "ext::sh -c touch% /tmp/kiln-pwned",
        folder.to_str().unwrap(),
        "file:///etc",
    ] {
        git(
            &outer.work(),
            &["config", "-f", ".gitmodules", "submodule.lib.url", address],
        );
        outer.commit();
        let failed = space
            .build(&format!("FROM scratch\nADD {url} /\n"))
            .exits(1);
        failed.says(&["Dockerfile:2", "submodule"]);
    }
    assert!(!Path::new("/tmp/kiln-pwned").exists());
    space.is_clean();
}

fn tokens_reach_the_server_and_nothing_else(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "one");
    repository.commit();
    let server = serve(space);
    let url = server.url("/git/app.git");
    let built = space
        .build(&format!("FROM scratch\nADD {url} /\n"))
        .env("KILN_LOG", "trace")
        .env("TOKEN", "s3cr3t-token")
        .args(["--secret", "id=GIT_AUTH_TOKEN,env=TOKEN"])
        .ok();
    built.never_says(&["s3cr3t-token"]);
    let asked = server.asked();
    // x-access-token:s3cr3t-token
    let expected = "basic eC1hY2Nlc3MtdG9rZW46czNjcjN0LXRva2Vu";
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers["authorization"] == expected)
    );
    let found = Command::new("grep")
        .args(["-rlaF", "-e", "s3cr3t-token", "-e", &expected[6..]])
        .arg(space.store())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

fn nothing_becomes_an_option_of_git(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "one");
    repository.commit();
    let server = serve(space);
    let url = server.url("/git/app.git");
    let mark = space.own().join("pwned");
    let run = format!("--upload-pack=touch${{IFS}}{}", mark.display());
    for source in [
        format!("{url}#{run}"),
        format!("{url}#--output={}", mark.display()),
        format!("{url}?branch={run}"),
        format!("{url}?tag=-x"),
        format!("{url}#main:{run}"),
        format!("{url}#main:.git"),
        format!("{url}#main:refs/heads/x"),
        format!("ssh://-oProxyCommand=touch${{IFS}}{}/x", mark.display()),
        "git@-oProxyCommand=x:a".to_owned(),
        "ssh://a@-x/x".to_owned(),
        format!("{url}?ref=a%0Ab"),
    ] {
        let text = format!("FROM scratch\nADD [\"{source}\", \"/\"]\n");
        let failed = space.build(&text.replace("${IFS}", "\\\\t")).exits(1);
        failed.says(&["Dockerfile:2"]);
    }
    assert!(!mark.exists());
    space.is_clean();
}

fn a_server_that_hangs_is_left(space: &Space) {
    // Connections are taken by the kernel, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let branch = unique_nap();
    let asked = format!("refs/heads/{branch}");
    let text = format!("FROM scratch\nADD git://{address}/x#{branch} /\n");
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let running = space.build(&text).spawn();
        appears(&asked);
        running.signal(signal);
        assert_eq!(running.wait().status.code(), code);
        eventually("git goes on", || with_argument(&asked).is_empty());
    }
    space.is_clean();
}

fn hostile_repositories_stay_inside(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("etc/file", "inside");
    for (link, target) in [("out", "/etc"), ("up", "../../.."), ("self", "self")] {
        std::os::unix::fs::symlink(target, repository.work().join(link)).unwrap();
    }
    repository.write(".gitattributes", "* filter=evil\n*.x diff=evil\n");
    repository.commit();
    let server = serve(space);
    let url = server.url("/git/app.git");
    space.build(&format!("FROM scratch\nADD {url} /\n")).ok();
    let image = space.image("app");
    let link = |path: &str| image.entry(path).kind.clone();
    assert_eq!(link("out"), Kind::Symlink("/etc".to_owned()));
    assert_eq!(link("up"), Kind::Symlink("../../..".to_owned()));
    for folder in ["out", "up", "self", "x/../out", "up/etc"] {
        let failed = space
            .build(&format!("FROM scratch\nADD {url}#:{folder} /\n"))
            .exits(1);
        failed.says(&["Dockerfile:2", "folder"]);
    }
    // A tree with an entry `.git`, which git's own commands would not make.
    let work = repository.work();
    let blob = git(&work, &["rev-parse", "HEAD:etc/file"]);
    for name in [".git", ".GIT", "git~1"] {
        let input = space.write_in("own", "tree", format!("100644 blob {blob}\t{name}\n"));
        let make = format!("git mktree < {}", input.display());
        let made = Command::new("sh")
            .args(["-c", &make])
            .current_dir(&work)
            .output()
            .unwrap();
        let tree = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let commit = git(&work, &["commit-tree", "-m", "evil", &tree]);
        git(&work, &["update-ref", "refs/heads/evil", &commit]);
        repository.publish();
        let failed = space
            .build(&format!("FROM scratch\nADD {url}#evil /\n"))
            .exits(1);
        failed.says(&["Dockerfile:2", "git"]);
    }
    space.is_clean();
}
