//! `save` and `load` with their options: compression, deltas, parts, folders.

use std::fs;
use std::path::PathBuf;

use crate::support::archive::{described, listed};
use crate::support::hostile::listing;
use crate::support::image::members;
use crate::support::{Space, plain_cases};

plain_cases! {
    layers_are_compressed_on_request,
    the_whole_is_compressed_on_request,
    a_layout_in_a_folder,
    a_split_archive_is_joined_again,
    a_delta_and_a_compressed_archive_are_split_too,
    a_dash_is_the_standard_output,
    a_delta_leaves_out_its_base,
    arguments_that_make_no_sense,
}

/// The manifest's layers of an archive of one image: media type and size.
fn layers_in(archive: &[u8]) -> Vec<(String, u64)> {
    let manifest = described(archive, &listed(archive)[0]);
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| {
            let media_type = layer["mediaType"].as_str().unwrap();
            (media_type.to_owned(), layer["size"].as_u64().unwrap())
        })
        .collect()
}

fn layers_are_compressed_on_request(space: &Space) {
    let id = space.poem();
    let plain = layers_in(&fs::read(space.save(&["app"], "plain.tar")).unwrap());
    assert!(plain.iter().all(|(kind, _)| kind.ends_with(".tar")));
    for how in ["gzip", "zstd", "gzip:1", "zstd:9"] {
        let arguments = ["--layer-compression", how, "app"];
        let first = fs::read(space.save(&arguments, "1.tar")).unwrap();
        let second = fs::read(space.save(&arguments, "2.tar")).unwrap();
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
        space.in_store(&other, &["load"]).stdin(first.clone()).ok();
        let inspected = space.in_store(&other, &["inspect", "app"]).ok();
        assert!(inspected.stdout.contains(&id), "the image is another one");
        // What came compressed goes out as it came, unless asked otherwise.
        let again = space.in_store(&other, &["save", "app", "-o", "again.tar"]);
        again.ok();
        assert!(
            fs::read(space.own().join("again.tar")).unwrap() == first,
            "{how}"
        );
        space
            .in_store(
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
    let id = space.poem();
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
        space.in_store(&sought, &["load", "-i"]).arg(&path).ok();
        space.in_store(&piped, &["load"]).stdin(bytes).ok();
        for store in [&sought, &piped] {
            let inspected = space.in_store(store, &["inspect", "app"]).ok();
            assert!(inspected.stdout.contains(&id));
        }
    }
}

fn a_layout_in_a_folder(space: &Space) {
    let id = space.poem();
    let folder = space.own().join("layout");
    let save = |folder: &PathBuf| {
        space
            .kiln(["save", "--format", "oci-dir", "app", "-o"])
            .arg(folder)
    };
    save(&folder).ok();
    assert!(folder.join("oci-layout").is_file() && folder.join("blobs/sha256").is_dir());
    space.in_store("other", &["load", "-i"]).arg(&folder).ok();
    let inspected = space.in_store("other", &["inspect", "app"]).ok();
    assert!(inspected.stdout.contains(&id));
    let before = listing(&folder);
    save(&folder).exits(2).says(&["not empty"]);
    assert_eq!(listing(&folder), before);
    let empty = space.own_folder("own/empty");
    save(&empty).ok();
    assert_eq!(listing(&empty).len(), before.len());
}

fn a_split_archive_is_joined_again(space: &Space) {
    let id = space.poem();
    let whole = fs::read(space.save(&["app"], "whole.tar")).unwrap();
    let path = space.save(&["--split", "20000", "app"], "cut.tar");
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
        space.in_store(store, &["load", "-i"]).arg(file).ok();
        assert!(
            space
                .in_store(store, &["inspect", "app"])
                .ok()
                .stdout
                .contains(&id)
        );
    }
    space.in_store("joined", &["load"]).stdin(joined).ok();
    let refused = |says: &[&str]| {
        let refused = space
            .in_store("refused", &["load", "-i"])
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
    // A shorter archive under the same name takes the parts of the longer one with it, and a whole one.
    fs::write(&path, "something else").unwrap();
    space.give(&path);
    space.save(&["--split", "1MB", "app"], "cut.tar");
    assert!(part(1).exists() && !part(2).exists() && !path.exists());
    space.kiln(["verify"]).arg(&path).ok();
}

fn a_delta_and_a_compressed_archive_are_split_too(space: &Space) {
    let id = space.poem();
    space.kiln(["tag", "app", "base:v1"]).ok();
    space.write("two", "three fish\n".repeat(4000));
    space
        .build("FROM base:v1\nCOPY two /three\n")
        .args(["-t", "child"])
        .ok();
    let child = space.id("child");
    assert_ne!(child, id);
    for (name, arguments) in [
        ("delta", &["--base", "base:v1", "child"][..]),
        ("zstd", &["--compress", "zstd", "child"]),
        ("gzip", &["--compress", "gzip", "child"]),
    ] {
        let whole = fs::read(space.save(arguments, "whole.tar")).unwrap();
        let size = (whole.len() / 3).to_string();
        let path = space.save(&[&["--split", &size], arguments].concat(), name);
        assert!(space.own().join(format!("{name}.003")).exists());
        space.kiln(["verify"]).arg(&path).ok();
        let store = format!("store-{name}");
        if name == "delta" {
            let base = space.save(&["base:v1"], "base.tar");
            let refused = space.in_store(&store, &["load", "-i"]).arg(&path).exits(1);
            refused.says(&["leaves out 2 layers"]);
            space.load_in(&store, &base);
        }
        space.load_in(&store, &path);
        let inspected = space.in_store(&store, &["inspect", "-f", "{{.Id}}", "child"]);
        assert_eq!(inspected.ok().stdout, format!("{child}\n"));
    }
}

/// As in `export`, `-` is the standard output; parts need a name.
fn a_dash_is_the_standard_output(space: &Space) {
    space.poem();
    let whole = fs::read(space.save(&["app"], "whole.tar")).unwrap();
    assert!(space.kiln(["save", "-o", "-", "app"]).stdout() == whole);
    for arguments in [&["--split", "1MB"][..], &["--format", "oci-dir"]] {
        let refused = space.kiln(["save", "-o", "-", "app"]).args(arguments);
        refused.exits(2).says(&["-o F"]);
    }
    assert!(!space.own().join("-").exists() && !space.own().join("-.001").exists());
}

/// Into an empty store: refused without writing anything, then taken.
fn is_taken_with_its_base_only(
    space: &Space,
    delta: Vec<u8>,
    base: &std::path::Path,
    layers: &[String],
) {
    let _ = fs::remove_dir_all(space.own().join("other"));
    space.in_store("other", &["images"]).ok();
    let before = listing(&space.own().join("other"));
    let refused = space
        .in_store("other", &["load"])
        .stdin(delta.clone())
        .exits(1);
    refused.says(&["leaves out 2 layers", &layers[0], &layers[1], "first"]);
    let path = space.own().join("delta.tar");
    fs::write(&path, &delta).unwrap();
    space.in_store("other", &["load", "-i"]).arg(&path).exits(1);
    assert_eq!(listing(&space.own().join("other")), before);
    space.in_store("other", &["load", "-i"]).arg(base).ok();
    space.in_store("other", &["load"]).stdin(delta).ok();
    assert_eq!(space.in_store("other", &["fsck"]).ok().stdout, "clean\n");
}

fn a_delta_leaves_out_its_base(space: &Space) {
    space.poem();
    space.kiln(["tag", "app", "base:v1"]).ok();
    space.write("Childfile", "FROM base:v1\nCOPY two /three\n");
    space
        .kiln(["build", "-q", "-t", "child", "-f"])
        .arg(space.context().join("Childfile"))
        .arg(space.context())
        .ok();
    let child = space.id("child");
    let base = space.save(&["base:v1"], "base.tar");
    let list = space.own().join("list");
    let layers: Vec<String> = space.image("base:v1").config["rootfs"]["diff_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| digest.as_str().unwrap().to_owned())
        .collect();
    fs::write(&list, format!("# what they have\n{}\n", layers.join("\n"))).unwrap();
    let whole = fs::read(space.save(&["child"], "child.tar")).unwrap();
    let mut deltas = Vec::new();
    for from in ["base:v1", base.to_str().unwrap(), list.to_str().unwrap()] {
        let delta = fs::read(space.save(&["--base", from, "child"], "delta.tar")).unwrap();
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
        is_taken_with_its_base_only(space, delta, &base, &layers);
        let inspected = space.in_store("other", &["inspect", "child"]).ok();
        assert!(inspected.stdout.contains(&child));
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

fn arguments_that_make_no_sense(space: &Space) {
    space.poem();
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
