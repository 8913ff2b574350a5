//! Layers that were made to do harm: each is refused, or made harmless, with a clear message, in little memory, and the store is as it
//! was before. Each comes in a file and through a pipe.

use std::path::Path;
use std::sync::LazyLock;

use kiln_oci::tarfile::Kind;
use kiln_oci::{Digest, ImageConfig, LayerCompression, Platform};

use crate::support::hostile::{MEMORY, begin, listing, load, refused, retype, tar_of};
use crate::support::mode::skip;
use crate::support::tar::{Layers, Tar, compressed};
use crate::support::{Space, plain_cases};

plain_cases! {
    names_of_layers_stay_inside,
    links_of_layers_stay_inside,
    hard_links_into_lower_layers_are_refused,
    whiteouts_of_the_layer_itself_are_ignored,
    devices_are_not_made_for_anyone,
    wrong_diff_ids,
    bombs_in_layers,
    bombs_around_everything,
    sparse_files,
    sizes_that_two_readers_see_differently,
    names_that_are_too_long,
    parents_without_end,
    layers_that_are_no_tars,
}

/// It is loaded, and holds these paths and no others.
#[track_caller]
fn harmless(space: &Space, tars: &[Vec<u8>], paths: &[&str]) {
    let archive = Layers::new(tars, LayerCompression::None).archive();
    for ended in load(space, &archive) {
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        assert_eq!(space.image_paths("evil"), paths);
    }
    space.is_clean();
}

fn names_of_layers_stay_inside(space: &Space) {
    let tar = Tar::default().file("/absolute", "1").file("./a", "2").end();
    harmless(space, &[tar], &["a", "absolute"]);
    begin(space);
    for name in ["../../up", "a/../../../b", "/../up", ".."] {
        let tar = Tar::default().file(name, "1").end();
        let archive = Layers::new(&[tar], LayerCompression::Gzip(6)).archive();
        refused(space, &archive, &["leads out of it"]);
    }
    let tar = Tar::default()
        .file("a", "1")
        .entry("b", Kind::HardLink, "../a")
        .end();
    let archive = Layers::new(&[tar], LayerCompression::None).archive();
    refused(space, &archive, &["leads out of it"]);
    // docker takes what only looks so; whoever hands it on should know
    let tar = Tar::default().file("x/../kept", "1").end();
    let archive = Layers::new(&[tar], LayerCompression::None).archive();
    load(space, &archive)[0].says(&["warning", "x/../kept"]);
    assert_eq!(space.image_paths("evil"), ["kept"]);
}

fn links_of_layers_stay_inside(space: &Space) {
    let tar = Tar::default()
        .entry("out", Kind::Symlink, "../../../../..")
        .file("out/tmp-evil", "1")
        .entry("etc", Kind::Symlink, "/evil")
        .file("etc/passwd", "2")
        .end();
    harmless(
        space,
        &[tar],
        &["etc", "evil", "evil/passwd", "out", "tmp-evil"],
    );
    assert!(!Path::new("/tmp-evil").exists());
}

fn hard_links_into_lower_layers_are_refused(space: &Space) {
    begin(space);
    for link in ["file", "/etc/passwd", "out/passwd"] {
        let upper = Tar::default()
            .entry("out", Kind::Symlink, "/etc")
            .entry("link", Kind::HardLink, link)
            .end();
        let archive = Layers::new(&[tar_of("lower"), upper], LayerCompression::None).archive();
        refused(space, &archive, &["does not hold"]);
    }
}

fn whiteouts_of_the_layer_itself_are_ignored(space: &Space) {
    let tar = Tar::default()
        .file(".wh...", "")
        .file(".wh..", "")
        .file("a/.wh...", "")
        .file(".wh.", "")
        .file("a/.wh./etc/passwd", "")
        .file("kept", "1")
        .end();
    let archive = Layers::new(&[tar_of("lower"), tar], LayerCompression::None).archive();
    for ended in load(space, &archive) {
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        let paths = space.image_paths("evil");
        assert!(paths.contains(&"file".to_owned()) && paths.contains(&"kept".to_owned()));
    }
}

fn devices_are_not_made_for_anyone(space: &Space) {
    begin(space);
    let tar = Tar::default()
        .entry("null", Kind::CharDevice, "")
        .file("kept", "1")
        .end();
    // 0:0 is overlayfs's own whiteout, and nobody else may make one.
    harmless(space, &[tar], &["kept"]);
}

fn wrong_diff_ids(space: &Space) {
    begin(space);
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = vec![Digest::of(b"something else")];
    for compression in [
        LayerCompression::None,
        LayerCompression::Gzip(6),
        LayerCompression::Zstd(3),
    ] {
        let blobs = vec![compressed(&tar_of("evil"), compression)];
        let archive = Layers::of_blobs(&config, blobs, compression).archive();
        refused(space, &archive, &["digest"]);
    }
}

/// How bombs are compressed, and the bombs: made once, since each takes seconds.
static BOMBS: LazyLock<[(LayerCompression, Vec<u8>); 2]> = LazyLock::new(|| {
    [LayerCompression::Gzip(1), LayerCompression::Zstd(1)].map(|how| (how, bomb(how)))
});

/// A gibibyte of one byte as a file of a tar, compressed. Zeros would be holes, which fill no disk.
fn bomb(compression: LayerCompression) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = compression.encoder(Vec::new(), 2).unwrap();
    let mut header = Vec::new();
    let fields = kiln_oci::tarfile::HeaderFields {
        size: 1 << 30,
        ..kiln_oci::tarfile::HeaderFields::new(b"blobs/bomb", Kind::File)
    };
    kiln_oci::tarfile::write_header(&mut header, &fields).unwrap();
    encoder.write_all(&header).unwrap();
    let block = vec![7; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&block).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

/// On a small disk: what does not fit is refused, and the disk is as free as before.
#[track_caller]
fn fills_no_disk(space: &Space, archives: &[Vec<u8>]) {
    let disk = match space.small_disk(48 << 20) {
        Ok(disk) => disk,
        Err(reason) => return skip("bombs", space.mode, &reason),
    };
    let store = space.path("disk/store");
    let good = Layers::new(&[tar_of("good")], LayerCompression::None).archive();
    space
        .kiln(["load", "-q"])
        .stdin(good)
        .env("KILN_STORE", &store)
        .ok();
    let before = listing(&store);
    for archive in archives {
        let path = space.write_in("own", "bomb.tar", archive);
        for how in ["exec kiln load -i \"$EVIL\"", "cat \"$EVIL\" | kiln load"] {
            let script = format!("ulimit -v {MEMORY}; {how}");
            let ended = space
                .shell(&script)
                .env("EVIL", &path)
                .env("KILN_STORE", &store)
                .run();
            assert!(matches!(ended.status.code(), Some(1 | 3)), "{ended}");
            ended.never_says(&["panicked", "memory allocation"]);
            assert!(
                ["no space left", "no image archive", "expands"]
                    .iter()
                    .any(|text| ended.stderr.contains(text)),
                "{ended}"
            );
            assert_eq!(listing(&store), before);
        }
    }
    drop(disk);
}

fn bombs_in_layers(space: &Space) {
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = vec![Digest::of(b"whatever")];
    let archive =
        |(how, bomb): &(_, Vec<u8>)| Layers::of_blobs(&config, vec![bomb.clone()], *how).archive();
    fills_no_disk(space, &BOMBS.iter().map(archive).collect::<Vec<_>>());
}

fn bombs_around_everything(space: &Space) {
    let archives: Vec<_> = BOMBS.iter().map(|(_, bomb)| bomb.clone()).collect();
    fills_no_disk(space, &archives);
}

fn sparse_files(space: &Space) {
    begin(space);
    let record = |text: &str| format!("{} {text}\n", text.len() + 4);
    let sparse = record("GNU.sparse.major=1") + &record("GNU.sparse.minor=0");
    let pax = Tar::default().file("x", sparse.as_bytes());
    let mut bytes = pax.0;
    retype(&mut bytes, b'x');
    let tar = Tar(bytes).file("sparse", "1\n0\n").end();
    let archive = Layers::new(&[tar], LayerCompression::None).archive();
    refused(space, &archive, &["sparse"]);
    let mut old = Tar::default().file("sparse", "x").0;
    retype(&mut old, b'S');
    let archive = Layers::new(&[Tar(old).end()], LayerCompression::None).archive();
    refused(space, &archive, &["sparse"]);
}

/// A PAX size that belongs to the next file, with a long name between: readers that give it to the name see other files.
fn sizes_that_two_readers_see_differently(space: &Space) {
    begin(space);
    let mut pax = Tar::default()
        .file(
            "x",
            "14 size=1024\n\n".trim_end_matches('\n').to_owned() + "\n",
        )
        .0;
    retype(&mut pax, b'x');
    let mut long = Tar::default().file("././@LongLink", "long\0").0;
    retype(&mut long, b'L');
    let hidden = Tar::default().file("hidden", "x").0;
    let bytes = [pax, long].concat();
    let tar = Tar(bytes).file("short", &hidden).end();
    let archive = Layers::new(&[tar], LayerCompression::None).archive();
    for ended in load(space, &archive) {
        // The one reading is docker's: a file of 1024 bytes; or there is none.
        match ended.status.code() {
            Some(0) => assert_eq!(space.image_paths("evil"), ["long"]),
            _ => drop(ended.says(&["PAX"])),
        }
    }
    for bad in [
        "size=-1",
        "size=99999999999999999999",
        "size=1 ",
        "no equals",
    ] {
        let text = format!("{} {bad}\n", bad.len() + 4);
        let mut pax = Tar::default().file("x", text).0;
        retype(&mut pax, b'x');
        let tar = Tar(pax).file("file", "x").end();
        let archive = Layers::new(&[tar], LayerCompression::None).archive();
        refused(space, &archive, &["PAX", "invalid size"]);
    }
}

fn names_that_are_too_long(space: &Space) {
    begin(space);
    for name in [vec![b'n'; 300], b"deep/".repeat(1000)] {
        let name = [name, b"x".to_vec()].concat();
        let tar = Tar::default();
        let header = name.len() <= 4096;
        let tar = if header {
            tar.file(&name, "x")
        } else {
            let mut long = tar.file("././@LongLink", [&name[..], b"\0"].concat()).0;
            retype(&mut long, b'L');
            Tar(long).file("short", "x")
        };
        let archive = Layers::new(&[tar.end()], LayerCompression::None).archive();
        refused(
            space,
            &archive,
            &["no Linux file system can", "more than 4096"],
        );
    }
}

fn parents_without_end(space: &Space) {
    begin(space);
    let tar = (0..3000).fold(Tar::default(), |tar, number| {
        tar.file(format!("{number:04}/{}x", "a/".repeat(2000)), "")
    });
    let archive = Layers::new(&[tar.end()], LayerCompression::Zstd(1)).archive();
    refused(space, &archive, &["directories that it does not describe"]);
}

fn layers_that_are_no_tars(space: &Space) {
    begin(space);
    let mut config = ImageConfig::new(&Platform::host());
    let text = b"#!/bin/sh\necho evil\n".repeat(100);
    config.rootfs.diff_ids = vec![Digest::of(&text)];
    for how in [LayerCompression::None, LayerCompression::Gzip(6)] {
        let blobs = vec![compressed(&text, how)];
        let archive = Layers::of_blobs(&config, blobs, how).archive();
        refused(
            space,
            &archive,
            &[
                "tar cannot be read",
                "is missing",
                "not what it is used for",
            ],
        );
    }
}
