//! Containers of an image, and of images that were made from it.

use std::fs;

use crate::containers::kiln;
use crate::run_containers::{prepare, run};
use crate::support::{Space, plain_cases};

plain_cases! {
    containers_are_of_an_image_or_of_one_made_from_it,
}

fn containers_are_of_an_image_or_of_one_made_from_it(space: &Space) {
    prepare(space, "");
    let build = |tag: &str, text: &str| {
        fs::write(space.context().join("Dockerfile"), text).unwrap();
        let context = space.context();
        space.kiln(["build", "-t", tag]).arg(context).ok();
    };
    build("labelled", "FROM app\nLABEL of=container\n");
    build("other", "FROM app\nLABEL of=other\n");
    build("written", "FROM labelled\nWORKDIR /made\n");
    build("empty", "FROM scratch\nCMD [\"none\"]\n");
    for image in ["app", "labelled", "other", "written"] {
        run(space, ["--name", &format!("of-{image}"), image, "id", "-u"]).ok();
    }
    let of = |image: &str| {
        let filter = format!("ancestor={image}");
        let words = ["ps", "-a", "--format", "{{.Names}}", "-f", &filter];
        let mut names: Vec<_> = kiln(space, &words)
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(of("app"), "of-app of-labelled of-other of-written");
    assert_eq!(of("labelled"), "of-labelled of-written");
    assert_eq!(of("other"), "of-other");
    assert_eq!(of("written"), "of-written");
    for nothing in ["empty", "nothing", "No Name", "0123456789ab"] {
        assert_eq!(of(nothing), "", "{nothing}");
    }
    let dead = kiln(space, &["ps", "-a", "-q", "-f", "status=dead"]);
    assert_eq!(dead.stdout, "");
    kiln(space, &["rmi", "other"]);
    assert_eq!(of("other"), "");
    kiln(space, &["container", "prune", "-f"]);
}
