//! What a name means: in a Dockerfile and in commands, of images here, of IDs, of stages and contexts. Unaware of registries, which no case
//! here may ask.

use serde_json::json;

use crate::support::tar::Tar;
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    short_names_are_no_ids_in_a_dockerfile,
    names_come_before_ids,
    an_id_is_not_asked_for_again,
    commands_take_the_start_of_an_id,
    no_name_reads_as_a_digest,
    no_archive_gives_such_a_name,
}

/// An image called `one` with the file `/file`; the digits of its ID, which are the same each time.
fn image(space: &Space) -> String {
    space.write("file", "one");
    let build = space.build("FROM scratch\nCOPY file /\n");
    build.args(["-t", "one"]).env("SOURCE_DATE_EPOCH", "1").ok();
    let id = space.id("one");
    space.kiln(["rmi", "app"]).ok();
    id.strip_prefix("sha256:").unwrap().to_owned()
}

/// The digits of its manifest's digest.
fn manifest(space: &Space) -> String {
    let format = "{{index .RepoDigests 0}}";
    let told = space.kiln(["inspect", "-f", format, "one"]).ok().stdout;
    told.trim().split_once("sha256:").unwrap().1.to_owned()
}

/// Builds that use `name` in all places where a Dockerfile or a flag of a build may name an image.
fn uses(space: &Space, name: &str) -> Vec<(String, Finished)> {
    let lent = "FROM scratch\nCOPY --from=x /file /\n";
    let texts = [
        (format!("FROM {name}\n"), None),
        (format!("FROM scratch\nCOPY --from={name} /file /\n"), None),
        (
            format!("FROM tools\nRUN --mount=from={name},target=/m cat /m/file\n"),
            None,
        ),
        (format!("ARG X={name}\nFROM $X\n"), None),
        ("FROM y\n".to_owned(), Some(format!("--from={name}"))),
        (
            lent.to_owned(),
            Some(format!("--build-context=x=docker-image://{name}")),
        ),
    ];
    let done = |(text, flag): (String, Option<String>)| {
        let build = space.build(&text).args(flag.iter());
        (format!("{text} {flag:?}"), build.arg("--offline").run())
    };
    texts.into_iter().map(done).collect()
}

fn short_names_are_no_ids_in_a_dockerfile(space: &Space) {
    let (id, manifest) = (image(space), manifest(space));
    for whole in [&id, &manifest] {
        for digits in [1, 3, 11, 12, 63, 64] {
            for name in [
                whole[..digits].to_owned(),
                format!("sha256:{}", &whole[..digits]),
            ] {
                for (what, done) in uses(space, &name) {
                    assert_eq!(done.status.success(), digits >= 12, "{what}\n{done}");
                }
            }
        }
    }
    let other = "0".repeat(64);
    for (what, done) in uses(space, &other) {
        assert!(!done.status.success(), "{what}");
        done.says(&[&other]);
    }
}

fn names_come_before_ids(space: &Space) {
    let id = image(space);
    let start = &id[..12];
    let text = format!("FROM scratch\nCOPY --from={start} /file /\n");
    let copied = |build: Kiln| {
        build.ok();
        space.image("app").text("file")
    };
    assert_eq!(copied(space.build(&text)), "one");
    space.write_in("own", "folder/file", "folder");
    let context = format!("--build-context={start}=folder");
    assert_eq!(copied(space.build(&text).arg(context)), "folder");
    space.write("file", "two");
    space
        .build("FROM scratch\nCOPY file /\n")
        .args(["-t", start])
        .ok();
    assert_eq!(copied(space.build(&text)), "two");
    let stage = format!(
        "FROM scratch AS b\nCOPY <<E /file\nstage\nE\n{}",
        text.replace(start, "b")
    );
    assert_eq!(copied(space.build(&stage)), "stage\n");
}

/// With `--pull` registries are asked about names; nobody asks for an ID.
fn an_id_is_not_asked_for_again(space: &Space) {
    let id = image(space);
    for name in [&id[..12], &id, &format!("sha256:{id}")] {
        let build = space.build(&format!("FROM {name}\n")).arg("--pull");
        build.ok().never_says(&["no registry has it", "refreshed"]);
    }
}

fn commands_take_the_start_of_an_id(space: &Space) {
    let id = image(space);
    let out = space.own().join("out");
    let out = out.to_str().unwrap();
    let verbs = |name: &str| {
        let commands = [
            vec!["tag", name, "other"],
            vec!["inspect", name],
            vec!["history", name],
            vec!["save", "-o", out, name],
            vec!["export", "-o", out, name],
            vec!["push", name, "localhost:1/x"],
            vec!["rmi", name],
        ];
        commands.map(|command| (command[0].to_owned(), space.kiln(command)))
    };
    for digits in [1, 2, 3] {
        for (verb, kiln) in verbs(&id[..digits]) {
            let failed = kiln.exits(1);
            failed.says(&[&format!("there is no image {}", &id[..digits])]);
            assert!(
                verb == "push" || failed.stderr.contains("at least 4 digits"),
                "{failed}"
            );
        }
    }
    for digits in [4, 12, 64] {
        for (verb, kiln) in verbs(&id[..digits]) {
            match verb.as_str() {
                "push" => _ = kiln.run().never_says(&["there is no image"]),
                // it has two names now
                "rmi" => _ = kiln.exits(1).says(&["several names"]),
                _ => _ = kiln.ok(),
            }
        }
    }
    // A name comes first here too.
    space.write("file", "two");
    space
        .build("FROM scratch\nCOPY file /\n")
        .args(["-t", &id[..12]])
        .ok();
    assert_ne!(space.id(&id[..12]), format!("sha256:{id}"));
}

/// An image called `sha256:…` would be found in place of the image that has that digest.
fn no_name_reads_as_a_digest(space: &Space) {
    let id = image(space);
    let digest = format!("sha256:{id}");
    for name in [&digest, "sha256:v1", "sha512", &format!("x@{digest}")] {
        let text = "FROM scratch\nCOPY <<E /file\nother\nE\n";
        let named = |output: &str| format!("type={output},name={name}");
        let said = ["digest"];
        space.build(text).args(["-t", name]).exits(2).says(&said);
        for output in ["image", "docker", "oci"].map(named) {
            space.build(text).args(["-o", &output]).exits(2).says(&said);
        }
        space.kiln(["tag", "one", name]).exits(2).says(&said);
    }
    let text = format!("FROM scratch\nCOPY --from={digest} /file /\n");
    space.build(&text).ok();
    assert_eq!(space.image("app").text("file"), "one");
}

fn no_archive_gives_such_a_name(space: &Space) {
    let id = image(space);
    let digest = format!("sha256:{id}");
    let other = "x@sha256:".to_owned() + &"0".repeat(64);
    for name in [&digest, &other] {
        let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": []}]);
        let archive = Tar::default()
            .file(
                "config.json",
                r#"{"rootfs": {"type": "layers", "diff_ids": []}}"#,
            )
            .file("manifest.json", manifest.to_string());
        let archive = space.write_in("own", "app.tar", archive.end());
        let loaded = space.kiln(["load", "-i"]).args([archive]).ok();
        loaded.says(&["is not a valid image name", name]);
    }
    assert_eq!(space.id(&digest), digest);
}
