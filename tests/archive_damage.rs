//! Damaged, refused and interrupted archives: `verify` tells, `load` leaves nothing, or goes on where it was.

use std::fs;
use std::path::Path;

use kiln_oci::{Digest, ImageConfig, LayerCompression, Platform};

use crate::support::hostile::{listing, tar_of};
use crate::support::mode::skip;
use crate::support::tar::{Layers, Tar};
use crate::support::{Space, plain_cases};

plain_cases! {
    verify_tells_what_is_in_archives,
    verify_finds_what_is_wrong,
    what_the_store_holds_is_not_read_again,
    an_interrupted_load_reads_only_what_is_missing,
    a_refused_archive_leaves_nothing,
    a_disk_without_room_is_seen_before,
    archives_cut_off_or_with_a_wrong_bit,
    layers_that_no_media_type_names_are_sound,
    names_that_are_none_are_told,
}

fn verify_tells_what_is_in_archives(space: &Space) {
    let id = space.poem();
    let (first, second) = (
        space.save(&["app"], "1.tar"),
        space.save(&["--compress", "zstd", "app"], "2.tar"),
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
    space.poem();
    let path = space.save(&["app"], "app.tar");
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
            found.stdout.contains("damaged") && found.stdout.contains(what),
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

/// Loads what comes through a pipe that ends inside a layer, and kills the load there, when so many blobs are in the store.
fn kill_inside(space: &Space, start: &[u8], store: &str, finished: usize) {
    use std::io::Write;
    let pipe = space.own().join("pipe");
    crate::support::Kiln::of("mkfifo", space.account())
        .arg(&pipe)
        .ok();
    let running = space.in_store(store, &["load", "-i"]).arg(&pipe).spawn();
    let mut out = fs::File::options().write(true).open(&pipe).unwrap();
    out.write_all(start).unwrap();
    let blobs = space.own().join(store).join("blobs");
    let begun = std::time::Instant::now();
    while listing(&blobs).len() < finished {
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
    space.poem();
    let path = space.save(&["app"], "app.tar");
    let archive = fs::read(&path).unwrap();
    kill_inside(space, &archive[..archive.len() - 12_000], "other", 1);
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
    space.in_store("fresh", &["load", "-i"]).arg(&path).exits(1);
    space.in_store("other", &["load", "-i"]).arg(&path).ok();
    assert_eq!(space.in_store("other", &["fsck"]).ok().stdout, "clean\n");
}

/// Bytes that a load reads of an archive, by strace(1).
fn bytes_read(space: &Space, archive: &Path, store: &str) -> Result<u64, String> {
    let trace = space.own().join("trace");
    let script = "command -v strace > /dev/null || { echo no strace; exit 0; }
                  strace -f -y -qq -e trace=read,pread64,readv,preadv -o \"$TRACE\" kiln load -q -i \"$ARCHIVE\"";
    let traced = space
        .shell(script)
        .env("TRACE", &trace)
        .env("ARCHIVE", archive)
        .env("KILN_STORE", space.own().join(store))
        .run();
    let Ok(lines) = fs::read_to_string(&trace) else {
        return Err(format!("{}{}", traced.stdout.trim(), traced.stderr.trim()));
    };
    assert!(traced.status.success(), "{traced}");
    let name = format!("<{}>", archive.display());
    let counts = lines
        .lines()
        .filter(|line| line.contains(&name))
        .filter_map(|line| line.rsplit_once("= ")?.1.trim().parse::<u64>().ok());
    Ok(counts.sum())
}

/// After an interruption only what is missing is read, and the documents.
fn an_interrupted_load_reads_only_what_is_missing(space: &Space) {
    const LAYER: u64 = 3 << 20;
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        space.write(name, vec![number as u8 + 1; LAYER as usize]);
    }
    let text = "FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY c /c\n";
    space.build(text).ok();
    let path = space.save(&["app"], "app.tar");
    let archive = fs::read(&path).unwrap();
    let whole = match bytes_read(space, &path, "fresh") {
        Ok(whole) => whole,
        Err(reason) => {
            return skip(
                "an_interrupted_load_reads_only_what_is_missing",
                space.mode,
                &reason,
            );
        }
    };
    assert!((3 * LAYER..4 * LAYER).contains(&whole), "{whole}");
    // killed inside the third layer
    kill_inside(space, &archive[..archive.len() - 100_000], "other", 2);
    let rest = bytes_read(space, &path, "other").unwrap();
    assert!((LAYER..LAYER + LAYER / 4).contains(&rest), "{rest}");
    let again = bytes_read(space, &path, "other").unwrap();
    assert!(again < 256 << 10, "{again}");
    assert_eq!(space.in_store("other", &["fsck"]).ok().stdout, "clean\n");
    let id = space.in_store("other", &["inspect", "-f", "{{.Id}}", "app"]);
    assert_eq!(id.ok().stdout.trim(), space.id("app"));
}

fn a_refused_archive_leaves_nothing(space: &Space) {
    space.poem();
    let archive = fs::read(space.save(&["app"], "app.tar")).unwrap();
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
    let elsewhere = space.save(&["elsewhere"], "elsewhere.tar");
    space
        .in_store("other", &["load", "-i"])
        .arg(&elsewhere)
        .ok();
    let before = listing(&space.own().join("other"));
    space
        .in_store("other", &["load"])
        .stdin(flipped.clone())
        .exits(1);
    assert_eq!(listing(&space.own().join("other")), before);
    let path = space.write_in("own", "flipped.tar", flipped);
    space.in_store("other", &["load", "-i"]).arg(&path).exits(1);
    assert_eq!(listing(&space.own().join("other")), before);
    assert_eq!(space.in_store("other", &["fsck"]).ok().stdout, "clean\n");
}

fn a_disk_without_room_is_seen_before(space: &Space) {
    space.write("big", vec![7; 8 << 20]);
    space.build("FROM scratch\nCOPY big /big\n").ok();
    let archive = space.save(&["app"], "app.tar");
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

/// What is loaded of a damaged archive is what was saved, or nothing, and the store is as before.
fn archives_cut_off_or_with_a_wrong_bit(space: &Space) {
    let image = Layers::new(&[tar_of("one"), tar_of("two")], LayerCompression::Gzip(6));
    let archive = image.archive();
    let id = Digest::of(&image.config).to_string();
    space.kiln(["images"]).ok();
    let before = listing(&space.store());
    let path = space.own().join("damaged.tar");
    let cuts = (0..archive.len())
        .step_by(512)
        .map(|at| archive[..at].to_vec());
    // spread over headers, documents and layers; every byte is tried where no process is needed
    let flips = (0..archive.len()).step_by(211).map(|at| {
        let mut damaged = archive.clone();
        damaged[at] ^= 1 << (at % 8);
        damaged
    });
    for (number, damaged) in cuts.chain(flips).enumerate() {
        let ended = if number % 2 == 0 {
            fs::write(&path, &damaged).unwrap();
            space.kiln(["load", "-i"]).arg(&path).run()
        } else {
            space.kiln(["load"]).stdin(damaged).run()
        };
        ended.never_says(&["panicked"]);
        if ended.status.success() {
            let found = space.kiln(["images", "-a", "-q", "--no-trunc"]).ok();
            assert_eq!(found.stdout, format!("{id}\n"), "{number}: {ended}");
            space.kiln(["prune", "-a", "-f"]).ok();
        } else {
            assert_eq!(ended.status.code(), Some(1), "{number}: {ended}");
            assert!(ended.stderr.starts_with("error: "), "{number}: {ended}");
            if ended.stderr.contains("cut off") {
                // whole layers that came before stay for the next time
                space.kiln(["prune", "-a", "-f"]).ok();
            }
        }
        assert_eq!(listing(&space.store()), before, "{number}: {ended}");
    }
    space.is_clean();
}

/// A manifest may name a blob that is compressed with xz: it is kept as it came, and `verify` says the same as `load`.
fn layers_that_no_media_type_names_are_sound(space: &Space) {
    let tar = tar_of("one");
    let mut xz = Vec::new();
    let mut reader = liblzma::bufread::XzEncoder::new(&tar[..], 1);
    std::io::Read::read_to_end(&mut reader, &mut xz).unwrap();
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = vec![Digest::of(&tar)];
    let image = Layers::of_blobs(&config, vec![xz], LayerCompression::Gzip(6));
    let path = space.write_in("own", "xz.tar", image.archive());
    space.kiln(["verify"]).arg(&path).ok();
    space.kiln(["load", "-i"]).arg(&path).ok();
    let again = space.save(&["evil"], "again.tar");
    assert!(fs::read(again).unwrap() == image.archive());
}

fn names_that_are_none_are_told(space: &Space) {
    let config = ImageConfig::new(&Platform::host()).to_bytes();
    let manifest = br#"[{"Config":"config.json","RepoTags":["Not A Name","app:v1"],"Layers":[]}]"#;
    let archive = Tar::default()
        .file("manifest.json", manifest)
        .file("config.json", config);
    let loaded = space.kiln(["load", "-i", "-"]).stdin(archive.end()).ok();
    assert_eq!(loaded.stdout, "Loaded image: app:v1\n");
    loaded.says(&["warning", "\"Not A Name\" is not a valid image name"]);
}
