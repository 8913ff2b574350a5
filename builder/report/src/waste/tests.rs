//! Each kind is found where its makers put it, and nothing else is.

use super::*;
use crate::classify::classify;
use crate::classify::tests::Member::File;
use crate::classify::tests::layer;
use crate::elf::Program;
use kiln_oci::{Digest, ImageConfig};

/// Kinds, and paths of them in images.
const KINDS: &[(&str, &[&str])] = &[
    (
        "apt lists",
        &["var/lib/apt/lists/deb.debian.org_debian_dists_trixie_main_binary-amd64_Packages.lz4"],
    ),
    (
        "apt archives",
        &[
            "var/cache/apt/pkgcache.bin",
            "var/cache/apt/archives/gcc_14.deb",
        ],
    ),
    (
        "apk cache",
        &["var/cache/apk/APKINDEX.1.tar.gz", "etc/apk/cache/x.apk"],
    ),
    (
        "dnf cache",
        &[
            "var/cache/dnf/fedora-1/repodata/primary.xml.gz",
            "var/cache/yum/x86_64/7/base/gen/primary_db.sqlite",
            "var/cache/libdnf5/fedora-2/repodata/x.zck",
            "var/cache/zypp/packages/repo/x.rpm",
        ],
    ),
    (
        "pip cache",
        &[
            "root/.cache/pip/http-v2/1/2/3",
            "home/me/.cache/uv/archive-v0/x",
        ],
    ),
    (
        "npm cache",
        &[
            "root/.npm/_cacache/content-v2/sha512/aa",
            "root/.npm/_logs/1-debug-0.log",
        ],
    ),
    (
        "yarn cache",
        &[
            "usr/local/share/.cache/yarn/v6/npm-x",
            "root/.yarn/berry/cache/x.zip",
        ],
    ),
    (
        "pnpm store",
        &[
            "root/.local/share/pnpm/store/v10/files/00/1",
            "app/.pnpm-store/v3/x",
        ],
    ),
    (
        "cargo registry",
        &[
            "usr/local/cargo/registry/cache/index-1/x.crate",
            "root/.cargo/git/db/x",
        ],
    ),
    (
        "cargo target",
        &["src/target/debug/app", "src/target/release/deps/libx.rlib"],
    ),
    ("go build cache", &["root/.cache/go-build/00/00aa-d"]),
    ("go modules", &["go/pkg/mod/github.com/x/y@v1.0.0/y.go"]),
    (
        "maven repository",
        &["root/.m2/repository/org/x/1.0/x-1.0.jar"],
    ),
    (
        "gradle cache",
        &["root/.gradle/caches/modules-2/files-2.1/x.jar"],
    ),
    (
        "__pycache__",
        &["usr/lib/python3/dist-packages/a/__pycache__/b.cpython-313.pyc"],
    ),
    (".git", &["app/.git/objects/pack/pack-1.pack"]),
    (
        "docs",
        &[
            "usr/share/doc/bash/README.gz",
            "usr/share/info/bash.info.gz",
        ],
    ),
    (
        "man pages",
        &[
            "usr/share/man/man1/ls.1.gz",
            "usr/local/share/man/man1/node.1",
        ],
    ),
    (
        "locales",
        &[
            "usr/share/locale/de/LC_MESSAGES/bash.mo",
            "usr/lib/locale/locale-archive",
        ],
    ),
    (
        "debug info",
        &[
            "usr/lib/debug/.build-id/aa/bb.debug",
            "opt/app/app.debug",
            "opt/x.dwp",
        ],
    ),
    (
        "static libraries",
        &["usr/lib/x86_64-linux-gnu/libc.a", "usr/local/lib/libz.a"],
    ),
    (
        "tests",
        &[
            "usr/lib/python3.13/test/test_x.py",
            "app/node_modules/a/test/x.js",
            "usr/local/lib/python3.13/site-packages/numpy/tests/test_x.py",
        ],
    ),
    ("logs", &["var/log/dpkg.log", "app/npm-debug.log"]),
    ("temporary files", &["tmp/build/x", "var/tmp/y"]),
];

/// Paths that only look alike.
const OTHERS: &[&str] = &[
    "var/lib/apt/listsx/y",
    "app/.gitignore",
    "app/test/x.js",
    "test/node_modules/x.js",
    "usr/lib/.a",
    "etc/passwd",
    "usr/share/documents/x",
    "app/log",
    "opt/target/release/app",
];

/// An image of one layer with a file of so many bytes at each path.
fn image(files: &[(&str, usize)]) -> Image {
    let members: Vec<_> = files
        .iter()
        .map(|(path, size)| File((*path).to_owned(), b'x', *size))
        .collect();
    Image {
        id: Digest::of(b""),
        config: ImageConfig::default(),
        layers: vec![layer(&members)],
        base: 0,
    }
}

#[test]
fn every_kind_is_found_with_its_bytes() {
    let kinds = KINDS.iter().enumerate();
    let files = kinds.flat_map(|(at, (_, paths))| paths.iter().map(move |path| (*path, at + 1)));
    let others = OTHERS.iter().map(|path| (*path, 1000));
    let image = image(&files.chain(others).collect::<Vec<_>>());
    let found = known(&image, &classify(&image.layers));
    for (at, (kind, paths)) in KINDS.iter().enumerate() {
        let waste = found.iter().find(|waste| waste.name == *kind);
        let waste = waste.unwrap_or_else(|| panic!("no {kind}"));
        let count = paths.len() as u64;
        assert_eq!(
            (waste.files, waste.bytes),
            (count, count * (at as u64 + 1)),
            "{kind}"
        );
    }
    assert_eq!(found.len(), KINDS.len());
}

#[test]
fn what_debuggers_read_of_a_program_counts() {
    let files = [
        ("usr/bin/app", 900),
        ("usr/lib/debug/x", 50),
        ("usr/lib/y.so", 10),
    ];
    let mut image = image(&files);
    let found = [
        ("usr/bin/app", 600),
        ("usr/lib/debug/x", 20),
        ("usr/lib/y.so", 99),
    ];
    let program = |debug_info| Program {
        machine: None,
        is_linked: true,
        debug_info,
    };
    image.layers[0].programs = found
        .map(|(path, bytes)| (path.as_bytes().into(), program(bytes)))
        .into();
    let waste = known(&image, &classify(&image.layers));
    // no more than the file has
    let debug_info = (waste[0].name, waste[0].bytes, waste[0].files);
    assert_eq!(debug_info, ("debug info", 600 + 50 + 10, 3));
    assert_eq!(waste.len(), 1);
}

#[test]
fn every_rule_has_an_example() {
    for (kind, ..) in RULES {
        assert!(
            KINDS.iter().any(|(name, _)| name == kind),
            "no path of {kind}"
        );
    }
}
