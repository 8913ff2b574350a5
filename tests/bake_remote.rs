//! `kiln bake` of definitions that are elsewhere: in a repository, at a URL.

use serde_json::Value;

use crate::support::http::{Answer, Server};
use crate::support::repository::Repository;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_definition_comes_from_a_repository,
    a_definition_comes_from_a_url,
}

/// `kiln bake` in the folder of the context.
fn bake<const N: usize>(space: &Space, arguments: [&str; N]) -> Kiln {
    let mut kiln = space.kiln(["bake"]);
    kiln.command().current_dir(space.context());
    kiln.args(arguments)
}

/// A bake file with a folder that it builds, in a repository.
fn repository_with_definition(space: &Space) -> Server {
    let repository = Repository::new(space, "app");
    let text = "variable \"TAG\" { default = \"one\" }\ngroup \"default\" { targets = [\"web\"] }\n\
                target \"web\" {\n  context = \"web\"\n  tags = [\"web:${TAG}\"]\n  contexts = { top = \".\", here = \"cwd://here\" }\n}\n\
                target \"second\" {\n  context = BAKE_CMD_CONTEXT\n  tags = [\"second\"]\n}\n";
    repository.write("docker-bake.hcl", text);
    repository.write(
        "web/Dockerfile",
        "FROM scratch\nCOPY page /\nCOPY --from=top docker-bake.hcl /\nCOPY --from=here own /\n",
    );
    repository.write("web/page", "page");
    repository.write(
        "more/compose.yaml",
        "include: [other.yaml]\nservices: { app: { build: . } }\n",
    );
    repository.write("more/other.yaml", "services: { other: { build: ./sub } }\n");
    repository.commit();
    repository.publish();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    server
}

fn a_definition_comes_from_a_repository(space: &Space) {
    let server = repository_with_definition(space);
    let url = server.url("/git/app.git");
    space.write("here/own", "own");
    space.give(&space.context());
    bake(space, [&url, "--allow", "fs.read=here"]).ok();
    let image = space.image("web:one");
    assert_eq!(
        (image.text("page"), image.text("own")),
        ("page".to_owned(), "own".to_owned())
    );
    // a file of this machine goes over it, and a second address is the context of the command
    space.write("over.hcl", "target \"web\" { tags = [\"web:over\"] }\n");
    let second = format!("{url}#HEAD:web");
    let more = ["-f", "docker-bake.hcl", "-f", "cwd://over.hcl", "--print"];
    let printed = bake(space, [&url, &second, "web", "second"])
        .args(more)
        .ok()
        .stdout;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let target = &printed["target"];
    assert_eq!(target["web"]["tags"][0], "web:over");
    assert_eq!(target["web"]["context"], format!("{url}#:web"));
    assert_eq!(target["web"]["contexts"]["top"], url);
    assert_eq!(target["second"]["context"], second);
    let printed = bake(space, [&format!("{url}#HEAD:more"), "--print"])
        .ok()
        .stdout;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        printed["target"]["other"]["context"],
        format!("{url}#HEAD:more/sub")
    );
    bake(space, [&url, "-f", "gone.hcl"])
        .exits(1)
        .says(&["gone.hcl: there is no such file"]);
}

/// A file alone is about the folders here.
fn a_definition_comes_from_a_url(space: &Space) {
    let server = Server::start();
    server.set(
        "/bake.hcl",
        Answer::file("target \"default\" {\n  context = \"app\"\n  tags = [\"of-url\"]\n}\n"),
    );
    space.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    bake(space, [&server.url("/bake.hcl")]).ok();
    assert!(space.image("of-url").text("Dockerfile").starts_with("FROM"));
    server.set(
        "/bad.hcl",
        Answer::file("target \"default\" {\n  tags = 5\n}\n"),
    );
    let url = server.url("/bad.hcl");
    bake(space, [&url])
        .exits(1)
        .says(&[&format!("{url}:2:10"), "^"]);
}
