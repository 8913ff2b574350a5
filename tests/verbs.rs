//! What scripts written for docker ask: templates, filters, JSON lines, docker's long forms, the rules of `rmi` and `prune`,
//! shared and unique bytes.

use serde_json::{Value, json};

use crate::support::tar::Tar;
use crate::support::{Space, golden, plain_cases};

plain_cases! {
    templates_of_images,
    filters_of_images,
    images_of_one_second_have_an_order,
    templates_of_history,
    templates_that_are_wrong_show_where,
    rmi_goes_on_and_may_be_forced,
    prune_by_filter_and_all,
    pruning_images_or_cache_alone,
    df_tells_what_images_share,
    df_and_prune_know_cache_mounts,
    dockers_long_forms_are_the_same_commands,
    a_store_that_cannot_be_written_is_read,
    an_image_is_exported_as_docker_exports_it,
}

/// An image with some of everything.
pub const LABELLED: &str = "FROM scratch\nCOPY <<EOF /file\nx\nEOF\nLABEL a=1 b=\"two words\"\nENV A=1\nCMD [\"run\", \"<x>\"]\n";

/// Made at a known time, so that lists can be compared whole: 2023, or 2100 where its age must not grow.
pub fn dated(space: &Space, tag: &str, text: &str, time: &str) {
    let build = space.build(text).env("SOURCE_DATE_EPOCH", time);
    build.args(["-t", tag]).ok();
    space.kiln(["rmi", "app"]).ok();
}

/// What a command prints.
pub fn said(space: &Space, arguments: &[&str]) -> String {
    space.kiln(arguments).ok().stdout
}

fn templates_of_images(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    space
        .kiln(["tag", "one:v1", "example.org/team/one:v2"])
        .ok();
    let id = space.id("one:v1");
    let short = &id[7..19];
    assert_eq!(
        said(
            space,
            &["images", "--format", "{{.Repository}}:{{.Tag}}\\t{{.ID}}"]
        ),
        format!("one:v1\t{short}\nexample.org/team/one:v2\t{short}\n")
    );
    assert_eq!(
        said(space, &["images", "--format", "table {{.ID}}\\t{{.Tag}}"]),
        format!("IMAGE ID       TAG\n{short}   v1\n{short}   v2\n")
    );
    let rows: Vec<Value> = said(space, &["images", "--format", "json", "--no-trunc", "one"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let size = rows[0]["Size"].clone();
    let digest = rows[0]["Digest"].clone();
    let compressed = rows[0]["Compressed"].clone();
    assert!(
        compressed.as_str().unwrap().starts_with('~'),
        "{compressed}"
    );
    let since = rows[0]["CreatedSince"].clone();
    assert!(since.as_str().unwrap().ends_with(" ago"), "{since}");
    assert_eq!(
        rows,
        [json!({
            "Compressed": compressed, "Containers": "N/A", "CreatedAt": "2023-11-14 22:13:20 +0000 UTC", "CreatedSince": since, "Digest": digest,
            "ID": id, "Repository": "one", "SharedSize": "N/A", "Size": size, "Tag": "v1", "UniqueSize": "N/A",
            "VirtualSize": size,
        })]
    );
    assert_eq!(
        said(space, &["images", "-q", "--format", "x{{.Tag}}", "one"]),
        "xv1\n"
    );
    assert_eq!(said(space, &["images", "-q"]), format!("{short}\n"));
    // in a year when it will not be old
    dated(space, "new:v1", LABELLED, "4102444800");
    let listed = said(space, &["images", "--digests", "new"]);
    golden::matches("images.txt", &listed);
}

fn filters_of_images(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    dated(space, "two:v2", "FROM scratch\nLABEL a=2\n", "1700000100");
    dated(space, "three:v3", "FROM scratch\nLABEL c=3\n", "1700000200");
    dated(space, "three:v3", "FROM scratch\nLABEL c=4\n", "1700000300");
    let listed = |filters: &[&str]| {
        let arguments = ["images", "--format", "{{.Repository}}"];
        let filters = filters.iter().flat_map(|filter| ["-f", filter]);
        let shown = space.kiln(arguments).args(filters).ok().stdout;
        shown.lines().collect::<Vec<_>>().join(" ")
    };
    for (filters, expected) in [
        (&[][..], "three <none> two one"),
        (&["dangling=true"], "<none>"),
        (&["dangling=false"], "three two one"),
        (&["label=a"], "two one"),
        (&["label=a=2"], "two"),
        (&["label!=a"], "three <none>"),
        (&["label=a", "label=b=two words"], "one"),
        (&["reference=t*"], "three two"),
        (&["reference=*:v1", "reference=two"], "two one"),
        (&["before=two:v2"], "one"),
        (&["since=two:v2"], "three <none>"),
        (&["until=1700000150"], "two one"),
    ] {
        assert_eq!(listed(filters), expected, "{filters:?}");
    }
    assert_eq!(said(space, &["images", "-q", "th?ee"]).lines().count(), 1);
    for (filter, hint) in [
        ("bogus=1", "reference"),
        ("dangling=maybe", "true or false"),
        ("until=soon", "24h"),
        ("label", "KEY=VALUE"),
    ] {
        let refused = space.kiln(["images", "-f", filter]).exits(2);
        refused.says(&[filter, hint]);
    }
    space
        .kiln(["images", "-f", "since=nothing"])
        .exits(1)
        .says(&["nothing"]);
}

/// docker compares whole times; images that one script builds often share a second.
fn images_of_one_second_have_an_order(space: &Space) {
    for (name, time) in [
        ("first", "2023-11-14T22:13:20.1Z"),
        ("second", "2023-11-14T22:13:20.25Z"),
    ] {
        let config = json!({"architecture": "amd64", "os": "linux", "created": time, "rootfs": {"type": "layers", "diff_ids": []}});
        let manifest =
            json!([{"Config": "config.json", "RepoTags": [format!("{name}:v1")], "Layers": []}]);
        let archive = Tar::default()
            .file("config.json", config.to_string())
            .file("manifest.json", manifest.to_string());
        let path = space.write_in("archives", &format!("{name}.tar"), archive.end());
        space.kiln(["load", "-i"]).args([path]).ok();
    }
    for (filter, expected) in [
        (&[][..], "second\nfirst\n"),
        (&["-f", "since=first:v1"], "second\n"),
        (&["-f", "before=second:v1"], "first\n"),
    ] {
        let listed = [&["images", "--format", "{{.Repository}}"], filter].concat();
        assert_eq!(said(space, &listed), expected, "{filter:?}");
    }
}

fn templates_of_history(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let shown = said(
        space,
        &[
            "history",
            "--human=false",
            "--format",
            "{{.CreatedAt}} {{.Size}} {{.CreatedBy}}",
            "one:v1",
        ],
    );
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("2023-11-14T22:13:20Z 0 CMD"), "{shown}");
    let ids = said(space, &["history", "-q", "--no-trunc", "one:v1"]);
    let lines: Vec<&str> = ids.lines().collect();
    assert_eq!(lines[0], space.id("one:v1"));
    assert!(lines[1..].iter().all(|line| *line == "<missing>"), "{ids}");
    for line in said(space, &["history", "--format", "json", "one:v1"]).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "Comment",
                "CreatedAt",
                "CreatedBy",
                "CreatedSince",
                "ID",
                "Layer",
                "Line",
                "Size",
                "Waste"
            ]
        );
    }
    golden::matches(
        "history.txt",
        &said(space, &["history", "--human=false", "one:v1"]),
    );
    space.kiln(["history", "--human=maybe", "one:v1"]).exits(2);
}

fn templates_that_are_wrong_show_where(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let unknown = space
        .kiln(["inspect", "-f", "{{.Config.Lables}}", "one:v1"])
        .exits(1);
    golden::matches("template-field.txt", &unknown.stderr);
    let unclosed = space
        .kiln(["images", "--format", "{{.ID}} {{range .Tag}}"])
        .exits(2);
    golden::matches("template-syntax.txt", &unclosed.stderr);
    for verb in [&["images"][..], &["history", "one:v1"], &["df"]] {
        let refused = space.kiln(verb).args(["--format", "{{.Nothing}}"]).exits(1);
        refused.says(&["no field Nothing", "{{.Nothing}}"]);
    }
}

fn rmi_goes_on_and_may_be_forced(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let id = space.id("one:v1");
    let mixed = space.kiln(["rmi", "nothing", "one:v1"]).exits(1);
    assert_eq!(mixed.stdout, format!("Untagged: one:v1\nDeleted: {id}\n"));
    mixed.says(&["nothing"]);
    assert_eq!(space.kiln(["rmi", "-f", "nothing"]).ok().stdout, "");
    dated(space, "one:v1", LABELLED, "1700000000");
    space.kiln(["tag", "one:v1", "one:v2"]).ok();
    space
        .kiln(["rmi", "--no-prune", &id[7..19]])
        .exits(1)
        .says(&["one:v1, one:v2", "--force"]);
    let forced = space.kiln(["rmi", "-f", &id[7..19]]).ok().stdout;
    assert_eq!(
        forced,
        format!("Untagged: one:v1\nUntagged: one:v2\nDeleted: {id}\n")
    );
    space.is_clean();
}

fn prune_by_filter_and_all(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    dated(space, "two:v2", "FROM scratch\nLABEL a=2\n", "1700000100");
    let gone = said(
        space,
        &["image", "prune", "-a", "-f", "--filter", "label=a=1"],
    );
    assert!(
        gone.contains("Untagged: one:v1") && gone.contains("1 image"),
        "{gone}"
    );
    assert_eq!(said(space, &["images", "--format", "{{.Tag}}"]), "v2\n");
    let young = said(space, &["prune", "-a", "--filter", "until=1700000000"]);
    assert!(
        young.contains("nothing to remove") || !young.contains("image"),
        "{young}"
    );
    said(space, &["prune", "--all"]);
    assert_eq!(said(space, &["images", "-q"]), "");
    space
        .kiln(["prune", "--filter", "colour=red"])
        .exits(2)
        .says(&["colour", "until"]);
    space.is_clean();
}

fn pruning_images_or_cache_alone(space: &Space) {
    let text = "FROM scratch\nCOPY <<EOF /file\nx\nEOF\n";
    let ran = |space: &Space| space.build_json(text).ok().events().ran().len();
    space.build(text).ok();
    space.kiln(["rmi", "app"]).ok();
    said(space, &["image", "prune"]);
    assert_eq!(ran(space), 0, "image prune took the cache");
    let images = said(space, &["images", "-q"]);
    said(space, &["builder", "prune", "--all", "--force"]);
    assert_eq!(said(space, &["images", "-q"]), images);
    space.kiln(["rmi", "app"]).ok();
    said(space, &["builder", "prune"]);
    assert_eq!(ran(space), 1, "builder prune left the cache");
    let recent = said(space, &["builder", "prune", "--filter", "until=24h"]);
    assert!(recent.contains("nothing to remove"), "{recent}");
    space.is_clean();
}

fn df_tells_what_images_share(space: &Space) {
    let base = "FROM scratch\nCOPY <<EOF /file\nx\nEOF\n";
    dated(space, "base:v1", base, "4102444800");
    dated(
        space,
        "child:v1",
        "FROM base:v1\nCOPY <<EOF /more\ny\nEOF\n",
        "4102444900",
    );
    dated(
        space,
        "alone:v1",
        "FROM scratch\nCOPY <<EOF /alone\nz\nEOF\n",
        "4102445000",
    );
    let shown: Value =
        serde_json::from_str(&said(space, &["df", "-v", "--format", "json"])).unwrap();
    let sizes = |name: &str| {
        let images = shown["Images"].as_array().unwrap();
        let image = images
            .iter()
            .find(|image| image["Repository"] == name)
            .unwrap();
        let size = |key: &str| image["Sizes"][key].as_u64().unwrap();
        (size("Total"), size("Shared"), size("Unique"))
    };
    let (base, child, alone) = (sizes("base"), sizes("child"), sizes("alone"));
    assert!(base.0 > 0 && base.1 == base.0 && base.2 == 0, "{base:?}");
    assert!(
        child.1 == base.0 && child.2 > 0 && child.0 == child.1 + child.2,
        "{child:?}"
    );
    assert!(alone.1 == 0 && alone.2 == alone.0, "{alone:?}");
    golden::matches("df-verbose.txt", &said(space, &["df", "-v"]));
    let classes: Vec<Value> = said(space, &["df", "--format", "json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(classes[0]["Type"], "layers");
    assert_eq!(classes[0]["TotalCount"], "3");
}

fn df_and_prune_know_cache_mounts(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=cache,target=/cache,id=mine cat /bin/* > /cache/big 2> /dev/null || true\n";
    space.build(text).ok();
    let mounts = |space: &Space| {
        let shown: Value =
            serde_json::from_str(&said(space, &["df", "-v", "--format", "json"])).unwrap();
        shown["CacheMounts"].as_array().unwrap().clone()
    };
    let listed = mounts(space);
    assert_eq!((listed.len(), &listed[0]["Target"]), (1, &json!("mine")));
    assert!(listed[0]["Bytes"].as_u64().unwrap() > 1000, "{listed:?}");
    said(space, &["prune", "--max-size", "100GB"]);
    assert_eq!(mounts(space).len(), 1);
    let removed = said(space, &["prune", "--max-size", "1kB"]);
    assert!(removed.contains("1 cache mount"), "{removed}");
    assert_eq!(mounts(space), Vec::<Value>::new());
}

fn dockers_long_forms_are_the_same_commands(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    for (long, short) in [
        (&["image", "ls"][..], &["images"][..]),
        (&["image", "list", "-q"], &["images", "-q"]),
        (&["image", "inspect", "one:v1"], &["inspect", "one:v1"]),
        (&["image", "history", "one:v1"], &["history", "one:v1"]),
        (&["system", "df"], &["df"]),
    ] {
        assert_eq!(said(space, long), said(space, short), "{long:?}");
    }
    said(space, &["image", "tag", "one:v1", "two:v1"]);
    said(space, &["image", "save", "-o", "one.tar", "one:v1"]);
    let removed = said(space, &["image", "rm", "one:v1", "two:v1"]);
    assert!(removed.contains("Deleted: sha256:"), "{removed}");
    let loaded = said(space, &["image", "load", "-i", "one.tar"]);
    assert_eq!(loaded, "Loaded image: one:v1\n");
    said(space, &["system", "prune", "-f"]);
    said(space, &["builder", "prune", "--keep-storage", "1GB"]);
    space.write("Dockerfile", "FROM scratch\nLABEL x=y\n");
    for verb in [
        ["builder", "build"],
        ["image", "build"],
        ["buildx", "build"],
    ] {
        space.kiln(verb).arg("-q").arg(space.context()).ok();
    }
    space.kiln(["image"]).exits(2).says(&["inspect", "prune"]);
    space.kiln(["image", "sl"]).exits(2).says(&["sl"]);
}

fn a_store_that_cannot_be_written_is_read(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let expected = said(space, &["images"]);
    let script = "mount --bind \"$KILN_STORE\" \"$KILN_STORE\" && mount -o remount,ro,bind \"$KILN_STORE\" && \
                  kiln images && kiln inspect -f '{{.Os}}' one:v1 && kiln history -q one:v1 > /dev/null && ! kiln rmi one:v1";
    // in a mount namespace of its own, which takes the mount with it
    let quoted = script.replace('\'', "'\\''");
    let unshare = format!("unshare --mount --map-root-user sh -euc '{quoted}'");
    let unshare = if space.mode.is_rootless() {
        unshare
    } else {
        unshare.replace(" --map-root-user", "")
    };
    let read = space.shell(&unshare).run();
    if read.stderr.contains("unshare") {
        return crate::support::mode::skip(
            "verbs::a_store_that_cannot_be_written_is_read",
            space.mode,
            read.stderr.trim(),
        );
    }
    assert!(read.status.success(), "{read}");
    assert_eq!(read.stdout, format!("{expected}linux\n"));
    read.says(&["can only be read"]);
}

fn an_image_is_exported_as_docker_exports_it(space: &Space) {
    let text = "FROM scratch AS files\nCOPY --chown=7:8 --chmod=640 <<EOF /folder/file\nx\nEOF\nCOPY <<EOF /gone\ny\nEOF\n\
                FROM files\nCOPY <<EOF /folder/more\nz\nEOF\n";
    dated(space, "one:v1", text, "1700000000");
    let to_file = space.own().join("one.tar");
    space.kiln(["export", "one:v1", "-o"]).arg(&to_file).ok();
    let bytes = std::fs::read(&to_file).unwrap();
    let mut archive = tar::Archive::new(&*bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let (header, path) = (entry.header(), entry.path().unwrap().display().to_string());
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        format!(
            "{path} {:o} {uid}:{gid} {}",
            header.mode().unwrap(),
            header.mtime().unwrap()
        )
    });
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            "folder/ 640 7:8 1700000000",
            "folder/file 640 7:8 1700000000",
            "folder/more 644 0:0 1700000000",
            "gone 644 0:0 1700000000",
        ]
    );
    let again = space.own().join("again.tar");
    let script = format!(
        "kiln export one:v1 > {}; kiln export -o - one:v1 | cmp - {}",
        again.display(),
        again.display()
    );
    space.shell(&script).ok();
    assert_eq!(std::fs::read(&again).unwrap(), bytes);
    space.kiln(["import"]).arg(&to_file).arg("back:v1").ok();
    space.kiln(["export", "-o"]).arg(&again).arg("back:v1").ok();
    assert_eq!(
        std::fs::read(&again).unwrap(),
        bytes,
        "import and export are not each other's inverse"
    );
    space
        .kiln(["export", "nothing", "-o", "x.tar"])
        .exits(1)
        .says(&["nothing"]);
    assert!(!space.own().join("x.tar").exists());
}
