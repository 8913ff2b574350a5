//! `kiln cache`: cache mounts without a build, and places of caches that are kept to a size.

use std::cell::Cell;
use std::fs;

use kiln_oci::media_type::OCI_MANIFEST;

use crate::cache_mounts::{counted, counting};
use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::machines::{folder, from_folder, on};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    commands_move_mounts_too,
    commands_say_what_is_wrong,
    caches_in_a_folder_are_kept_to_a_size,
    caches_in_a_bucket_are_kept_to_a_size,
    caches_in_a_registry_are_kept_to_a_size,
    a_registry_that_deletes_nothing_is_told_of,
}

fn commands_move_mounts_too(space: &Space) {
    on(space, "one", &counting("1"), &[]).ok();
    let dest = format!("type=local,dest={}", folder(space).display());
    let src = format!("type=local,src={}", folder(space).display());
    let kiln = |machine: &str, words: &[&str]| {
        let store = space.own().join(machine);
        space.kiln(words).env("KILN_STORE", store).ok()
    };
    let moved = kiln("one", &["cache", "export", "--mounts", &dest]);
    assert_eq!(moved.stdout, "count: 2B\n");
    let none = kiln("one", &["cache", "export", "--mounts=other", &dest]);
    assert_eq!(none.stdout, "");
    let moved = kiln("two", &["cache", "import", "--mounts=count", &src]);
    assert_eq!(moved.stdout, "count: 2B\n");
    // the build that names it finds it here, another one has its own
    let built = on(space, "two", &counting("2"), &from_folder(space)).ok();
    built.never_says(&["fetched"]);
    assert_eq!(counted(&built), "2", "{built}");
    assert_eq!(counted(&on(space, "two", &counting("3"), &[]).ok()), "1");
    // what was used last goes
    on(space, "two", &counting("4"), &from_folder(space)).ok();
    kiln("two", &["cache", "export", "--mounts", &dest]);
    let built = on(space, "three", &counting("5"), &from_folder(space)).ok();
    assert_eq!(counted(&built), "4", "{built}");
}

fn commands_say_what_is_wrong(space: &Space) {
    let fails = |words: &[&str], why: &str| {
        space.kiln(words).exits(2).says(&[why]);
    };
    fails(&["cache", "export", "type=local,dest=x"], "--mounts");
    fails(&["cache", "export", "--mounts", "type=local"], "dest");
    fails(
        &["cache", "import", "--mounts", "type=gha"],
        "actions/cache",
    );
    fails(&["cache", "import", "--mounts", "a,b"], "one cache");
    let text = "FROM scratch\n";
    let to = [
        "--cache-to",
        "type=local,dest=x,mounts=true,mounts-max-size=much",
    ];
    space
        .build(text)
        .args(to)
        .exits(2)
        .says(&["mounts-max-size", "not a size"]);
}

/// Something else under a name beside caches.
const IMAGE: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// Writes three caches to a place, and keeps it to what one or two of them have. `place` gives the description of a cache by its name.
fn kept_to_a_size(space: &Space, place: impl Fn(&str) -> String) {
    for name in ["old", "middle", "new"] {
        let text = format!("FROM scratch\nCOPY <<EOF /{name}\n{name}\nEOF\n");
        let to = ["--cache-to".to_owned(), place(name)];
        on(space, name, &text, &to).ok();
    }
    // a build that looks for something else, on a machine that is new each time
    let machines = Cell::new(0);
    let has = |name: &str| {
        machines.set(machines.get() + 1);
        let from = place(name).replace("dest=", "src=");
        let text = "FROM scratch\nCOPY <<EOF /x\nx\nEOF\n";
        let machine = format!("look{}", machines.get());
        let built = on(space, &machine, text, &["--cache-from".to_owned(), from]).ok();
        built.stderr.contains("has 1 result")
    };
    let prune = |size: &str| {
        space
            .kiln(["cache", "prune", "--max-size", size])
            .arg(place("any"))
            .ok()
            .stdout
    };
    let told = prune("1MB");
    assert!(told.starts_with("freed 0B, "), "{told}");
    let held = told.rsplit(' ').next().unwrap().trim();
    let held: f64 = held.strip_suffix("kB").unwrap().parse().unwrap();
    let all = ["old", "middle", "new"].map(has);
    assert_eq!(all, [true; 3]);
    // two of three that are about the same
    let told = prune(&format!("{}kB", held * 5.0 / 6.0));
    assert_eq!(told.matches("removed ").count(), 1, "{told}");
    assert_eq!(["old", "middle", "new"].map(has), [false, true, true]);
    assert_eq!(prune("10").matches("removed ").count(), 2);
    assert_eq!(["old", "middle", "new"].map(has), [false; 3]);
}

fn caches_in_a_folder_are_kept_to_a_size(space: &Space) {
    kept_to_a_size(space, |name| {
        format!("type=local,dest={},tag={name}", folder(space).display())
    });
    let blobs = fs::read_dir(folder(space).join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 0);
}

fn caches_in_a_registry_are_kept_to_a_size(space: &Space) {
    let registry = Registry::start(Guard::AnonymousToken);
    registry.put_manifest("ci/cache:image", OCI_MANIFEST, IMAGE);
    kept_to_a_size(space, |name| format!("{}/ci/cache:{name}", registry.host));
    assert_eq!(registry.manifest_of("ci/cache/manifests/image"), IMAGE);
}

fn a_registry_that_deletes_nothing_is_told_of(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let place = format!("{}/ci/cache:new", registry.host);
    let to = ["--cache-to", &place].map(str::to_owned);
    on(space, "one", "FROM scratch\nCOPY <<EOF /f\nf\nEOF\n", &to).ok();
    registry.fault("DELETE", "", 1, Fault::Answer(405, Vec::new(), Vec::new()));
    let prune = space.kiln(["cache", "prune", "--max-size", "10", &place]);
    let told = format!("error: {} deletes nothing", registry.host);
    prune.exits(1).says(&[&told, "hint: let it delete"]);
    let prune = space.kiln(["cache", "prune", "--max-size", "10"]);
    let none = format!("{}/ci/nothing", registry.host);
    assert_eq!(
        prune.arg(none).ok().stdout,
        "freed 0B, the caches hold 0B\n"
    );
}

fn caches_in_a_bucket_are_kept_to_a_size(space: &Space) {
    let bucket = Bucket::start();
    kept_to_a_size(space, |name| {
        format!(
            "type=s3,bucket=ci,region=eu,prefix=p/,name={name},use_path_style=true,endpoint_url={},access_key_id={KEY},secret_access_key={SECRET}",
            bucket.endpoint
        )
    });
    assert!(bucket.objects().is_empty(), "{:?}", bucket.objects().keys());
}
