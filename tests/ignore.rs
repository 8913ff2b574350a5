//! `.dockerignore`: what a build never sees, and that it never reruns for it.

use crate::support::{Space, plain_cases};

plain_cases! {
    patterns_have_dockers_meaning,
    a_dockerfiles_own_file_replaces_it,
    the_dockerfile_may_be_ignored,
    named_contexts_have_their_own,
    ignored_changes_are_no_changes,
    an_ignored_source_is_explained,
}

const FILES: [&str; 10] = [
    "a.txt",
    "b.log",
    "keep.log",
    "sub/c.log",
    "sub/deep/d.log",
    "sub/deep/e.txt",
    "node/x",
    "node/keep/y",
    "other/node/z",
    "#odd",
];

fn copied(space: &Space, patterns: &str) -> Vec<String> {
    for file in FILES {
        space.write(file, file);
    }
    space.write(".dockerignore", patterns);
    space.build("FROM scratch\nCOPY . /all/\n").ok();
    let image = space.image("app");
    let found = FILES
        .iter()
        .filter(|file| image.has(&format!("all/{file}")));
    found.map(|file| (*file).to_owned()).collect()
}

fn without(names: &[&str]) -> Vec<String> {
    FILES
        .iter()
        .filter(|file| !names.contains(file))
        .map(|file| (*file).to_owned())
        .collect()
}

fn patterns_have_dockers_meaning(space: &Space) {
    assert_eq!(
        copied(space, "# a comment\n\n*.log\n"),
        without(&["b.log", "keep.log"])
    );
    assert_eq!(
        copied(space, "**/*.log\n!keep.log\n"),
        without(&["b.log", "sub/c.log", "sub/deep/d.log"])
    );
    assert_eq!(
        copied(space, "/node\n"),
        without(&["node/x", "node/keep/y"])
    );
    assert_eq!(copied(space, "node/\n!node/keep\n"), without(&["node/x"]));
    assert_eq!(
        copied(space, "!a.txt\n**\n!sub/deep/*.txt\n"),
        ["sub/deep/e.txt"]
    );
    assert_eq!(
        copied(space, "*/node\nsub/./deep/../c.log\n  ?.txt  \n"),
        without(&["other/node/z", "sub/c.log", "a.txt"])
    );
}

fn a_dockerfiles_own_file_replaces_it(space: &Space) {
    for name in ["one", "two"] {
        space.write(name, name);
    }
    space.write(".dockerignore", "one\n");
    space.write("build/Dockerfile.dockerignore", "two\n");
    space.write("build/Dockerfile", "FROM scratch\nCOPY one* two* /\n");
    space
        .kiln(["build", "-t", "app", "-f", "build/Dockerfile"])
        .arg(space.context())
        .ok();
    assert_eq!(space.image("app").below(""), ["one"]);
    space.build("FROM scratch\nCOPY one* two* /\n").ok();
    assert_eq!(space.image("app").below(""), ["two"]);
}

fn the_dockerfile_may_be_ignored(space: &Space) {
    space.write(".dockerignore", "**\n");
    space
        .build("FROM scratch\nCOPY . /all/\nLABEL built=yes\n")
        .ok();
    assert_eq!(space.image("app").below("all"), [""; 0]);
}

fn named_contexts_have_their_own(space: &Space) {
    for file in ["one", "two"] {
        space.write_in("other", file, file);
    }
    space.write(".dockerignore", "one\n");
    space.write_in("other", ".dockerignore", "two\n");
    let option = format!("other={}", space.path("other").display());
    space
        .build("FROM scratch\nCOPY --from=other one* two* /\n")
        .args(["--build-context", &option])
        .ok();
    assert_eq!(space.image("app").below(""), ["one"]);
}

fn ignored_changes_are_no_changes(space: &Space) {
    space.write(".dockerignore", "noise\nDockerfile\n.dockerignore\n");
    space.write("noise/file", "1");
    space.write("signal", "1");
    let text = "FROM scratch\nCOPY . /all/\n";
    let built = space.build_json(text).ok();
    space.write("noise/file", "2");
    space.write("noise/more", "3");
    let again = space.build_json(text).ok();
    assert_eq!(
        (again.events().ran(), again.events().id()),
        (Vec::new(), built.events().id())
    );
    space.write("signal", "2");
    assert_eq!(space.build_json(text).ok().events().ran(), ["COPY . /all/"]);
}

fn an_ignored_source_is_explained(space: &Space) {
    space.write(".dockerignore", "*.txt\n");
    space.write("word.txt", "x");
    space
        .build("FROM scratch\nCOPY word.txt /\n")
        .exits(1)
        .says(&["word.txt", ".dockerignore"]);
}
