//! Shared caches that lost something, or were damaged: builds take longer and end well, and the cache is whole again afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::machines::{counts, folder, from_folder, in_registry, on, to_folder};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    lost_layers_are_made_for_every_output,
    a_registry_gets_again_what_it_lost,
    a_folder_gets_again_what_was_damaged,
    what_cannot_be_read_is_written_anew,
    a_loss_of_one_cache_is_none_of_the_other,
    one_whole_cache_is_enough,
    folders_are_locked_and_swept,
    squashed_layers_are_cached_too,
    another_compression_replaces_layers,
}

const TEXT: &str = "FROM scratch AS first\nCOPY word /first\nFROM scratch\nCOPY --from=first /first /\nCOPY word /second\n";

fn both(from: Vec<String>, to: Vec<String>) -> Vec<String> {
    [from, to].concat()
}

/// The layers of the cache in the registry, without the records.
fn layers(registry: &Registry) -> Vec<String> {
    let manifest = registry.manifest_of("cache/manifests/main");
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap()[1..].iter();
    layers
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// So many times each of them is not there.
fn lose(registry: &Registry, times: usize) {
    for layer in layers(registry) {
        for method in ["GET", "HEAD"] {
            registry.fault(
                method,
                &layer,
                times,
                Fault::Answer(404, Vec::new(), Vec::new()),
            );
        }
    }
}

/// The blobs of the folder that begin so.
fn blobs(space: &Space, begin: &[u8]) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder(space).join("blobs/sha256")).unwrap();
    let paths = listed.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| fs::read(path).unwrap().starts_with(begin))
        .collect()
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn build(space: &Space, machine: &str, flags: &[String]) -> Kiln {
    space.write("word", "word");
    on(space, machine, TEXT, flags)
}

fn lost_layers_are_made_for_every_output(space: &Space) {
    let registry = Registry::start(Guard::Open);
    build(
        space,
        "one",
        &in_registry(&registry, "--cache-to", ",mode=max"),
    )
    .ok();
    let from = in_registry(&registry, "--cache-from", "");
    for (machine, output) in [
        "type=oci,dest=out.tar",
        "out",
        "type=docker,dest=out.tar",
        "",
    ]
    .iter()
    .enumerate()
    {
        lose(&registry, 3);
        let machine = format!("machine-{machine}");
        let mut flags = from.clone();
        if !output.is_empty() {
            flags.extend(["-o".to_owned(), (*output).to_owned()]);
        }
        let built = build(space, &machine, &flags).ok();
        built.says(&["of a shared cache cannot be fetched", "done in"]);
        let save = space.kiln(["save", "-o", "saved.tar", "app"]);
        save.env("KILN_STORE", space.own().join(machine)).ok();
    }
}

fn a_registry_gets_again_what_it_lost(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let to = in_registry(&registry, "--cache-to", ",mode=max");
    let flags = both(in_registry(&registry, "--cache-from", ""), to);
    build(space, "one", &flags).ok();
    lose(&registry, 1);
    build(space, "two", &flags)
        .ok()
        .never_says(&["nothing new"]);
    let third = build(space, "three", &flags).ok();
    third
        .says(&["nothing new"])
        .never_says(&["cannot be fetched"]);
    assert_eq!(counts(&third), (0, 3), "{third}");
}

fn a_folder_gets_again_what_was_damaged(space: &Space) {
    let flags = both(from_folder(space), to_folder(space, ",mode=max"));
    build(space, "one", &flags).ok();
    blobs(space, &[0x1f, 0x8b])
        .iter()
        .for_each(|blob| damage(blob));
    build(space, "two", &flags)
        .ok()
        .says(&["cannot be fetched"]);
    let third = build(space, "three", &flags).ok();
    third.never_says(&["cannot be fetched"]);
    assert_eq!(counts(&third), (0, 3), "{third}");
}

fn what_cannot_be_read_is_written_anew(space: &Space) {
    let to = to_folder(space, ",mode=max");
    let records = [0x28, 0xb5, 0x2f, 0xfd];
    let again = |what: &str| {
        build(space, "one", &to).ok().says(&["holds 3 results"]);
        let built = build(space, "two", &from_folder(space)).ok();
        assert_eq!(counts(&built), (0, 3), "{what}: {built}");
        fs::remove_dir_all(space.own().join("two")).unwrap();
    };
    again("new");
    blobs(space, &records)
        .iter()
        .for_each(|blob| fs::remove_file(blob).unwrap());
    again("without records");
    blobs(space, b"{\"schemaVersion\"")
        .iter()
        .for_each(|blob| fs::remove_file(blob).unwrap());
    again("without a manifest");
    fs::write(folder(space).join("index.json"), "").unwrap();
    again("with an empty index");
}

fn a_loss_of_one_cache_is_none_of_the_other(space: &Space) {
    build(space, "one", &to_folder(space, ",mode=max")).ok();
    blobs(space, &[0x1f, 0x8b])
        .iter()
        .for_each(|blob| damage(blob));
    let registry = Registry::start(Guard::Open);
    let to = in_registry(&registry, "--cache-to", ",mode=max");
    build(space, "two", &both(from_folder(space), to)).ok();
    let from = in_registry(&registry, "--cache-from", "");
    build(space, "three", &from)
        .ok()
        .never_says(&["cannot be fetched"]);
}

fn one_whole_cache_is_enough(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let to = in_registry(&registry, "--cache-to", ",mode=max");
    build(space, "one", &both(to, to_folder(space, ",mode=max"))).ok();
    lose(&registry, 3);
    let from = in_registry(&registry, "--cache-from", "");
    let built = build(space, "two", &both(from, from_folder(space))).ok();
    assert_eq!(counts(&built), (0, 3), "{built}");
    fs::remove_dir_all(folder(space)).unwrap();
    let save = space.kiln(["save", "-o", "saved.tar", "app"]);
    save.env("KILN_STORE", space.own().join("two")).ok();
}

fn folders_are_locked_and_swept(space: &Space) {
    let to = to_folder(space, ",mode=max");
    build(space, "one", &to).ok();
    let (mark, inside) = (
        folder(space).join("oci-layout"),
        folder(space).join("blobs/sha256"),
    );
    // what killed writers left
    let orphan = "ab".repeat(32);
    for (path, text) in [
        (inside.join(".kiln-cacheX"), ""),
        (inside.join(&orphan), "text"),
        (inside.join("cd".repeat(32)), "of somebody"),
        (
            folder(space).join(".kiln-unpublished"),
            &format!("{orphan}\n"),
        ),
    ] {
        space.give(&{
            fs::write(&path, text).unwrap();
            path
        });
    }
    let lock = Command::new("flock")
        .arg("-o")
        .arg(&mark)
        .args(["sleep", "20"])
        .spawn();
    let mut other = lock.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut waiting = build(space, "one", &to).spawn();
    waiting.until("waiting for another process");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(waiting.wait().status.success());
    assert!(!inside.join(".kiln-cacheX").exists() && !inside.join(&orphan).exists());
    assert!(inside.join("cd".repeat(32)).exists());
    // what never answers
    fs::remove_file(&mark).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&mark)
            .status()
            .unwrap()
            .success()
    );
    build(space, "one", &to)
        .exits(3)
        .says(&["oci-layout", "not a regular file"]);
}

fn squashed_layers_are_cached_too(space: &Space) {
    let squash = |flags: Vec<String>| both(flags, vec!["--squash".to_owned()]);
    build(space, "one", &squash(to_folder(space, ""))).ok();
    let built = build(space, "two", &squash(from_folder(space))).ok();
    assert_eq!(counts(&built), (0, 3), "{built}");
}

fn another_compression_replaces_layers(space: &Space) {
    build(space, "one", &to_folder(space, "")).ok();
    let zstd = ",compression=zstd";
    build(space, "one", &to_folder(space, zstd))
        .ok()
        .says(&["nothing new"]);
    let forced = format!("{zstd},force-compression=true");
    build(space, "one", &to_folder(space, &forced))
        .ok()
        .never_says(&["nothing new"]);
    assert!(blobs(space, &[0x1f, 0x8b]).is_empty());
}
