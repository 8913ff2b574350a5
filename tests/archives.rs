//! `save`, `load`, `import`: images as files, out of one store and into another.

use std::fs;
use std::path::PathBuf;

use crate::support::image::members;
use crate::support::mode::skip;
use crate::support::{Kind, Space, cases, plain_cases};

cases! {
    saving_twice_gives_the_same_bytes,
    an_image_moves_to_another_store,
    every_format_comes_back,
    several_images_in_one_archive,
    saving_replaces_whole_files,
    damaged_archives_change_nothing,
    a_folder_becomes_an_image,
    a_tar_becomes_an_image,
}

plain_cases! {
    layers_are_compressed_on_request,
    the_whole_is_compressed_on_request,
    a_layout_in_a_folder,
    a_split_archive_is_joined_again,
    a_delta_leaves_out_its_base,
    verify_tells_what_is_in_archives,
    verify_finds_what_is_wrong,
    what_the_store_holds_is_not_read_again,
    a_refused_archive_leaves_nothing,
    arguments_that_make_no_sense,
    a_disk_without_room_is_seen_before,
}

const TEXT: &str = "FROM tools AS build
RUN echo x > /x && chmod 4755 /x && ln -s x /link && mkdir -p /folder && ln /x /folder/twin
FROM scratch
COPY --from=build /x /link /folder/ /all/
COPY --from=build --chown=5:6 /x /owned
ENV A=1
CMD [\"/all/x\"]
";

fn save(space: &Space, arguments: &[&str], file: &str) -> PathBuf {
    let path = space.own().join(file);
    space.kiln(["save", "-o"]).arg(&path).args(arguments).ok();
    path
}

fn saving_twice_gives_the_same_bytes(space: &Space) {
    space.build(TEXT).ok();
    for format in ["hybrid", "oci-archive", "docker-archive"] {
        let first = fs::read(save(space, &["--format", format, "app"], "1.tar")).unwrap();
        let second = fs::read(save(space, &["--format", format, "app"], "2.tar")).unwrap();
        assert!(first == second, "{format} differs");
        assert!(first.len() > 4096);
    }
    let hybrid = fs::read(save(space, &["app"], "hybrid.tar")).unwrap();
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
    let archive = save(space, &["app"], "app.tar");
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
        let archive = fs::read(save(space, &["--format", format, "app"], format)).unwrap();
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
    save(space, &[&id], "by-id.tar");
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
    let archive = save(space, &["one", "also", "two:v2", "one"], "all.tar");
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
    save(space, &["app"], "app.tar");
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
    let archive = fs::read(save(space, &["app"], "app.tar")).unwrap();
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

/// The manifests' layers of an archive: media type and size.
fn layers_in(archive: &[u8]) -> Vec<(String, u64)> {
    let blobs = members(archive);
    let document =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&blobs[name]).unwrap() };
    let digest = document("index.json")["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let manifest = document(&format!("blobs/{digest}"));
    let layers = manifest["layers"].as_array().unwrap();
    layers
        .iter()
        .map(|layer| {
            (
                layer["mediaType"].as_str().unwrap().to_owned(),
                layer["size"].as_u64().unwrap(),
            )
        })
        .collect()
}

fn in_store(space: &Space, store: &str, arguments: &[&str]) -> crate::support::Kiln {
    space
        .kiln(arguments)
        .env("KILN_STORE", space.own().join(store))
}

/// Files below a folder with their sizes.
fn listing(folder: &std::path::Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else if !path.to_string_lossy().contains("kiln.db") {
            found.push((path.clone(), fs::metadata(&path).unwrap().len()));
        }
    }
    found.sort();
    found
}

const POEM: &str = "FROM scratch
COPY one /one
COPY two /two
LABEL poem=1
";

/// An image `app` of two layers, and its ID.
fn poem(space: &Space) -> String {
    space.write("one", "one fish\n".repeat(4000));
    space.write("two", "two fish\n".repeat(4000));
    space.build(POEM).ok();
    space.id("app")
}

fn layers_are_compressed_on_request(space: &Space) {
    let id = poem(space);
    let plain = layers_in(&fs::read(save(space, &["app"], "plain.tar")).unwrap());
    assert!(plain.iter().all(|(kind, _)| kind.ends_with(".tar")));
    for how in ["gzip", "zstd", "gzip:1", "zstd:9"] {
        let arguments = ["--layer-compression", how, "app"];
        let first = fs::read(save(space, &arguments, "1.tar")).unwrap();
        let second = fs::read(save(space, &arguments, "2.tar")).unwrap();
        assert!(first == second, "{how} differs");
        let layers = layers_in(&first);
        let kind = format!("+{}", &how[..4]);
        assert!(
            layers.iter().all(|(name, _)| name.ends_with(&kind)),
            "{layers:?}"
        );
        assert!(
            layers
                .iter()
                .zip(&plain)
                .all(|(small, large)| small.1 < large.1)
        );
        let other = how.replace(':', "-");
        in_store(space, &other, &["load"]).stdin(first.clone()).ok();
        let inspected = in_store(space, &other, &["inspect", "app"]).ok();
        assert!(inspected.stdout.contains(&id), "the image is another one");
        // What came compressed goes out as it came, unless asked otherwise.
        let again = in_store(space, &other, &["save", "app", "-o", "again.tar"]);
        again.ok();
        assert!(
            fs::read(space.own().join("again.tar")).unwrap() == first,
            "{how}"
        );
        in_store(
            space,
            &other,
            &[
                "save",
                "--layer-compression",
                "none",
                "app",
                "-o",
                "none.tar",
            ],
        )
        .ok();
        assert_eq!(
            layers_in(&fs::read(space.own().join("none.tar")).unwrap()),
            plain
        );
    }
}

fn the_whole_is_compressed_on_request(space: &Space) {
    let id = poem(space);
    for how in ["gzip", "zstd"] {
        let path = space.own().join(how);
        let saved = space
            .kiln(["save", "--compress", how, "app", "-o"])
            .arg(&path)
            .ok();
        saved.says(&["warning", "ctr"]);
        let bytes = fs::read(&path).unwrap();
        space
            .kiln(["save", "--compress", how, "app", "-o"])
            .arg(&path)
            .ok();
        assert!(bytes == fs::read(&path).unwrap(), "{how} differs");
        let piped = format!("piped-{how}");
        let sought = format!("sought-{how}");
        in_store(space, &sought, &["load", "-i"]).arg(&path).ok();
        in_store(space, &piped, &["load"]).stdin(bytes).ok();
        for store in [&sought, &piped] {
            let inspected = in_store(space, store, &["inspect", "app"]).ok();
            assert!(inspected.stdout.contains(&id));
        }
    }
}

fn a_layout_in_a_folder(space: &Space) {
    let id = poem(space);
    let folder = space.own().join("layout");
    let save = |folder: &PathBuf| {
        space
            .kiln(["save", "--format", "oci-dir", "app", "-o"])
            .arg(folder)
    };
    save(&folder).ok();
    assert!(folder.join("oci-layout").is_file() && folder.join("blobs/sha256").is_dir());
    in_store(space, "other", &["load", "-i"]).arg(&folder).ok();
    let inspected = in_store(space, "other", &["inspect", "app"]).ok();
    assert!(inspected.stdout.contains(&id));
    let before = listing(&folder);
    save(&folder).exits(2).says(&["not empty"]);
    assert_eq!(listing(&folder), before);
    let empty = space.own_folder("own/empty");
    save(&empty).ok();
    assert_eq!(listing(&empty).len(), before.len());
}

fn a_split_archive_is_joined_again(space: &Space) {
    let id = poem(space);
    let whole = fs::read(save(space, &["app"], "whole.tar")).unwrap();
    let path = save(space, &["--split", "20000", "app"], "cut.tar");
    let part = |number: usize| space.own().join(format!("cut.tar.{number:03}"));
    let count = whole.len().div_ceil(20_000);
    let joined: Vec<u8> = (1..=count)
        .flat_map(|number| fs::read(part(number)).unwrap())
        .collect();
    assert!(joined == whole && !part(count + 1).exists() && !path.exists());
    let sums = crate::support::Kiln::of("sha256sum", None)
        .args(["-c", "cut.tar.sha256"])
        .current_dir(&space.own());
    sums.ok();
    for (store, file) in [("by-name", path.clone()), ("by-part", part(1))] {
        in_store(space, store, &["load", "-i"]).arg(file).ok();
        assert!(
            in_store(space, store, &["inspect", "app"])
                .ok()
                .stdout
                .contains(&id)
        );
    }
    in_store(space, "joined", &["load"]).stdin(joined).ok();
    let refused = |says: &[&str]| {
        let refused = in_store(space, "refused", &["load", "-i"])
            .arg(&path)
            .exits(1);
        refused.says(says);
        space.kiln(["verify"]).arg(&path).exits(1);
    };
    let (second, third) = (fs::read(part(2)).unwrap(), fs::read(part(3)).unwrap());
    fs::rename(part(3), space.own().join("away")).unwrap();
    refused(&["part 3 of", "missing", "cut.tar.003"]);
    fs::write(part(3), &second).unwrap();
    fs::write(part(2), &third).unwrap();
    refused(&["cut.tar.002", "part 3"]);
    fs::write(part(2), &second[..100]).unwrap();
    fs::write(part(3), &third).unwrap();
    refused(&["cut.tar.002", "100 bytes"]);
    let mut damaged = second.clone();
    damaged[5000] ^= 1;
    fs::write(part(2), damaged).unwrap();
    refused(&["cut.tar.002", "damaged"]);
    // A shorter archive under the same name takes the parts of the longer one with it.
    save(space, &["--split", "1MB", "app"], "cut.tar");
    assert!(part(1).exists() && !part(2).exists());
    space.kiln(["verify"]).arg(&path).ok();
}

fn a_delta_leaves_out_its_base(space: &Space) {
    poem(space);
    space.kiln(["tag", "app", "base:v1"]).ok();
    space.write("Childfile", "FROM base:v1\nCOPY two /three\n");
    space
        .kiln(["build", "-q", "-t", "child", "-f"])
        .arg(space.context().join("Childfile"))
        .arg(space.context())
        .ok();
    let child = space.id("child");
    let base = save(space, &["base:v1"], "base.tar");
    let list = space.own().join("list");
    let layers: Vec<String> = space.image("base:v1").config["rootfs"]["diff_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| digest.as_str().unwrap().to_owned())
        .collect();
    fs::write(&list, format!("# what they have\n{}\n", layers.join("\n"))).unwrap();
    let whole = fs::read(save(space, &["child"], "child.tar")).unwrap();
    let mut deltas = Vec::new();
    for from in ["base:v1", base.to_str().unwrap(), list.to_str().unwrap()] {
        let delta = fs::read(save(space, &["--base", from, "child"], "delta.tar")).unwrap();
        assert!(
            delta.len() + 30_000 < whole.len(),
            "{from}: {}",
            delta.len()
        );
        deltas.push(delta);
    }
    let receipt: serde_json::Value =
        serde_json::from_slice(&members(&deltas[0])["kiln-delta.json"]).unwrap();
    assert_eq!(receipt["bases"][0], "base:v1");
    assert_eq!(receipt["layers"].as_array().unwrap().len(), 2);
    for delta in deltas {
        let _ = fs::remove_dir_all(space.own().join("other"));
        in_store(space, "other", &["images"]).ok();
        let before = listing(&space.own().join("other"));
        let refused = in_store(space, "other", &["load"])
            .stdin(delta.clone())
            .exits(1);
        refused.says(&["leaves out 2 layers", &layers[0], &layers[1], "first"]);
        let path = space.own().join("delta.tar");
        fs::write(&path, &delta).unwrap();
        in_store(space, "other", &["load", "-i"])
            .arg(&path)
            .exits(1);
        assert_eq!(listing(&space.own().join("other")), before);
        in_store(space, "other", &["load", "-i"]).arg(&base).ok();
        in_store(space, "other", &["load"]).stdin(delta).ok();
        assert!(
            in_store(space, "other", &["inspect", "child"])
                .ok()
                .stdout
                .contains(&child)
        );
        assert_eq!(in_store(space, "other", &["fsck"]).ok().stdout, "clean\n");
    }
    let said = space
        .kiln(["save", "--base", "child", "base:v1", "-o", "x.tar"])
        .ok();
    said.says(&["left out 2 layers"]);
    space
        .build("FROM scratch\nCOPY two /unrelated\n")
        .args(["-t", "unrelated"])
        .ok();
    let said = space
        .kiln(["save", "--base", "base:v1", "unrelated", "-o", "x.tar"])
        .ok();
    said.says(&["warning", "nothing was left out"]);
}

fn verify_tells_what_is_in_archives(space: &Space) {
    let id = poem(space);
    let (first, second) = (
        save(space, &["app"], "1.tar"),
        save(space, &["--compress", "zstd", "app"], "2.tar"),
    );
    let said = space.kiln(["verify"]).arg(&first).arg(&second).ok().stdout;
    for text in [
        "1.tar: ok, 1 image",
        "2.tar: ok, 1 image",
        "app:latest",
        &id,
        "2 layers",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let json = space.kiln(["verify", "--json"]).arg(&first).ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let image = &json[0]["contents"]["images"][0];
    assert_eq!(
        (&json[0]["ok"], &image["id"]),
        (&true.into(), &id.as_str().into())
    );
    assert_eq!(image["references"][0], "docker.io/library/app:latest");
    assert_eq!(image["layers"][0]["tarSize"], image["layers"][0]["size"]);
    assert_eq!(image["layers"][0]["diffId"], image["layers"][0]["digest"]);
}

fn verify_finds_what_is_wrong(space: &Space) {
    poem(space);
    let path = save(space, &["app"], "app.tar");
    let archive = fs::read(&path).unwrap();
    let at = archive
        .windows(9)
        .rposition(|part| part == b"one fish\n")
        .unwrap();
    let mut flipped = archive.clone();
    flipped[at] ^= 1;
    for (what, bytes) in [
        ("digest", flipped),
        ("cut off", archive[..archive.len() - 20_000].to_vec()),
    ] {
        fs::write(&path, bytes).unwrap();
        let found = space.kiln(["verify"]).arg(&path).exits(1);
        assert!(
            found.stdout.contains("not sound") && found.stdout.contains(what),
            "{found}"
        );
        let json = space.kiln(["verify", "--json"]).arg(&path).exits(1).stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json[0]["ok"], false);
        assert!(
            !json[0]["contents"]["problems"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
    space.kiln(["verify", "/no/such/archive"]).exits(1);
    assert!(!space.own().join("other").exists(), "verify needs no store");
}

/// Loads what comes through a pipe that ends inside the last layer, and kills the load there.
fn kill_inside(space: &Space, start: &[u8], store: &str) {
    use std::io::Write;
    let pipe = space.own().join("pipe");
    crate::support::Kiln::of("mkfifo", space.account())
        .arg(&pipe)
        .ok();
    let running = in_store(space, store, &["load", "-i"]).arg(&pipe).spawn();
    let mut out = fs::File::options().write(true).open(&pipe).unwrap();
    out.write_all(start).unwrap();
    let blobs = space.own().join(store).join("blobs");
    let begun = std::time::Instant::now();
    while listing(&blobs).is_empty() {
        assert!(begun.elapsed() < crate::support::process::DEADLINE);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.signal(rustix::process::Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.status.code(), None, "{ended}");
    drop(out);
}

/// An interrupted load has left whole layers: their bytes in the archive are not looked at, so garbage there does no harm.
fn what_the_store_holds_is_not_read_again(space: &Space) {
    poem(space);
    let path = save(space, &["app"], "app.tar");
    let archive = fs::read(&path).unwrap();
    kill_inside(space, &archive[..archive.len() - 12_000], "other");
    let held: Vec<String> = listing(&space.own().join("other/blobs"))
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(held.len(), 1, "{held:?}");
    let mut garbled = archive.clone();
    let name = format!("blobs/sha256/{}", held[0]);
    let header = garbled
        .windows(name.len())
        .rposition(|part| part == name.as_bytes())
        .unwrap();
    garbled[header + 512..header + 512 + 20_000].fill(b'?');
    fs::write(&path, &garbled).unwrap();
    in_store(space, "fresh", &["load", "-i"])
        .arg(&path)
        .exits(1);
    in_store(space, "other", &["load", "-i"]).arg(&path).ok();
    assert_eq!(in_store(space, "other", &["fsck"]).ok().stdout, "clean\n");
}

fn a_refused_archive_leaves_nothing(space: &Space) {
    poem(space);
    let archive = fs::read(save(space, &["app"], "app.tar")).unwrap();
    let at = archive
        .windows(9)
        .rposition(|part| part == b"one fish\n")
        .unwrap();
    let other = archive
        .windows(9)
        .rposition(|part| part == b"two fish\n")
        .unwrap();
    let mut flipped = archive.clone();
    flipped[at.max(other)] ^= 1;
    space
        .build("FROM scratch\nCOPY one /elsewhere\n")
        .args(["-t", "elsewhere"])
        .ok();
    let elsewhere = save(space, &["elsewhere"], "elsewhere.tar");
    in_store(space, "other", &["load", "-i"])
        .arg(&elsewhere)
        .ok();
    let before = listing(&space.own().join("other"));
    in_store(space, "other", &["load"])
        .stdin(flipped.clone())
        .exits(1);
    assert_eq!(listing(&space.own().join("other")), before);
    let path = space.write_in("own", "flipped.tar", flipped);
    in_store(space, "other", &["load", "-i"])
        .arg(&path)
        .exits(1);
    assert_eq!(listing(&space.own().join("other")), before);
    assert_eq!(in_store(space, "other", &["fsck"]).ok().stdout, "clean\n");
}

fn arguments_that_make_no_sense(space: &Space) {
    poem(space);
    for (arguments, says) in [
        (&["--format", "oci-dir"][..], "-o FOLDER"),
        (
            &["--format", "oci-dir", "-o", "x", "--split", "1MB"],
            "split",
        ),
        (&["--split", "1MB"], "-o FILE"),
        (&["--split", "0", "-o", "x"], "above 0"),
        (&["--format", "docker-archive", "--base", "app"], "hybrid"),
        (
            &["--format", "docker-archive", "--layer-compression", "gzip"],
            "hybrid",
        ),
        (&["--layer-compression", "lzma"], "lzma"),
        (&["--platform", "no such/platform/at/all"], "platform"),
    ] {
        let refused = space.kiln(["save", "app"]).args(arguments).exits(2);
        refused.says(&[says]);
    }
    let refused = space
        .kiln(["save", "--platform", "linux/s390x", "app", "-o", "x"])
        .exits(1);
    refused.says(&["linux/s390x"]);
    assert!(!space.own().join("x").exists());
}

fn a_disk_without_room_is_seen_before(space: &Space) {
    space.write("big", vec![7; 8 << 20]);
    space.build("FROM scratch\nCOPY big /big\n").ok();
    let archive = save(space, &["app"], "app.tar");
    let disk = match space.small_disk(4 << 20) {
        Ok(disk) => disk,
        Err(reason) => return skip("a_disk_without_room_is_seen_before", space.mode, &reason),
    };
    let load = || {
        space
            .kiln(["load", "-i"])
            .arg(&archive)
            .env("KILN_STORE", space.path("disk/store"))
    };
    load().exits(3).says(&["no space left", "at least 8"]);
    assert!(listing(&space.path("disk/store/blobs")).is_empty());
    drop(disk);
}
