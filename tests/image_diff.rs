//! `kiln diff`: what two images differ in, from the store and from archives.

use crate::support::{Space, plain_cases};
use serde_json::Value;

plain_cases! {
    files_of_all_kinds,
    settings_history_and_layers,
    packages_of_databases,
    archives_are_compared_too,
    equal_images,
    many_changes_are_cut,
}

fn diff(space: &Space, old: &str, new: &str) -> Value {
    let shown = space.kiln(["diff", "--format", "json", old, new]).ok();
    serde_json::from_str(&shown.stdout).unwrap()
}

/// Change, path, earlier path, sizes.
fn files(report: &Value) -> Vec<String> {
    let file = |file: &Value| {
        let text = |key: &str| file[key].as_str().unwrap().to_owned();
        let size = |key: &str| {
            file[key]["Size"]
                .as_u64()
                .map_or("-".to_owned(), |size| size.to_string())
        };
        let from = text("From");
        format!(
            "{} {from}{} {} {}",
            text("Change"),
            text("Path"),
            size("Before"),
            size("After")
        )
    };
    report["Files"]
        .as_array()
        .unwrap()
        .iter()
        .map(file)
        .collect()
}

fn two(space: &Space) {
    space.write("same", "same");
    space.write("old/grown", "12");
    space.write("old/moved", "moved");
    space.write("old/gone", "123456");
    space.write("old/mode", "1");
    space
        .build("FROM scratch\nENV A=1\nCOPY same /\nCOPY old /d/\n")
        .args(["-t", "old"])
        .ok();
    space.write("new/grown", "1234");
    space.write("new/sub/moved", "moved");
    space.write("new/added", "12345678");
    let text = "FROM scratch\nENV A=2\nCOPY same /\nCOPY new /d/\nCOPY --chmod=600 old/mode /d/\nLABEL v=1\n";
    space.build(text).args(["-t", "new"]).ok();
}

const FILES: [&str; 6] = [
    "added /d/added - 8",
    "removed /d/gone 6 -",
    "content /d/grown 2 4",
    "metadata /d/mode 1 1",
    "added /d/sub - 0",
    "renamed /d/moved/d/sub/moved 5 5",
];

fn files_of_all_kinds(space: &Space) {
    two(space);
    let report = diff(space, "old", "new");
    assert_eq!(files(&report), FILES);
    assert_eq!(report["Totals"]["content"]["Growth"], 2);
    assert_eq!(report["Totals"]["removed"]["Growth"], -6);
    let changed = &report["Files"][3]["Changed"];
    assert_eq!(changed, &serde_json::json!(["mode"]));
    let shown = space.kiln(["diff", "old", "new"]).ok().stdout;
    for text in [
        "/d/moved -> /d/sub/moved",
        "renamed",
        "+8B",
        "-6B",
        "\nFolders\n",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let shown = space
        .kiln(["diff", "--format=markdown", "old", "new"])
        .ok()
        .stdout;
    assert!(shown.contains("| content | 1 | 2B | 4B | +2B |"), "{shown}");
}

fn settings_history_and_layers(space: &Space) {
    two(space);
    let report = diff(space, "old", "new");
    let settings = serde_json::json!([
        {"Name": "Env.A", "Before": "1", "After": "2"},
        {"Name": "Labels.v", "Before": null, "After": "1"},
    ]);
    assert_eq!(report["Settings"], settings);
    let steps = report["History"].as_array().unwrap();
    let step = |step: &Value| {
        format!(
            "{} {} {}",
            step["Image"].as_str().unwrap(),
            step["Line"],
            step["Instruction"].as_str().unwrap()
        )
    };
    let wanted = [
        "A 2 ENV A=1",
        "B 2 ENV A=2",
        "A 4 COPY old /d/",
        "B 4 COPY new /d/",
        "B 5 COPY --chmod=600 old/mode /d/",
        "B 6 LABEL v=1",
    ];
    assert_eq!(steps.iter().map(step).collect::<Vec<_>>(), wanted);
    assert_eq!(report["SharedLayers"], 1);
    let own: Vec<u64> = report["LayersOfB"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["Bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(own, [17, 1]);
    assert_eq!(report["LayersOfA"][0]["Line"], 4);
}

/// Two images with databases of packages.
fn with_packages(space: &Space) {
    let dpkg = |version: &str| {
        format!(
            "Package: libc6\nStatus: install ok installed\nInstalled-Size: 10\nVersion: {version}\n\nPackage: same\nVersion: 1\n"
        )
    };
    let npm = |version: &str| format!("{{\"name\":\"left-pad\",\"version\":\"{version}\"}}");
    for (folder, dpkg_version, npm_version) in [("one", "2.9", "1.0.0"), ("two", "2.10", "0.9.0")] {
        space.write(&format!("{folder}/var/lib/dpkg/status"), dpkg(dpkg_version));
        space.write(
            &format!("{folder}/app/node_modules/left-pad/package.json"),
            npm(npm_version),
        );
        space
            .build(&format!("FROM scratch\nCOPY {folder} /\n"))
            .args(["-t", folder])
            .ok();
    }
    space.write("two/lib/apk/db/installed", "P:musl\nV:1.2-r0\nI:600\n\n");
    space.write("two/venv/requests-2.0.dist-info/METADATA", "x");
    space.write("two/var/lib/rpm/Packages", "a database of another age");
    space
        .build("FROM scratch\nCOPY two /\n")
        .args(["-t", "two"])
        .ok();
}

fn packages_of_databases(space: &Space) {
    with_packages(space);
    let report = diff(space, "one", "two");
    let package = |package: &Value| {
        let text = |key: &str| package[key].as_str().unwrap();
        let [old, new] = ["Before", "After"].map(|key| package[key].to_string());
        format!(
            "{} {} {} {old} {new} {}",
            text("Change"),
            text("Manager"),
            text("Name"),
            package["Growth"]
        )
    };
    let packages: Vec<String> = report["Packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(package)
        .collect();
    let wanted = [
        "upgraded dpkg libc6 [\"2.9\"] [\"2.10\"] 0",
        "added apk musl null [\"1.2-r0\"] 600",
        "added pip requests null [\"2.0\"] null",
        "downgraded npm left-pad [\"1.0.0\"] [\"0.9.0\"] null",
    ];
    assert_eq!(packages, wanted);
    assert_eq!(
        report["Unread"].as_array().unwrap().len(),
        1,
        "{}",
        report["Unread"]
    );
    let archive = space.own().join("two.tar");
    space
        .kiln(["save", "--layer-compression", "gzip", "-o"])
        .arg(&archive)
        .arg("two")
        .ok();
    let of_archive = diff(space, "one", "./two.tar");
    assert_eq!(of_archive["Packages"], report["Packages"]);
    let shown = space.kiln(["diff", "one", "two"]).ok().stdout;
    assert!(
        shown.contains("not compared: /var/lib/rpm/Packages"),
        "{shown}"
    );
}

fn archives_are_compared_too(space: &Space) {
    two(space);
    let archive = space.own().join("old.tar");
    space.kiln(["save", "-o"]).arg(&archive).arg("old").ok();
    assert_eq!(files(&diff(space, "./old.tar", "new")), FILES);
    let bytes = std::fs::read(&archive).unwrap();
    let diff = space
        .kiln(["diff", "--format", "json", "-", "new"])
        .stdin(bytes);
    let report = serde_json::from_str(&diff.ok().stdout).unwrap();
    assert_eq!(files(&report), FILES);
    space.kiln(["diff", "-", "-"]).exits(2).says(&["only one"]);
    space.kiln(["diff", "old"]).exits(2);
}

fn equal_images(space: &Space) {
    two(space);
    let report = diff(space, "old", "old");
    for key in [
        "Files",
        "Settings",
        "History",
        "Packages",
        "LayersOfA",
        "LayersOfB",
    ] {
        assert_eq!(report[key].as_array().unwrap().len(), 0, "{key}");
    }
    let shown = space.kiln(["diff", "old", "old"]).ok().stdout;
    assert!(shown.contains("they are the same image"), "{shown}");
}

fn many_changes_are_cut(space: &Space) {
    two(space);
    let shown = space.kiln(["diff", "--top", "2", "old", "new"]).ok().stdout;
    assert!(shown.contains("and 4 more: --top 0 shows all"), "{shown}");
    let shown = space.kiln(["diff", "--top", "0", "old", "new"]).ok().stdout;
    assert!(!shown.contains("more: --top"), "{shown}");
}
