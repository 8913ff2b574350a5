//! `save`, `load`, `import`: images as files, out of one store and into another.

use std::fs;

use crate::support::image::members;
use crate::support::{Kind, Space, plain_cases};

plain_cases! {
    saving_twice_gives_the_same_bytes,
    an_image_moves_to_another_store,
    every_format_comes_back,
    several_images_in_one_archive,
    saving_replaces_whole_files,
    damaged_archives_change_nothing,
    a_folder_becomes_an_image,
    a_tar_becomes_an_image,
}

const TEXT: &str = "FROM tools AS build
RUN echo x > /x && chmod 4755 /x && ln -s x /link && mkdir -p /folder && ln /x /folder/twin
FROM scratch
COPY --from=build /x /link /folder/ /all/
COPY --from=build --chown=5:6 /x /owned
ENV A=1
CMD [\"/all/x\"]
";

fn saving_twice_gives_the_same_bytes(space: &Space) {
    space.build(TEXT).ok();
    for format in ["hybrid", "oci-archive", "docker-archive"] {
        let first = fs::read(space.save(&["--format", format, "app"], "1.tar")).unwrap();
        let second = fs::read(space.save(&["--format", format, "app"], "2.tar")).unwrap();
        assert!(first == second, "{format} differs");
        assert!(first.len() > 4096);
    }
    let hybrid = fs::read(space.save(&["app"], "hybrid.tar")).unwrap();
    let names: Vec<String> = members(&hybrid)
        .into_keys()
        .filter(|name| !name.starts_with("blobs/"))
        .collect();
    assert_eq!(
        names,
        ["index.json", "manifest.json", "oci-layout", "repositories"]
    );
    let piped = space.kiln(["save", "app"]).run();
    assert!(piped.status.success() && !piped.stdout.is_empty());
}

fn an_image_moves_to_another_store(space: &Space) {
    space.build(TEXT).ok();
    let (id, files) = (space.id("app"), space.image("app").without_times());
    let archive = space.save(&["app"], "app.tar");
    let other = space.own().join("other");
    let loaded = space
        .kiln(["load", "-i"])
        .arg(&archive)
        .env("KILN_STORE", &other)
        .ok();
    assert_eq!(loaded.stdout, "Loaded image: app:latest\n");
    let built = space
        .build("FROM app\nCOPY --from=tools / /\nRUN cat /all/x > /copy && echo \"$A\"\n")
        .args(["-t", "child"])
        .env("KILN_STORE", &other)
        .ok();
    assert_eq!(built.output(), ["1"]);
    let list = space
        .kiln(["images", "-q", "--no-trunc", "child"])
        .env("KILN_STORE", &other)
        .ok();
    assert_ne!(list.stdout.trim(), id);
    // There and back again: the same image.
    let back = space.own().join("back.tar");
    space
        .build(TEXT)
        .args(["-t", "unrelated"])
        .env("KILN_STORE", &other)
        .ok();
    space
        .kiln(["load", "-q", "-i"])
        .arg(&archive)
        .env("KILN_STORE", &other)
        .ok();
    space
        .kiln(["save", "-o"])
        .arg(&back)
        .arg("app")
        .env("KILN_STORE", &other)
        .ok();
    assert!(
        fs::read(&archive).unwrap() == fs::read(&back).unwrap(),
        "the archive changed on its way"
    );
    space.kiln(["load", "-i"]).arg(&back).ok();
    assert_eq!(
        (space.id("app"), space.image("app").without_times()),
        (id, files)
    );
    space.is_clean();
}

fn every_format_comes_back(space: &Space) {
    space.build(TEXT).ok();
    let (id, files) = (space.id("app"), space.image("app").without_times());
    for format in ["hybrid", "oci-archive", "docker-archive"] {
        let archive = fs::read(space.save(&["--format", format, "app"], format)).unwrap();
        space.kiln(["rmi", "app"]).ok();
        // Standard input is read when no file is named.
        let loaded = space.kiln(["load"]).stdin(archive).ok();
        assert_eq!(loaded.stdout, "Loaded image: app:latest\n", "{format}");
        assert_eq!(
            (space.id("app"), space.image("app").without_times()),
            (id.clone(), files.clone()),
            "{format}"
        );
    }
    assert!(space.build_json(TEXT).ok().events().ran().is_empty());
    space.save(&[&id], "by-id.tar");
}

fn several_images_in_one_archive(space: &Space) {
    space
        .build("FROM scratch\nLABEL n=1\n")
        .args(["-t", "one", "-t", "also"])
        .ok();
    space
        .build("FROM scratch\nLABEL n=2\n")
        .args(["-t", "two:v2"])
        .ok();
    let archive = space.save(&["one", "also", "two:v2", "one"], "all.tar");
    let other = space.own().join("other");
    let mut loaded: Vec<String> = space
        .kiln(["load", "-i"])
        .arg(&archive)
        .env("KILN_STORE", &other)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    loaded.sort();
    assert_eq!(
        loaded,
        [
            "Loaded image: also:latest",
            "Loaded image: one:latest",
            "Loaded image: two:v2"
        ]
    );
}

fn saving_replaces_whole_files(space: &Space) {
    space.build(TEXT).ok();
    let path = space.own().join("app.tar");
    fs::write(&path, "something else").unwrap();
    space.give(&path);
    space.save(&["app"], "app.tar");
    assert!(fs::metadata(&path).unwrap().len() > 4096);
    space
        .kiln(["save", "-o", "/no/such/folder/app.tar", "app"])
        .exits(3)
        .says(&["/no/such/folder"]);
    let left: Vec<_> = fs::read_dir(space.own())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".kiln"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn damaged_archives_change_nothing(space: &Space) {
    space.build(TEXT).ok();
    let archive = fs::read(space.save(&["app"], "app.tar")).unwrap();
    space.kiln(["rmi", "app"]).ok();
    let mut flipped = archive.clone();
    let at = flipped
        .windows(6)
        .rposition(|part| part == b"all/x\0")
        .unwrap();
    flipped[at] ^= 1;
    let cut = archive[..archive.len() / 2].to_vec();
    for (what, bytes) in [
        ("flipped", flipped),
        ("cut", cut),
        ("empty", Vec::new()),
        ("text", b"no archive".to_vec()),
    ] {
        let other = space.own().join(what);
        let failed = space
            .kiln(["load"])
            .stdin(bytes)
            .env("KILN_STORE", &other)
            .exits(1);
        failed.says(&["error"]).never_says(&["panicked"]);
        assert_eq!(
            space
                .kiln(["images", "-q"])
                .env("KILN_STORE", &other)
                .ok()
                .stdout,
            "",
            "{what}"
        );
        assert_eq!(
            space.kiln(["fsck"]).env("KILN_STORE", &other).ok().stdout,
            "clean\n",
            "{what}"
        );
    }
    space
        .kiln(["load", "-i", "/no/such/archive"])
        .run()
        .says(&["/no/such/archive"]);
}

fn a_folder_becomes_an_image(space: &Space) {
    let folder = space.own_folder("own/root");
    fs::create_dir_all(folder.join("etc")).unwrap();
    fs::write(folder.join("etc/word"), "imported").unwrap();
    fs::hard_link(folder.join("etc/word"), folder.join("etc/twin")).unwrap();
    std::os::unix::fs::symlink("word", folder.join("etc/link")).unwrap();
    let imported = space
        .kiln(["import", "-m", "by hand"])
        .arg(&folder)
        .arg("base:v1")
        .ok();
    assert_eq!(imported.stdout.trim(), space.id("base:v1"));
    let image = space.image("base:v1");
    assert_eq!(image.text("etc/twin"), "imported");
    assert_eq!(
        image.entry("etc/link").kind,
        Kind::Symlink("word".to_owned())
    );
    assert!(
        image.config["history"][0]["comment"]
            .as_str()
            .unwrap()
            .contains("by hand")
    );
    space
        .build("FROM base:v1\nCOPY --from=tools / /\nRUN cat /etc/word > /copy\n")
        .ok();
    assert_eq!(space.image("app").text("copy"), "imported");
}

fn a_tar_becomes_an_image(space: &Space) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o600);
    header.set_uid(8);
    header.set_gid(9);
    builder
        .append_data(&mut header, "./deep/file", &b"x\n"[..])
        .unwrap();
    let archive = builder.into_inner().unwrap();
    let path = space.write_in("own", "root.tar", &archive);
    space.kiln(["import"]).arg(&path).arg("base").ok();
    let image = space.image("base");
    let file = image.entry("deep/file");
    assert_eq!(
        (
            image.text("deep/file").as_str(),
            file.uid,
            file.gid,
            file.mode
        ),
        ("x\n", 8, 9, 0o600)
    );
    let piped = space.kiln(["import", "-"]).stdin(archive).ok().stdout;
    assert!(piped.starts_with("sha256:"), "{piped}");
    space
        .kiln(["import", "-"])
        .stdin("no archive at all")
        .exits(1)
        .says(&["error"]);
    space
        .kiln(["import", "/no/such/root.tar"])
        .exits(2)
        .says(&["/no/such/root.tar"]);
    space.is_clean();
}
