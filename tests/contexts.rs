//! Contexts that are no folders: standard input, addresses, repositories, archives, OCI layouts; as the main context and by
//! name.

use std::io::Write;
use std::path::Path;

use crate::support::http::{Answer, Server};
use crate::support::repository::Repository;
use crate::support::space::TOOLS;
use crate::support::{Kiln, Kind, Space, plain_cases};

plain_cases! {
    a_dockerfile_from_standard_input_has_no_context,
    an_archive_from_standard_input_is_the_context,
    a_dockerfile_from_standard_input_or_an_address_goes_with_a_folder,
    an_address_gives_a_dockerfile_or_an_archive,
    a_repository_is_the_context,
    the_context_gives_the_time,
    contexts_by_name,
    images_are_contexts_with_and_without_slashes,
    images_of_oci_layouts_are_bases,
    layouts_may_have_several_platforms,
    hostile_archives_stay_inside,
}

/// `kiln build -t app` with the host's programs as `tools`.
fn build(space: &Space) -> Kiln {
    let tools = format!("tools=host-tools:{TOOLS}");
    space.kiln(["build", "-t", "app", "--build-context", &tools])
}

/// A tar of files, `(path, content)`, all of a user 1000.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        header.set_uid(1000);
        header.set_mtime(1_500_000_000);
        // Set as bytes: paths that lead out are refused by the builder.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Compressed by the program of that name, if it is here.
fn compressed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut child = std::process::Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    let (mut stdin, bytes) = (child.stdin.take().unwrap(), bytes.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Some(output.stdout)
}

fn a_dockerfile_from_standard_input_has_no_context(space: &Space) {
    let text = "FROM tools\nRUN echo hello > /greeting\n";
    build(space).arg("-").stdin(text).ok();
    assert_eq!(space.image("app").text("greeting"), "hello\n");
    let failed = build(space)
        .arg("-")
        .stdin("FROM scratch\nCOPY a /\n")
        .exits(1);
    failed.says(&["stdin:2", "not found"]);
    let failed = build(space)
        .arg("-")
        .stdin("FROM scratch\nBOGUS\n")
        .exits(1);
    failed.says(&["stdin:2", "BOGUS"]);
    let failed = build(space).args(["-f", "-", "-"]).exits(2);
    failed.says(&["standard input cannot be both"]);
    build(space).arg("-").stdin(b"\xff\xfe".to_vec()).exits(1);
    space
        .kiln(["build", "--call=targets", "-"])
        .stdin("FROM scratch AS one\n")
        .ok();
}

fn an_archive_from_standard_input_is_the_context(space: &Space) {
    let tar = archive(&[
        ("./Dockerfile", "FROM scratch\nCOPY . /all/\n"),
        ("./other/Dockerfile", "FROM scratch\nCOPY data /\n"),
        ("./data", "content"),
        (".dockerignore", "data\n"),
    ]);
    build(space).arg("-").stdin(tar.clone()).ok();
    let image = space.image("app");
    // As with every context that was fetched, .dockerignore means nothing.
    let entry = image.entry("all/data");
    assert_eq!(entry.kind, Kind::File(b"content".to_vec()));
    assert_eq!(
        (entry.mode, entry.uid, entry.mtime),
        (0o640, 0, 1_500_000_000)
    );
    let id = space.id("app");
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let Some(bytes) = compressed(program, &tar) else {
            crate::support::mode::skip(program, space.mode, "there is no such program");
            continue;
        };
        build(space).arg("-").stdin(bytes).ok();
        assert_eq!(space.id("app"), id, "{program}");
    }
    build(space)
        .args(["-f", "other/Dockerfile", "-"])
        .stdin(tar.clone())
        .ok();
    assert_eq!(space.image("app").text("data"), "content");
    let failed = build(space)
        .args(["-f", "absent", "-"])
        .stdin(tar.clone())
        .exits(1);
    failed.says(&["there is no file absent"]);
    let failed = build(space).arg("-").stdin(&tar[..700]).exits(1);
    failed.says(&["stdin"]);
    space.is_clean();
}

fn a_dockerfile_from_standard_input_or_an_address_goes_with_a_folder(space: &Space) {
    space.write("data", "content");
    let text = "FROM scratch\nCOPY data /\n";
    build(space)
        .args(["-f", "-"])
        .arg(space.context())
        .stdin(text)
        .ok();
    assert_eq!(space.image("app").text("data"), "content");
    let server = Server::start();
    server.set(
        "/Dockerfile",
        Answer::file("FROM scratch\nCOPY data /other\nCOPY x /\n"),
    );
    let url = server.url("/Dockerfile");
    let failed = build(space)
        .args(["-f", &url])
        .arg(space.context())
        .exits(1);
    failed.says(&[&format!("{url}:3"), "not found"]);
    server.set(
        "/Dockerfile",
        Answer::file("FROM scratch\nCOPY data /other\n"),
    );
    build(space).args(["-f", &url]).arg(space.context()).ok();
    assert_eq!(space.image("app").text("other"), "content");
}

fn an_address_gives_a_dockerfile_or_an_archive(space: &Space) {
    let server = Server::start();
    let text = "FROM scratch\nCOPY context /self\n";
    server.set("/alone", Answer::file(text));
    build(space).arg(server.url("/alone")).ok();
    assert_eq!(space.image("app").text("self"), text);
    let tar = archive(&[
        (
            "app/Dockerfile",
            "FROM tools\nCOPY app/data /\nRUN cat /data\n",
        ),
        ("app/data", "content"),
    ]);
    let bytes = compressed("gzip", &tar).unwrap();
    server.set(
        "/context.tar.gz",
        Answer::file(bytes).header("ETag", "\"1\""),
    );
    let url = server.url("/context.tar.gz");
    let first = build(space).args(["-f", "app/Dockerfile", &url]).ok();
    assert_eq!(first.output(), ["content"]);
    server.asked();
    let second = build(space).args(["-f", "app/Dockerfile", &url]).ok();
    assert!(second.output().is_empty());
    let asked: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    // Answered by 304: nothing is sent again.
    assert_eq!(asked, ["GET /context.tar.gz"]);
    let failed = build(space).arg(server.url("/gone")).exits(1);
    failed.says(&["/gone", "404 Not Found"]);
    let failed = build(space).arg(&url).exits(1);
    failed.says(&["there is neither a Dockerfile nor a Containerfile"]);
}

fn a_repository_is_the_context(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write(
        "Dockerfile",
        "FROM tools\nCOPY . /all\nRUN --mount=type=bind,target=/here cat /here/data\n",
    );
    repository.write("data", "one");
    repository.write(".dockerignore", "data\n");
    repository.write("sub/Containerfile", "FROM scratch\nCOPY inner /\n");
    repository.write("sub/inner", "deep");
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let url = server.url("/git/app.git");
    let built = build(space).arg(&url).ok();
    assert_eq!(built.output(), ["one"]);
    let image = space.image("app");
    assert_eq!(image.text("all/data"), "one");
    assert!(!image.has("all/.git"));
    build(space).arg(format!("{url}#main:sub")).ok();
    assert_eq!(space.image("app").text("inner"), "deep");
    build(space)
        .args(["-f", "sub/Containerfile"])
        .arg(format!("{url}#:."))
        .exits(1);
    let keep = ["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"];
    build(space).args(keep).arg(&url).ok();
    assert!(space.image("app").has("all/.git/HEAD"));
    let failed = build(space).arg(format!("{url}#absent")).exits(1);
    failed.says(&["no branch, tag or commit absent"]);
    let failed = build(space).arg(format!("{url}#--upload-pack=x")).exits(1);
    failed.says(&["dash"]);
    space.is_clean();
}

fn the_context_gives_the_time(space: &Space) {
    let repository = Repository::new(space, "app");
    let text =
        "ARG SOURCE_DATE_EPOCH\nFROM tools\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH\n";
    repository.write("Dockerfile", text);
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let argument = ["--build-arg", "SOURCE_DATE_EPOCH=context"];
    let built = build(space)
        .args(argument)
        .arg(server.url("/git/app.git"))
        .ok();
    assert_eq!(built.output(), ["1577934245"]);
    let created = space.image("app").config["created"].clone();
    assert_eq!(created, "2020-01-02T03:04:05Z");
    let dated = Answer::file(text).header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT");
    server.set("/Dockerfile", dated);
    build(space)
        .env("SOURCE_DATE_EPOCH", "context")
        .arg(server.url("/Dockerfile"))
        .ok();
    let created = space.image("app").config["created"].clone();
    assert_eq!(created, "2015-10-21T07:28:00Z");
    // A folder has no time of its own; a tar has that of its newest file.
    space.write(
        "Dockerfile",
        text.replace("$SOURCE_DATE_EPOCH", "${SOURCE_DATE_EPOCH-none}"),
    );
    let built = build(space).args(argument).arg(space.context()).ok();
    assert_eq!(built.output(), ["none"]);
    let piped = archive(&[("Dockerfile", text), ("a", "a")]);
    let built = build(space).args(argument).arg("-").stdin(piped).ok();
    assert_eq!(built.output(), ["1500000000"]);
    // A Dockerfile alone is no archive.
    build(space).args(argument).arg("-").stdin(text).ok();
    assert_ne!(space.image("app").config["created"], "2017-07-14T02:40:00Z");
}

fn contexts_by_name(space: &Space) {
    let repository = Repository::new(space, "lib");
    repository.write("lib.c", "library");
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    server.set("/file", Answer::file("fetched"));
    let tar = space.write_in("own", "files.tar", archive(&[("a/b", "packed")]));
    let text = "FROM tools\nCOPY --from=code lib.c /\nCOPY --from=file context /fetched\nCOPY --from=packed a/b /packed\nRUN --mount=type=bind,from=code,target=/code cat /code/lib.c\n";
    let contexts = |build: Kiln| {
        build
            .arg(format!(
                "--build-context=code={}#main",
                server.url("/git/lib.git")
            ))
            .arg(format!("--build-context=file={}", server.url("/file")))
            .arg(format!("--build-context=packed={}", tar.display()))
    };
    let built = contexts(space.build(text)).ok();
    assert_eq!(built.output(), ["library"]);
    let image = space.image("app");
    for (path, content) in [
        ("lib.c", "library"),
        ("fetched", "fetched"),
        ("packed", "packed"),
    ] {
        assert_eq!(image.text(path), content);
    }
    assert!(contexts(space.build(text)).ok().output().is_empty());
    // What nobody needs is not asked for.
    server.asked();
    contexts(space.build("FROM scratch\nCOPY --from=packed a /a\n")).ok();
    assert_eq!(server.asked().len(), 0);
    let failed = space
        .build("FROM scratch\nCOPY --from=x a /\n")
        .arg("--build-context=x=ftp://h/a")
        .exits(2);
    failed.says(&["does not know this kind"]);
    let broken = space.write_in("own", "broken", "text");
    let failed = space
        .build("FROM scratch\nCOPY --from=x a /\n")
        .arg(format!("--build-context=x={}", broken.display()))
        .exits(1);
    failed.says(&["neither a folder nor an archive"]);
}

fn images_are_contexts_with_and_without_slashes(space: &Space) {
    space
        .build("FROM tools\nENV OWN=yes\nRUN echo base > /base\n")
        .args(["-t", "base:1"])
        .ok();
    let text = "FROM alpine AS one\nFROM scratch\nCOPY --from=one /base /one\nCOPY --from=files /base /two\n";
    for form in ["docker-image://", "docker-image:"] {
        let contexts =
            ["alpine", "files"].map(|name| format!("--build-context={name}={form}base:1"));
        space.build(text).args(contexts).ok();
        assert_eq!(
            space.image("app").text("one"),
            space.image("app").text("two")
        );
        // an image that is named scratch is none
        let empty = format!("--build-context=alpine={form}scratch");
        space
            .build("FROM alpine\nCOPY Dockerfile /\n")
            .args([&empty])
            .ok();
        let image = space.image("app");
        assert_eq!(image.files.keys().collect::<Vec<_>>(), ["Dockerfile"]);
        assert!(
            image.setting("Env").is_null() || !image.setting("Env").to_string().contains("OWN")
        );
        let failed = space
            .build("FROM scratch\nCOPY --from=alpine /x /\n")
            .args([&empty])
            .exits(1);
        failed.says(&["Dockerfile:2", "/x"]);
    }
}

fn images_of_oci_layouts_are_bases(space: &Space) {
    space
        .build("FROM tools\nENV FROM_LAYOUT=yes\nRUN echo base > /base\n")
        .ok();
    let saved = space.own().join("saved.tar");
    let arguments = ["save", "--format", "oci-archive", "-o"];
    space.kiln(arguments).arg(&saved).arg("app").ok();
    let layout = space.own_folder("layout");
    tar::Archive::new(std::fs::File::open(&saved).unwrap())
        .unpack(&layout)
        .unwrap();
    let manifest = space.kiln(["images", "--digests"]).ok();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    assert!(manifest.stdout.contains("app"));
    space.remove_store();
    let text = "FROM base\nRUN cat /base; echo $FROM_LAYOUT\nCOPY --from=base /base /copy\n";
    let with = |reference: &str| {
        let context = format!(
            "--build-context=base=oci-layout://{}{reference}",
            layout.display()
        );
        space.build(text).arg(context)
    };
    assert_eq!(with("").ok().output(), ["base", "yes"]);
    assert_eq!(space.image("app").text("copy"), "base\n");
    assert!(with(":latest").ok().output().is_empty());
    assert!(with(&format!("@{digest}")).ok().output().is_empty());
    with(":absent")
        .exits(1)
        .says(&["index.json", "no image absent"]);
    // Every byte is checked before anything is believed.
    space.remove_store();
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes.push(b' ');
    let mut permissions = std::fs::metadata(&blob).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&blob, permissions).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    with("").exits(1).says(&["is not what its name says"]);
}

fn layouts_may_have_several_platforms(space: &Space) {
    space.write("file", "x");
    let base = "FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH\n";
    let both = ["--platform", "linux/s390x,linux/riscv64"];
    let output = "type=oci,dest=layout,tar=false,name=example.org/base:v1";
    space.build(base).args(both).args(["-o", output]).ok();
    space.remove_store();
    let context = format!(
        "base=oci-layout://{}:v1",
        space.own().join("layout").display()
    );
    let build = |text: &str| space.build(text).args(["--build-context", &context]);
    build("FROM base\nCOPY file /own\n")
        .args(both)
        .args(["-o", "files"])
        .ok();
    for architecture in ["s390x", "riscv64"] {
        let files = space.own().join(format!("files/linux_{architecture}"));
        assert!(files.join(architecture).exists() && files.join("own").exists());
    }
    // A stage may ask for another platform than the target's.
    let named = "FROM --platform=linux/riscv64 base AS riscv64\nFROM scratch\nCOPY --from=riscv64 /riscv64 /\n";
    build(named).args(["--platform", "linux/riscv64"]).ok();
    let none = build("FROM base\n")
        .args(["--platform", "linux/ppc64le"])
        .exits(1);
    none.says(&["no image for linux/ppc64le"]);
    // Two manifests side by side under one name, as some tools write them.
    let index = space.own().join("layout/index.json");
    let read = |path: &Path| {
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap()).unwrap()
    };
    let top = read(&index)["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let mut flat = read(&space.own().join("layout/blobs").join(top));
    for manifest in flat["manifests"].as_array_mut().unwrap() {
        manifest["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "v1"});
    }
    std::fs::remove_file(&index).unwrap();
    std::fs::write(&index, flat.to_string()).unwrap();
    space.give(&index);
    space.remove_store();
    build("FROM base\nCOPY file /own\n")
        .args(["--platform", "linux/riscv64"])
        .ok();
    assert!(space.image("app").has("riscv64"));
}

fn hostile_archives_stay_inside(space: &Space) {
    let mark = space.own().join("escaped");
    let dockerfile = ("Dockerfile", "FROM scratch\nCOPY . /all/\n");
    for path in [
        "../escaped",
        "../../../../../escaped",
        mark.to_str().unwrap(),
    ] {
        let built = build(space)
            .arg("-")
            .stdin(archive(&[dockerfile, (path, "x")]))
            .run();
        assert!(matches!(built.status.code(), Some(0 | 1)), "{built}");
        assert!(!mark.exists() && !Path::new("/escaped").exists(), "{path}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    let mut link = |path: &str, target: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, path, target).unwrap();
    };
    // A Dockerfile that is a link is looked for inside the archive.
    link("Dockerfile", "/etc/passwd", tar::EntryType::Symlink);
    link("out", "/", tar::EntryType::Symlink);
    let failed = build(space)
        .arg("-")
        .stdin(builder.into_inner().unwrap())
        .exits(1);
    failed.never_says(&["root:x"]);
    space.is_clean();
}
