//! Images as other tools and other people make them, in every report: archives of docker and podman, one layer, 127 layers, no history,
//! names that are no text, or HTML, or commands of a terminal.

use kiln_oci::tarfile::Kind;
use kiln_oci::{Digest, History, ImageConfig, LayerCompression, Platform};
use serde_json::{Value, json};

use crate::support::tar::{Layers, Tar};
use crate::support::{Space, plain_cases};

plain_cases! {
    archives_of_docker_and_podman,
    one_layer_and_no_history,
    as_many_layers_as_docker_takes,
    hostile_names_do_no_harm,
}

/// A file that is written, changed in its mode alone, and deleted; its history has one entry more.
fn tars() -> Vec<Vec<u8>> {
    let file = |path: &str| Tar::default().file(path, [b'x'; 20_000]);
    vec![
        file("app/file").file("kept", "kept").end(),
        file("app/file").end(),
        Tar::default().file("app/.wh.file", "").end(),
    ]
}

fn config(tars: &[Vec<u8>]) -> ImageConfig {
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = tars.iter().map(|tar| Digest::of(tar)).collect();
    let step = |number| History {
        created_by: Some(format!("/bin/sh -c step {number}")),
        ..History::default()
    };
    config.history = (0..tars.len()).map(step).collect();
    config
}

fn written(space: &Space, name: &str, archive: &[u8]) -> String {
    space.write(name, archive).to_str().unwrap().to_owned()
}

/// What a report says as JSON.
fn said(space: &Space, arguments: &[&str]) -> Value {
    let ran = space.kiln(arguments).args(["--format", "json"]).ok();
    serde_json::from_str(&ran.stdout).unwrap()
}

fn sum(classes: &Value) -> u64 {
    let classes = classes.as_object().unwrap().values();
    classes.map(|bytes| bytes.as_u64().unwrap()).sum()
}

/// The bytes of each class, if all layers and the whole add up, and `compare` says the same of it.
fn classes(space: &Space, archive: &str) -> Value {
    let report = said(space, &["size", archive]);
    let layers = report["Layers"].as_array().unwrap();
    for part in layers.iter().chain([&report["Total"]]) {
        assert_eq!(part["Size"], sum(&part["Classes"]), "{archive}: {part}");
    }
    let compared = said(space, &["compare", "--no-times", archive]);
    let variant = &compared["variants"][0];
    assert_eq!(variant["weight"]["uncompressed"], report["Total"]["Size"]);
    assert_eq!(report["Total"]["Size"], sum(&variant["classes"]));
    report["Total"]["Classes"].clone()
}

/// As docker wrote it for ten years, its layers behind folders of their own.
fn of_docker(tars: &[Vec<u8>], config: &ImageConfig) -> Vec<u8> {
    let config = config.to_bytes();
    let name = format!("{}.json", Digest::of(&config).hex());
    let folder = |number: usize| format!("{number:064x}");
    let mut archive = Tar::default();
    for (number, tar) in tars.iter().enumerate() {
        archive = archive
            .entry(format!("{}/", folder(number)), Kind::Directory, "")
            .file(format!("{}/VERSION", folder(number)), "1.0")
            .file(format!("{}/json", folder(number)), "{}")
            .file(format!("{}/layer.tar", folder(number)), tar);
    }
    let layers = (0..tars.len()).map(|number| format!("{}/layer.tar", folder(number)));
    let layers: Vec<String> = layers.collect();
    let manifest = json!([{"Config": name, "RepoTags": ["app:1"], "Layers": layers}]);
    let archive = archive.file(&name, &config);
    archive.file("manifest.json", manifest.to_string()).end()
}

/// As podman writes it: layers by their digest, links to them where docker has them.
fn of_podman(tars: &[Vec<u8>], config: &ImageConfig) -> Vec<u8> {
    let config = config.to_bytes();
    let name = format!("{}.json", Digest::of(&config).hex());
    let layers = tars
        .iter()
        .map(|tar| format!("{}.tar", Digest::of(tar).hex()));
    let layers: Vec<String> = layers.collect();
    let mut archive = Tar::default();
    for (number, (layer, tar)) in layers.iter().zip(tars).enumerate() {
        let link = format!("{number:064x}/layer.tar");
        archive = archive
            .file(layer, tar)
            .entry(link, Kind::Symlink, &format!("../{layer}"));
    }
    let manifest = json!([{"Config": name, "RepoTags": ["app:1"], "Layers": layers}]);
    let archive = archive.file(&name, &config);
    archive.file("manifest.json", manifest.to_string()).end()
}

fn archives_of_docker_and_podman(space: &Space) {
    let (tars, config) = (tars(), config(&tars()));
    let compressed = |compression| {
        let blobs = tars
            .iter()
            .map(|tar| crate::support::tar::compressed(tar, compression));
        Layers::of_blobs(&config, blobs.collect(), compression).archive()
    };
    let archives = [
        written(space, "docker.tar", &of_docker(&tars, &config)),
        written(space, "podman.tar", &of_podman(&tars, &config)),
        written(space, "gzip.tar", &compressed(LayerCompression::gzip())),
        written(space, "zstd.tar", &compressed(LayerCompression::zstd())),
    ];
    for archive in &archives {
        let classes = classes(space, archive);
        assert_eq!(classes["Live"], 4, "{archive}");
        assert_eq!(classes["Rewritten"], 20_000, "{archive}");
        assert_eq!(classes["Deleted"], 20_000, "{archive}");
        let blamed = said(space, &["blame", archive, "/app/file"]);
        let actions = blamed["Layers"].as_array().unwrap().iter();
        let steps: Vec<&Value> = actions.map(|layer| &layer["Instruction"]).collect();
        let expected = [0, 1, 2].map(|number| format!("/bin/sh -c step {number}"));
        assert_eq!(steps, expected.each_ref(), "{archive}");
        let differences = said(space, &["diff", &archives[0], archive]);
        assert_eq!(differences["Files"], json!([]), "{archive}");
        let advice = said(space, &["advise", archive]);
        let rules = advice.as_array().unwrap().iter();
        let rules: Vec<&Value> = rules.map(|finding| &finding["rule"]).collect();
        assert_eq!(rules, ["deleted-later", "changed-owner"], "{archive}");
    }
}

fn one_layer_and_no_history(space: &Space) {
    let tars = &tars()[..1];
    let mut config = config(tars);
    config.history.clear();
    let one = written(space, "one.tar", &of_docker(tars, &config));
    assert_eq!(classes(space, &one)["Live"], 20_004);
    let shown = space.kiln(["blame", &one, "/kept"]).ok().stdout;
    assert!(shown.contains("/kept in app:1"), "{shown}");
    assert_eq!(said(space, &["advise", &one]), json!([]));
    let none = written(
        space,
        "none.tar",
        &of_docker(&[], &ImageConfig::new(&Platform::host())),
    );
    assert_eq!(classes(space, &none)["Live"], 0);
    let files = said(space, &["diff", &none, &one])["Files"].clone();
    assert_eq!(files.as_array().unwrap().len(), 3);
}

fn as_many_layers_as_docker_takes(space: &Space) {
    let layer = |number: usize| Tar::default().file("file", format!("{number:03}").repeat(1000));
    let tars: Vec<Vec<u8>> = (0..127).map(layer).map(Tar::end).collect();
    let config = config(&tars);
    let archive = written(space, "many.tar", &of_docker(&tars, &config));
    let classes = classes(space, &archive);
    assert_eq!(
        (&classes["Live"], &classes["Overwritten"]),
        (&json!(3000), &json!(378_000))
    );
    let blamed = said(space, &["blame", &archive, "/file"]);
    assert_eq!(blamed["Layers"].as_array().unwrap().len(), 127);
    said(space, &["diff", &archive, &archive]);
    said(space, &["advise", &archive]);
}

fn hostile_names_do_no_harm(space: &Space) {
    let folder = b"<script>\x1b[31m\xff|`".as_slice();
    let name = [folder, b"/<b>\x07\x9b"].concat();
    let file = || Tar::default().file(&name, [b'x'; 20_000]);
    let tars = [
        file().end(),
        file().end(),
        Tar::default().file([b".wh.", folder].concat(), "").end(),
    ];
    let mut config = config(&tars);
    for step in &mut config.history {
        step.created_by =
            Some("<script>alert(1)</script> | \x1b[31mred\x1b]0;title\x07 `x` &&".to_owned());
    }
    config.config.env = vec!["A=<script>\x1b[31m".to_owned()];
    let evil = written(space, "evil.tar", &of_docker(&tars, &config));
    let good = written(
        space,
        "good.tar",
        &of_podman(&tars[..1], &self::config(&tars[..1])),
    );
    assert_eq!(classes(space, &evil)["Deleted"], 20_000);
    let reports: [&[&str]; 6] = [
        &["size", &evil],
        &["size", &evil, "--tree"],
        &["blame", &evil, "/"],
        &["diff", &good, &evil],
        &["compare", "--no-times", "-q", &good, &evil],
        &["advise", &evil],
    ];
    for report in reports {
        for format in ["table", "markdown", "json", "csv", "html"] {
            let ran = space.kiln(report).args(["--format", format]).run();
            assert!(
                matches!(ran.status.code(), Some(0 | 2)),
                "{report:?} {format}: {ran}"
            );
            let is_harmless = |letter: char| matches!(letter, '\n' | '\r') || !letter.is_control();
            assert!(
                ran.stdout.chars().all(is_harmless),
                "{report:?} {format}: {:?}",
                ran.stdout
            );
            let is_marked_up = matches!(format, "markdown" | "html");
            let has_markup = ran.stdout.contains("<script>alert") || ran.stdout.contains("<b>");
            assert!(
                !(is_marked_up && has_markup),
                "{report:?} {format}: {}",
                ran.stdout
            );
        }
    }
}
