//! Databases as package managers write them, and damaged ones.

use rusqlite::Connection;

use super::*;

fn shown(packages: &[Package]) -> Vec<String> {
    let text = |package: &Package| {
        let Package {
            name,
            version,
            bytes,
        } = package;
        format!("{name} {version} {}", bytes.unwrap_or(0))
    };
    packages.iter().map(text).collect()
}

#[test]
fn paths_of_databases() {
    for (path, manager) in [
        ("var/lib/dpkg/status", Some(Manager::Dpkg)),
        ("var/lib/dpkg/status.d/base", Some(Manager::Dpkg)),
        ("var/lib/dpkg/status.d/base.md5sums", None),
        ("var/lib/dpkg/status-old", None),
        ("lib/apk/db/installed", Some(Manager::Apk)),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", Some(Manager::Rpm)),
        ("var/lib/rpm/Packages", Some(Manager::Rpm)),
        ("app/lib/x-1.0.dist-info/METADATA", Some(Manager::Pip)),
        (
            "usr/lib/python3/dist-packages/x-1.0.dist-info/METADATA",
            None,
        ),
        ("app/x/METADATA", None),
        ("app/node_modules/x/package.json", Some(Manager::Npm)),
        ("app/node_modules/@a/x/package.json", Some(Manager::Npm)),
        ("app/node_modules/x/lib/package.json", None),
        ("app/package.json", None),
    ] {
        assert_eq!(Manager::of(path.as_bytes()), manager, "{path}");
    }
}

#[test]
fn databases_of_text() {
    let dpkg = "Package: a\nStatus: install ok installed\nInstalled-Size: 2\nVersion: 1:2-3\nDescription: x\n y\n\n\
                Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: c\nVersion: 4\n";
    assert_eq!(
        shown(&text::dpkg(dpkg.as_bytes())),
        ["a 1:2-3 2048", "c 4 0"]
    );
    let apk = "C:Q1x\nP:musl\nV:1.2-r0\nA:x86_64\nI:600\nF:lib\nR:ld\n\nP:busybox\nV:1\n\n";
    assert_eq!(
        shown(&text::apk(apk.as_bytes())),
        ["musl 1.2-r0 600", "busybox 1 0"]
    );
    let npm = text::npm(br#"{"name":"@a/b","version":"1.0.0"}"#);
    assert_eq!(shown(npm.as_slice()), ["@a/b 1.0.0 0"]);
    for other in ["{", "[]", r#"{"name":5}"#] {
        assert_eq!(text::npm(other.as_bytes()), None);
    }
    let python =
        ["x_y-1.0.dist-info", "x-2-py3.11.egg-info"].map(|name| python::package(name.as_bytes()));
    let python: Vec<Package> = python.into_iter().flatten().collect();
    assert_eq!(shown(&python), ["x_y 1.0 0", "x 2 0"]);
}

/// A header with these tags: text, or a number of four bytes.
fn header(tags: &[(u32, &str)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        for number in [*tag, 6, data.len() as u32, 1] {
            index.extend(number.to_be_bytes());
        }
        match value.strip_prefix('#') {
            Some(number) => data.extend(number.parse::<u32>().unwrap().to_be_bytes()),
            None => data.extend([value.as_bytes(), b"\0"].concat()),
        }
    }
    let sizes = [tags.len() as u32, data.len() as u32].map(u32::to_be_bytes);
    [sizes.concat(), index, data].concat()
}

#[test]
fn databases_of_rpm() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let database = Connection::open(file.path()).unwrap();
    let table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)";
    database.execute(table, []).unwrap();
    let bash = header(&[
        (1000, "bash"),
        (1001, "5.2"),
        (1002, "1.fc40"),
        (1003, "#1"),
        (1009, "#77"),
    ]);
    let key = header(&[(1000, "gpg-pubkey"), (1001, "x"), (1002, "y")]);
    let cut = bash[..40].to_vec();
    for blob in [bash, key, cut, vec![0xff; 40]] {
        database
            .execute("INSERT INTO Packages (blob) VALUES (?1)", [blob])
            .unwrap();
    }
    drop(database);
    let content = std::fs::read(file.path()).unwrap();
    let found = rpm::packages(b"rpmdb.sqlite", &content).unwrap();
    assert_eq!(shown(&found), ["bash 1:5.2-1.fc40 77"]);
    assert!(rpm::packages(b"rpmdb.sqlite", &content[..100]).is_err());
    assert!(rpm::packages(b"Packages", &content).is_err());
}

#[test]
fn what_only_one_side_has() {
    let installed = |versions: &[(&str, &str, u64)]| {
        let mut installed = Installed::new();
        for (name, version, bytes) in versions {
            let key = (Manager::Dpkg, (*name).to_owned());
            let entry = installed.entry(key).or_default();
            entry.push(((*version).to_owned(), Some(*bytes)));
        }
        installed
    };
    let old = installed(&[("a", "1", 5), ("b", "1.9", 5), ("c", "2", 5), ("e", "2", 1)]);
    let new = installed(&[
        ("a", "1", 5),
        ("b", "1.10", 9),
        ("d", "2", 5),
        ("e", "1", 1),
    ]);
    let changes = joined(old, new);
    let shown: Vec<_> = changes
        .iter()
        .map(|it| (it.name.as_str(), it.kind(), it.growth))
        .collect();
    let wanted = [
        ("b", "upgraded", Some(4)),
        ("c", "removed", Some(-5)),
        ("d", "added", Some(5)),
        ("e", "downgraded", Some(0)),
    ];
    assert_eq!(shown, wanted);
}
