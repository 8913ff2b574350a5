//! Saving what the store knows by description only: what is missing is fetched once, before the first byte is written; where it cannot be
//! had, all of it is named and nothing is written.

use std::collections::BTreeSet;
use std::fs;

use crate::support::archive::{described, listed};
use crate::support::hostile::listing;
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_save_fetches_what_is_missing_once,
    a_delta_fetches_nothing_of_its_base,
    offline_names_all_blobs_and_writes_nothing,
    a_registry_that_fails_leaves_the_rest,
    an_output_of_a_build_does_the_same,
    an_export_fetches_what_is_missing,
}

/// The poem in the registry as `HOST/poem`, by another store; `app` is `FROM` it, none of whose layers are here.
fn lazy(space: &Space, registry: &Registry) -> String {
    let name = format!("{}/poem", registry.host);
    space.poem();
    space.kiln(["tag", "app", &name]).ok();
    space.kiln(["push", "-q", &name]).ok();
    space.remove_store();
    space.build(&format!("FROM {name}\nENV LAZY=1\n")).ok();
    assert_eq!(fetched(registry).len(), 1, "the config alone");
    name
}

/// The blobs that were asked for, none of them twice.
fn fetched(registry: &Registry) -> BTreeSet<String> {
    let all: Vec<String> = registry
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
        .map(|seen| seen.path)
        .collect();
    let different: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), different.len(), "{all:?}");
    different
}

/// The digests of the base's layers in the registry.
fn layers(space: &Space, registry: &Registry) -> Vec<String> {
    let name = format!("{}/poem", registry.host);
    let saved = space.in_store("reference", &["pull", "-q", &name]);
    saved.ok();
    let saved = space.in_store("reference", &["save", &name]).stdout();
    let manifest = described(&saved, &listed(&saved)[0]);
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn a_save_fetches_what_is_missing_once(space: &Space) {
    for (number, arguments) in [
        &[][..],
        &["--format", "docker-archive"],
        &["--layer-compression", "zstd"],
        &["--layer-compression", "none", "--format", "oci-archive"],
    ]
    .into_iter()
    .enumerate()
    {
        let registry = Registry::start(Guard::Open);
        lazy(space, &registry);
        let file = format!("{number}.tar");
        let archive = fs::read(space.save(&[arguments, &["app"]].concat(), &file)).unwrap();
        assert_eq!(fetched(&registry).len(), 3, "{arguments:?}");
        let asked = registry.seen().len();
        let again = fs::read(space.save(&[arguments, &["app"]].concat(), &file)).unwrap();
        assert!(again == archive, "{arguments:?}");
        assert_eq!(registry.seen().len(), asked, "{arguments:?}");
        let other = format!("other-{number}");
        space.load_in(&other, &space.own().join(&file));
        let id = space
            .in_store(&other, &["inspect", "-f", "{{.Id}}", "app"])
            .ok();
        assert_eq!(id.stdout.trim(), space.id("app"));
        space.remove_store();
    }
}

fn a_delta_fetches_nothing_of_its_base(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = lazy(space, &registry);
    let delta = space.save(&["--base", &name, "app"], "delta.tar");
    assert_eq!(fetched(&registry).len(), 1, "the config alone");
    space.in_store("other", &["pull", "-q", &name]).ok();
    space.load_in("other", &delta);
    let whole = space.in_store("other", &["save", "app"]).stdout();
    let path = space.write_in("own", "whole.tar", whole);
    space.load_in("third", &path);
}

fn offline_names_all_blobs_and_writes_nothing(space: &Space) {
    let registry = Registry::start(Guard::Open);
    lazy(space, &registry);
    let layers = layers(space, &registry);
    assert_eq!(layers.len(), 2);
    let says = [layers[0].as_str(), &layers[1], "2 layers", "--offline"];
    let (before, asked) = (listing(&space.store()), registry.seen().len());
    let path = space.write_in("own", "app.tar", "what was there before");
    space.give(&path);
    for arguments in [
        &["--offline", "save", "app", "-o", "app.tar"][..],
        &[
            "--offline",
            "save",
            "app",
            "-o",
            "app.tar",
            "--split",
            "10kB",
        ],
        &[
            "--offline",
            "save",
            "app",
            "-o",
            "folder",
            "--format",
            "oci-dir",
        ],
        &["--offline", "save", "app", "--layer-compression", "zstd"],
        &["--offline", "save", "app", "--format", "docker-archive"],
        &["--offline", "save", "app"],
    ] {
        let refused = space.kiln(arguments).exits(1);
        refused.says(&says);
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(fs::read(&path).unwrap(), b"what was there before");
    assert!(!space.own().join("folder").exists() && !space.own().join("app.tar.001").exists());
    assert_eq!(registry.seen().len(), asked);
    assert_eq!(listing(&space.store()), before);
    space.is_clean();
}

fn a_registry_that_fails_leaves_the_rest(space: &Space) {
    let registry = Registry::start(Guard::Open);
    lazy(space, &registry);
    let layers = layers(space, &registry);
    let gone = Fault::Answer(404, Vec::new(), Vec::new());
    registry.fault("GET", &layers[1], 1, gone);
    let before = registry.seen().len();
    let failed = space.kiln(["save", "-o", "app.tar", "app"]).exits(1);
    failed
        .says(&["1 layer (", &layers[1], "cannot be fetched"])
        .never_says(&[&layers[0]]);
    assert!(!space.own().join("app.tar").exists());
    space.is_clean();
    // what came is not fetched again
    let archive = space.save(&["app"], "app.tar");
    let seen = registry.seen();
    let count = |layer: &str| {
        seen[before..]
            .iter()
            .filter(|seen| seen.path.ends_with(layer))
            .count()
    };
    assert_eq!((count(&layers[0]), count(&layers[1])), (1, 2));
    space.load_in("other", &archive);
}

fn an_output_of_a_build_does_the_same(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = lazy(space, &registry);
    let text = format!("FROM {name}\nENV LAZY=2\n");
    let build = || space.build(&text).args(["-o", "type=oci,dest=out.tar"]);
    let refused = build().arg("--offline").exits(3);
    let layers = layers(space, &registry);
    refused.says(&[&layers[0], &layers[1]]);
    assert!(!space.own().join("out.tar").exists());
    build().ok();
    space.load_in("other", &space.own().join("out.tar"));
    let template = [
        "inspect",
        "-f",
        "{{len .RootFS.Layers}} {{.Config.Env}}",
        "app",
    ];
    let shown = space.in_store("other", &template).ok().stdout;
    assert!(
        shown.starts_with("2 ") && shown.contains("LAZY=2"),
        "{shown}"
    );
}

fn an_export_fetches_what_is_missing(space: &Space) {
    let registry = Registry::start(Guard::Open);
    lazy(space, &registry);
    let offline = space.kiln(["--offline", "export", "app"]).exits(3);
    offline.says(&["--offline"]);
    assert_eq!(offline.stdout, "");
    let exported = space.kiln(["export", "app"]).stdout();
    let paths = tar::Archive::new(&exported[..]).entries().unwrap().count();
    assert!(paths > 1, "{paths}");
    assert!(fetched(&registry).len() > 1);
}
