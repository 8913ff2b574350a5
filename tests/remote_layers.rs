//! When the layers of bases come: side by side, ahead of the steps that need them for sure, and in nobody's way.

use std::time::Duration;

use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    several_bases_come_side_by_side,
    a_base_that_does_not_come_fails_the_step_that_reads_it,
    a_long_download_says_how_far_it_is,
}

/// `HOST/NAME` with so many layers, made by a store that is not used any more.
fn base(space: &Space, registry: &Registry, name: &str, layers: usize) -> String {
    let name = format!("{}/{name}:v1", registry.host);
    let mut text = "FROM tools\n".to_owned();
    for layer in 1..layers {
        space.write(&format!("{layer}.txt"), format!("{name} {layer}"));
        text += &format!("COPY {layer}.txt /{layer}.txt\n");
    }
    let first = space.own().join("first");
    let built = space.build(&text).args(["-t", &name]);
    built.env("KILN_STORE", &first).ok();
    let pushed = space.kiln(["push", "-q", &name]);
    pushed.env("KILN_STORE", &first).ok();
    name
}

fn several_bases_come_side_by_side(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let (one, other) = (
        base(space, &registry, "one", 2),
        base(space, &registry, "other", 3),
    );
    let late = Fault::Late(Duration::from_millis(700));
    registry.fault("GET", "/blobs/", 99, late);
    // The second base is only looked into after the RUN on the first one; its tools are those of the first.
    let text = format!(
        "FROM {one} AS one\nRUN cat /1.txt > /seen\nFROM {other}\nCOPY --from=one /seen /seen\nRUN cat /seen /2.txt\n"
    );
    let built = space.build(&text).args(["--jobs", "1"]).ok();
    assert_eq!(built.output(), [format!("{one} 1{other} 2")]);
    assert_eq!(registry.most_at_once(), 4, "as many as a client takes");
    space.is_clean();
}

fn a_base_that_does_not_come_fails_the_step_that_reads_it(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry, "one", 2);
    let text = format!("FROM {name}\nENV A=1\nRUN cat /1.txt\n");
    // the config comes first
    space.build(&format!("FROM {name}\nENV A=1\n")).ok();
    let gone = Fault::Answer(404, Vec::new(), Vec::new());
    registry.fault("GET", "/blobs/", 2, gone);
    let failed = space.build(&text).exits(3);
    failed.says(&["RUN cat /1.txt", "is not in"]);
    let asked = registry.count("GET", "/blobs/");
    assert!(asked <= 3, "each layer was asked for once: {asked}");
    space.build(&text).ok();
    space.is_clean();
}

fn a_long_download_says_how_far_it_is(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry, "one", 2);
    // a byte now and then: 60 of them take six seconds
    let layer = {
        let manifest = registry.manifest_of("one/manifests/v1");
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let layer = &manifest["layers"][1];
        (
            layer["digest"].as_str().unwrap().to_owned(),
            layer["size"].as_u64().unwrap() as usize,
        )
    };
    let drip = Fault::Drip(layer.1 - 60, Duration::from_millis(110));
    registry.fault("GET", &layer.0, 1, drip);
    let pulled = space.kiln(["pull", "--progress", "plain", &name]).ok();
    pulled.says(&[&format!("pulling {}", &layer.0[7..19]), " of "]);
    assert!(pulled.stderr.contains("B of "), "{pulled}");
}
