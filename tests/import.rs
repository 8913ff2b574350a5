//! `import`: what its flags change, what it reads, and what it refuses without a trace.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use kiln_oci::LayerCompression;
use kiln_oci::tarfile::Kind;

use crate::support::hostile::listing;
use crate::support::http::{Answer, Server};
use crate::support::tar::{Tar, compressed};
use crate::support::{Space, plain_cases};

plain_cases! {
    changes_are_those_of_docker,
    changes_that_are_refused,
    platforms_of_imports,
    standard_input_in_every_compression,
    folders_with_everything_in_them,
    folders_that_are_empty_or_closed,
    names_that_cannot_be_given,
    tars_that_are_refused_leave_nothing,
    an_address_is_fetched,
}

fn root() -> Vec<u8> {
    Tar::default()
        .entry("./", Kind::Directory, "")
        .entry("./etc/", Kind::Directory, "")
        .file("./etc/word", "imported")
        .end()
}

fn import(space: &Space, arguments: &[&str]) -> crate::support::Kiln {
    space.kiln(["import"]).args(arguments).stdin(root())
}

fn field(space: &Space, template: &str) -> String {
    let shown = space.kiln(["inspect", "-f", template, "base"]).ok().stdout;
    shown.trim_end().to_owned()
}

/// A change, a template that shows it, and what it shows.
const CHANGES: [(&str, &str, &str); 13] = [
    (
        r#"CMD ["/bin/sh", "-c"]"#,
        "{{json .Config.Cmd}}",
        r#"["/bin/sh","-c"]"#,
    ),
    (
        "CMD run it",
        "{{json .Config.Cmd}}",
        r#"["/bin/sh","-c","run it"]"#,
    ),
    (
        r#"entrypoint ["/init"]"#,
        "{{json .Config.Entrypoint}}",
        r#"["/init"]"#,
    ),
    (
        "ENV A=1 B=\"two words\"",
        "{{json .Config.Env}}",
        r#"["A=1","B=two words"]"#,
    ),
    ("ENV A one two", "{{json .Config.Env}}", r#"["A=one two"]"#),
    (
        "EXPOSE 80 53/udp",
        "{{json .Config.ExposedPorts}}",
        r#"{"53/udp":{},"80/tcp":{}}"#,
    ),
    (
        "HEALTHCHECK --interval=5s CMD true",
        "{{.Config.Healthcheck.Interval}} {{json .Config.Healthcheck.Test}}",
        r#"5s ["CMD-SHELL","true"]"#,
    ),
    (
        "LABEL a=b c='d e'",
        "{{json .Config.Labels}}",
        r#"{"a":"b","c":"d e"}"#,
    ),
    (
        "ONBUILD RUN make",
        "{{json .Config.OnBuild}}",
        r#"["RUN make"]"#,
    ),
    ("STOPSIGNAL SIGINT", "{{.Config.StopSignal}}", "SIGINT"),
    ("USER 7:8", "{{.Config.User}}", "7:8"),
    (
        "VOLUME /a /b",
        "{{json .Config.Volumes}}",
        r#"{"/a":{},"/b":{}}"#,
    ),
    // an absolute one as it is written, as docker keeps it
    (
        "WORKDIR /srv/x/../y",
        "{{.Config.WorkingDir}}",
        "/srv/x/../y",
    ),
];

fn changes_are_those_of_docker(space: &Space) {
    for (change, template, expected) in CHANGES {
        for flag in ["-c", "--change"] {
            import(space, &[flag, change, "-", "base"]).ok();
            assert_eq!(field(space, template), expected, "{change}");
        }
    }
    let several = [
        "-c",
        "ENV A=1",
        "-c",
        "ENV B=$A",
        "-c",
        "WORKDIR a",
        "-c",
        "WORKDIR b",
    ];
    import(space, &[&several[..], &["-", "base"]].concat()).ok();
    assert_eq!(
        field(space, "{{.Config.Env}} {{.Config.WorkingDir}}"),
        "[A=1 B=1] /a/b"
    );
    // nothing is there that was not asked for, and the file system is the tar's
    import(space, &["-", "base"]).ok();
    let template = "{{.Config.Env}}{{.Config.Cmd}}{{.Config.Labels}}{{.Config.WorkingDir}}";
    assert_eq!(field(space, template), "[][]map[]");
    assert_eq!(space.image("base").text("etc/word"), "imported");
    import(space, &["-m", "by hand", "-", "base"]).ok();
    assert_eq!(field(space, "{{.Comment}}"), "by hand");
    space.is_clean();
}

fn changes_that_are_refused(space: &Space) {
    space.kiln(["images"]).ok();
    let before = listing(&space.store());
    for (change, says) in [
        ("RUN true", "RUN is not possible"),
        ("COPY a b", "COPY is not possible"),
        ("FROM x", "FROM is not possible"),
        ("ENV A=1\nADD a b", "ADD is not possible"),
        ("EXPOSE nowhere", "nowhere"),
        ("STOPSIGNAL NONE", "NONE"),
        ("HEALTHCHECK maybe", "HEALTHCHECK"),
        ("ENV", "ENV"),
        ("WHATEVER x", "WHATEVER"),
    ] {
        let refused = import(space, &["-c", "USER 1", "-c", change, "-", "base"]).exits(2);
        refused.says(&["--change", says]).never_says(&["panicked"]);
    }
    assert_eq!(listing(&space.store()), before);
    assert_eq!(space.kiln(["images", "-q"]).ok().stdout, "");
}

fn platforms_of_imports(space: &Space) {
    for (platform, expected) in [
        ("linux/arm64", "linux arm64 "),
        ("arm64", "linux arm64 "),
        ("linux/arm/v7", "linux arm v7"),
        ("linux/s390x", "linux s390x "),
    ] {
        import(space, &["--platform", platform, "-", "base"]).ok();
        let template = "{{.Os}} {{.Architecture}} {{with .Variant}}{{.}}{{end}}";
        let shown = space.kiln(["inspect", "-f", template, "base"]).ok().stdout;
        assert_eq!(shown, format!("{expected}\n"), "{platform}");
    }
    // a build for that platform starts from it
    space
        .build("FROM base\nLABEL a=b\n")
        .args(["--platform", "linux/s390x"])
        .ok();
    let host = kiln_oci::Platform::host();
    import(space, &["-", "base"]).ok();
    assert_eq!(field(space, "{{.Architecture}}"), host.architecture);
    let refused = import(space, &["--platform", "a/b/c/d/e", "-", "base"]).exits(2);
    refused.says(&["--platform"]);
}

fn standard_input_in_every_compression(space: &Space) {
    let tar = root();
    let mut inputs = vec![
        ("plain", tar.clone()),
        ("gzip", compressed(&tar, LayerCompression::gzip())),
        ("zstd", compressed(&tar, LayerCompression::zstd())),
    ];
    for (name, program) in [("xz", "xz"), ("bzip2", "bzip2")] {
        let piped = crate::support::Kiln::of("sh", None)
            .args([
                "-c",
                &format!("command -v {program} > /dev/null || exit 0; exec {program} -c"),
            ])
            .stdin(tar.clone())
            .stdout();
        if piped.is_empty() {
            crate::support::mode::skip("standard_input_in_every_compression", space.mode, program);
        } else {
            inputs.push((name, piped));
        }
    }
    // two members, one after the other
    let (first, second) = tar.split_at(700);
    let gzip = |bytes: &[u8]| compressed(bytes, LayerCompression::gzip());
    inputs.push(("members", [gzip(first), gzip(second)].concat()));
    let mut layers = Vec::new();
    for (name, input) in inputs {
        space
            .kiln(["import", "-", "base"])
            .stdin(input.clone())
            .ok();
        layers.push(field(space, "{{.RootFS.Layers}}"));
        assert_eq!(layers[0], layers[layers.len() - 1], "{name}");
        assert_eq!(field(space, "{{.Comment}}"), "Imported from -");
        let path = space.write_in("own", name, input);
        space.kiln(["import"]).arg(&path).arg("base").ok();
        assert_eq!(layers[0], field(space, "{{.RootFS.Layers}}"), "{name}");
    }
    let nameless = space.kiln(["import", "-"]).stdin(tar).ok().stdout;
    assert!(
        nameless.starts_with("sha256:") && nameless.lines().count() == 1,
        "{nameless}"
    );
    space.is_clean();
}

fn folders_with_everything_in_them(space: &Space) {
    let folder = space.own_folder("own/root");
    fs::create_dir_all(folder.join("a/b")).unwrap();
    fs::write(folder.join("a-b"), "sorted between a and a/b").unwrap();
    fs::write(folder.join("a/b/file"), "x").unwrap();
    fs::hard_link(folder.join("a/b/file"), folder.join("twin")).unwrap();
    symlink("/outside/of/it", folder.join("link")).unwrap();
    symlink("..", folder.join("a/up")).unwrap();
    fs::set_permissions(folder.join("a/b/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o1777)).unwrap();
    crate::support::Kiln::of("mkfifo", None)
        .arg(folder.join("pipe"))
        .ok();
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    let long = "n".repeat(255);
    fs::write(folder.join(&long), "").unwrap();
    space.kiln(["import"]).arg(&folder).arg("base").ok();
    let image = space.image("base");
    let paths: Vec<&str> = image.files.keys().map(String::as_str).collect();
    let expected = [
        "a", "a-b", "a/b", "a/b/file", "a/up", "link", &long, "pipe", "twin",
    ];
    assert_eq!(paths, expected, "a socket stays behind");
    assert_eq!(image.entry("a/b/file").mode, 0o4755);
    assert_eq!(image.entry("a").mode, 0o1777);
    assert_eq!(image.entry("twin").same_as.as_deref(), Some("a/b/file"));
    // twice is the same layer
    let layers = field(space, "{{.RootFS.Layers}}");
    space.kiln(["import"]).arg(&folder).arg("base").ok();
    assert_eq!(field(space, "{{.RootFS.Layers}}"), layers);
    // as a build's base, all of it is there
    space
        .build("FROM base\nCOPY --from=base /twin /copy\n")
        .ok();
    assert_eq!(space.image("app").text("copy"), "x");
}

fn folders_that_are_empty_or_closed(space: &Space) {
    let folder = space.own_folder("own/root");
    space.kiln(["import"]).arg(&folder).arg("base").ok();
    assert_eq!(field(space, "{{len .RootFS.Layers}}"), "0");
    let archive = space.save(&["base"], "empty.tar");
    space.load_in("other", &archive);
    space.build("FROM base\nLABEL a=b\n").ok();
    let closed = folder.join("closed");
    fs::write(&closed, "x").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let imported = space.kiln(["import"]).arg(&folder).arg("base").run();
    if space.mode.is_rootless() {
        imported.says(&["closed", "denied"]);
        assert_eq!(imported.status.code(), Some(1), "{imported}");
    } else {
        assert!(imported.status.success(), "{imported}");
    }
    space.kiln(["import", "/no/such/folder", "base"]).exits(2);
    space.is_clean();
}

fn names_that_cannot_be_given(space: &Space) {
    import(space, &["-", "base"]).ok();
    let digest = format!("base@sha256:{}", "0".repeat(64));
    for name in ["Not A Name", "UPPER", &digest, "a:b:c"] {
        import(space, &["-", name]).exits(2).says(&[name]);
        let tag = space.kiln(["tag", "base", name]);
        tag.exits(2).says(&[name]);
    }
    let listed = space.kiln(["images", "--format", "{{.Repository}}"]).ok();
    assert_eq!(listed.stdout, "base\n");
}

fn tars_that_are_refused_leave_nothing(space: &Space) {
    space.kiln(["images"]).ok();
    let before = listing(&space.store());
    let whole = Tar::default().file("file", vec![7; 100_000]).end();
    let packed = compressed(&whole, LayerCompression::gzip());
    let mut flipped = packed.clone();
    let at = flipped.len() - 6; // the checksum
    flipped[at] ^= 1;
    for (name, bytes) in [
        ("cut", whole[..50_000].to_vec()),
        ("cut-gzip", packed[..packed.len() - 20].to_vec()),
        ("flipped", flipped),
        ("text", b"no archive at all".repeat(100)),
        ("link", Tar::default().entry("a", Kind::HardLink, "b").end()),
    ] {
        let piped = space.kiln(["import", "-", "base"]).stdin(bytes.clone());
        piped.exits(1).never_says(&["panicked"]);
        let path = space.write_in("own", name, bytes);
        space.kiln(["import"]).arg(&path).arg("base").exits(1);
        assert_eq!(listing(&space.store()), before, "{name}");
    }
    assert_eq!(space.kiln(["images", "-q"]).ok().stdout, "");
    space.is_clean();
}

fn an_address_is_fetched(space: &Space) {
    let server = Server::start();
    server.set("/root.tar", Answer::file(root()));
    let url = server.url("/root.tar");
    space.kiln(["import", &url, "base"]).ok();
    assert!(space.image_paths("base").contains(&"etc".to_owned()));
    let history = space.kiln(["history", "--no-trunc", "base"]).ok();
    assert!(
        history.stdout.contains("Imported from root.tar"),
        "{history}"
    );
    let missing = server.url("/other.tar");
    space
        .kiln(["import", &missing, "other"])
        .exits(1)
        .says(&["/other.tar", "404"]);
    let offline = space.kiln(["import", "--offline", &url, "other"]).exits(1);
    offline.says(&["--offline"]);
}
