//! `kiln size`: every byte in one class, whatever the image comes from; dive's numbers and dive's limits; images that are odd or hostile.

use kiln_oci::tarfile::Kind;
use kiln_oci::{History, ImageConfig, LayerCompression, Platform};
use serde_json::Value;

use std::os::unix::fs::PermissionsExt;

use crate::support::registry::{Guard, Registry};
use crate::support::tar::{Layers, Tar};
use crate::support::{Space, golden, plain_cases};

plain_cases! {
    classes_and_lines_of_a_wasteful_image,
    the_same_from_archives_folders_streams_and_a_registry,
    docker_and_podman_save_what_is_looked_at,
    exact_sizes_are_those_of_a_push,
    dives_numbers_and_limits,
    names_are_shown_harmlessly,
    many_layers_and_no_history,
    one_of_several_images,
    folders_by_their_bytes,
    programs_are_known_by_their_content,
    a_page_says_it_all,
    what_cannot_be_read_is_said,
}

/// Something of each class.
const WASTEFUL: &str = "FROM scratch AS base
COPY big /opt/base
FROM base
COPY app /srv
COPY --chmod=700 big /srv/big
COPY new /srv/conf
COPY <<EOF /var/log/install.log
done
EOF
LABEL a=1
";

fn wasteful(space: &Space) {
    space.write("big", "0123456789\n".repeat(9000));
    space.write("new", "new");
    space.write("app/big", "0123456789\n".repeat(9000));
    space.write("app/conf", "old\n");
    space.write("app/.git/pack", "git\n".repeat(1000));
    let build = |tag: &str, target: &[&str]| {
        let build = space.build(WASTEFUL).env("SOURCE_DATE_EPOCH", "1700000000");
        build.args(["-t", tag]).args(target).ok();
    };
    build("base:1", &["--target", "base"]);
    build("app:1", &[]);
}

/// What `kiln size --format json` says.
fn report(space: &Space, arguments: &[&str]) -> Value {
    let said = space.kiln(["size", "--format", "json"]).args(arguments);
    let report: Value = serde_json::from_str(&said.ok().stdout).unwrap();
    for layer in report["Layers"].as_array().unwrap() {
        let classes = layer["Classes"].as_object().unwrap().values();
        let sum: u64 = classes.map(|bytes| bytes.as_u64().unwrap()).sum();
        assert_eq!(sum, layer["Size"].as_u64().unwrap(), "{layer}");
    }
    report
}

fn classes_and_lines_of_a_wasteful_image(space: &Space) {
    wasteful(space);
    let report = report(space, &["app:1"]);
    let classes = &report["Total"]["Classes"];
    assert_eq!(classes["Live"], 99_000 + 4000 + 3 + 5);
    assert_eq!(classes["Duplicate"], 99_000);
    assert_eq!(classes["Rewritten"], 99_000);
    assert_eq!(classes["Overwritten"], 4);
    assert_eq!(report["Base"]["Layers"], 1);
    assert_eq!(report["Own"]["Classes"]["Live"], 4008);
    let layer = &report["Layers"][2];
    assert_eq!(
        (&layer["File"], &layer["Line"]),
        (&"Dockerfile".into(), &5.into())
    );
    assert_eq!(layer["Instruction"], "COPY --chmod=700 big /srv/big");

    golden::matches("size/table.txt", &space.kiln(["size", "app:1"]).ok().stdout);
    let markdown = space.kiln(["size", "--format", "markdown", "app:1"]).ok();
    golden::matches("size/markdown.md", &markdown.stdout);
    let format = "{{.Total.Classes.Rewritten}} {{range .KnownWaste}}{{.Name}} {{.Size}};{{end}}";
    let said = space
        .kiln(["size", "app:1", "--format", format])
        .ok()
        .stdout;
    assert_eq!(said, "99000 .git 4000;logs 5;\n");
}

fn the_same_from_archives_folders_streams_and_a_registry(space: &Space) {
    wasteful(space);
    let layers = |report: &Value| -> Vec<Value> {
        let layers = report["Layers"].as_array().unwrap().iter();
        layers
            .map(|layer| serde_json::json!([layer["DiffID"], layer["Classes"]]))
            .collect()
    };
    let expected = layers(&report(space, &["app:1"]));
    let archive = space.save(&["app:1"], "hybrid.tar");
    let docker = space.save(&["--format", "docker-archive", "app:1"], "docker.tar");
    let packed = space.save(&["--compress", "zstd", "app:1"], "hybrid.tar.zst");
    for path in [&archive, &docker, &packed] {
        let said = report(space, &[path.to_str().unwrap()]);
        assert_eq!(layers(&said), expected, "{}", path.display());
        assert_eq!(said["Base"]["Layers"], 0);
    }
    let stream = space.kiln(["size", "--format", "json", "-"]);
    let said = stream.stdin(std::fs::read(&archive).unwrap()).ok().stdout;
    assert_eq!(layers(&serde_json::from_str(&said).unwrap()), expected);
    let folder = space.own_folder("layout");
    let unpack = format!("tar -xf {} -C {}", archive.display(), folder.display());
    space.shell(&unpack).ok();
    assert_eq!(
        layers(&report(space, &[folder.to_str().unwrap()])),
        expected
    );

    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app:1", registry.host);
    space.kiln(["tag", "app:1", &name]).ok();
    space.kiln(["push", &name]).ok();
    let said = space
        .in_store("other", &["size", "--format", "json", &name])
        .ok();
    let said: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(layers(&said), expected);
    assert_eq!(said["Total"]["Gzip"]["IsEstimate"], false);
    // each layer and the config came once, and nothing stayed
    assert_eq!(registry.count("GET", "/blobs/"), 6);
    assert_eq!(space.in_store("other", &["images", "-q"]).ok().stdout, "");
    space.kiln(["rmi", &name]).ok();
    let count = registry.count("GET", "/blobs/");
    report(space, &[&name]);
    assert_eq!(
        registry.count("GET", "/blobs/"),
        count + 1,
        "the layers are here"
    );
}

fn docker_and_podman_save_what_is_looked_at(space: &Space) {
    wasteful(space);
    let archive = space.save(&["--format", "docker-archive", "app:1"], "docker.tar");
    let program = space.own_folder("bin").join("podman");
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'save -- app:1' ] && exec cat {}\necho no such image >&2; exit 125\n",
        archive.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let size = |image: &str| {
        let kiln = space.kiln(["size", "--format", "{{.Name}} {{.Total.Layers}}", image]);
        kiln.env("PATH", &path)
    };
    assert_eq!(size("podman:app:1").ok().stdout, "app:1 5\n");
    size("podman:other")
        .exits(1)
        .says(&["no such image", "`podman save other` failed"]);
    let nowhere = size("docker:app:1").env("PATH", "/nowhere");
    nowhere
        .exits(3)
        .says(&["docker cannot be started", "install docker"]);
}

fn exact_sizes_are_those_of_a_push(space: &Space) {
    // larger than a sample
    space.write(
        "big",
        (0..60_000).map(|n| format!("{n}\n")).collect::<String>(),
    );
    space.build("FROM scratch\nCOPY big /\n").ok();
    let estimate = report(space, &["app"])["Total"]["Gzip"].clone();
    assert_eq!(estimate["IsEstimate"], true);
    let archive = space.save(&["app"], "plain.tar");
    let exact = report(space, &["--exact", "app"])["Total"].clone();
    assert_eq!(exact["Gzip"]["IsEstimate"], false);
    assert_eq!(report(space, &["app"])["Total"], exact, "it is remembered");
    let passing = report(space, &["--exact", archive.to_str().unwrap()])["Total"].clone();
    assert_eq!(
        (&passing["Gzip"], &passing["Zstd"]),
        (&exact["Gzip"], &exact["Zstd"])
    );
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app:1", registry.host);
    space.kiln(["tag", "app", &name]).ok();
    space.kiln(["push", &name]).ok();
    let manifest: Value = serde_json::from_slice(&registry.manifest_of("app/manifests/1")).unwrap();
    assert_eq!(manifest["layers"][0]["size"], exact["Gzip"]["Size"]);
    let difference = estimate["Size"].as_f64().unwrap() / exact["Gzip"]["Size"].as_f64().unwrap();
    assert!((0.9..1.1).contains(&difference), "{difference}");
}

/// An archive of layers, none of them compressed.
fn archive(space: &Space, layers: Vec<Tar>) -> String {
    let tars: Vec<Vec<u8>> = layers.into_iter().map(Tar::end).collect();
    let archive = Layers::new(&tars, LayerCompression::None).archive();
    let path = space.write("archive.tar", archive);
    path.to_str().unwrap().to_owned()
}

/// What dive 0.13 says of the archive.
const DIVE: &str = "efficiency: 70.1417 %
wastedBytes: 93000 bytes (93kB)
userWastedPercent: 132.8571 %
    3      91kB  /etc/big
    2       2kB  /etc/small
";

fn dives_numbers_and_limits(space: &Space) {
    let kilo = |count: usize| vec![b'x'; count * 1000];
    let archive = archive(
        space,
        vec![
            Tar::default()
                .entry("etc/", Kind::Directory, "")
                .file("etc/big", kilo(30))
                .file("etc/small", kilo(2))
                .entry("opt/", Kind::Directory, "")
                .file("opt/a", kilo(50))
                .file("opt/b", kilo(7)),
            Tar::default()
                .file("etc/.wh.small", b"")
                .file("etc/big", kilo(31))
                .file(".wh.opt", b""),
            Tar::default()
                .file("etc/.wh.never", b"")
                .file("etc/after", kilo(5)),
            Tar::default()
                .file("etc/big", kilo(30))
                .file("new", kilo(4)),
        ],
    );
    let said = space.kiln(["size", "--dive-compat", &archive]).ok().stdout;
    assert_eq!(said, DIVE);
    let limits = |text: &str| {
        let file = space.write("limits", text);
        space.kiln(["size", "--dive-ci"]).arg(file).arg(&archive)
    };
    let kept = "rules:\n  lowestEfficiency: 0.1\n  highestWastedBytes: 1MB\n  highestUserWastedPercent: disabled\n";
    let said = limits(kept).ok().stdout;
    assert!(said.contains("PASS: lowestEfficiency"), "{said}");
    assert!(said.contains("SKIP: highestUserWastedPercent"), "{said}");
    let broken = limits("rules:\n  highestWastedBytes: 10kB\n").exits(1);
    assert!(broken.stdout.contains("FAIL: highestWastedBytes"));
    broken.says(&["3 of 3 limits of dive are not kept"]);
    limits("rules:\n  most: 1\n")
        .exits(2)
        .says(&["line 2", "no rule of dive"]);
}

fn names_are_shown_harmlessly(space: &Space) {
    let mut config = ImageConfig::new(&Platform::host());
    let evil = "<script>alert(1)</script> | \x1b[31mred\x1b]0;title\x07 `x`";
    let folder = b"<b>\x1b[31m\xff/".to_vec();
    let tar = Tar::default()
        .entry(&folder, Kind::Directory, "")
        .file([&folder[..], b"f"].concat(), b"content")
        .end();
    config.rootfs.diff_ids = vec![kiln_oci::Digest::of(&tar)];
    config.history = vec![History {
        created_by: Some(evil.to_owned()),
        ..History::default()
    }];
    let layers = Layers::of_blobs(&config, vec![tar], LayerCompression::None);
    let path = space.write("evil.tar", layers.archive());
    let path = path.to_str().unwrap();
    for arguments in [
        &["size", path][..],
        &["size", path, "--tree"],
        &["size", path, "--tree", "--format", "json"],
        &["size", path, "--format", "markdown"],
        &["size", path, "--format", "json"],
    ] {
        let said = space.kiln(arguments).ok().stdout;
        let is_harmless = |letter: char| letter == '\n' || !letter.is_control();
        assert!(said.chars().all(is_harmless), "{arguments:?}: {said:?}");
    }
    let markdown = space
        .kiln(["size", path, "--format", "markdown"])
        .ok()
        .stdout;
    assert!(
        markdown.contains("&lt;script&gt;") && !markdown.contains("<script"),
        "{markdown}"
    );
}

fn many_layers_and_no_history(space: &Space) {
    let layer = |number: usize| Tar::default().file("file", format!("{number}").repeat(10));
    let archive = archive(space, (0..127).map(layer).collect());
    let report = report(space, &[&archive]);
    assert_eq!(report["Layers"].as_array().unwrap().len(), 127);
    assert_eq!(report["Total"]["Classes"]["Live"], 30);
    let said = space.kiln(["size", &archive]).ok().stdout;
    assert_eq!(said.matches("(no history)").count(), 127);
}

fn one_of_several_images(space: &Space) {
    wasteful(space);
    let archive = space.save(&["app:1", "base:1"], "both.tar");
    let archive = archive.to_str().unwrap();
    let several = space.kiln(["size", archive]).exits(1);
    several.says(&["several images: app:1, base:1", "#NAME"]);
    let one = format!("{archive}#base:1");
    assert_eq!(report(space, &[&one])["Total"]["Layers"], 1);
    let none = format!("{archive}#other");
    space
        .kiln(["size", &none])
        .exits(1)
        .says(&["no image other:latest; it has app:1"]);
    let own = report(space, &["--base", "base:1", &format!("{archive}#app:1")]);
    assert_eq!(own["Own"]["Layers"], 4);
}

fn folders_by_their_bytes(space: &Space) {
    wasteful(space);
    let said = space.kiln(["size", "app:1", "--tree", "--own"]).ok().stdout;
    let folders: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(folders, ["FOLDER", "/", "/srv", "/srv/.git"]);
    let tree = |arguments: &[&str]| -> Value {
        let kiln = space.kiln(["size", "app:1", "--tree", "--format", "json"]);
        serde_json::from_str(&kiln.args(arguments).ok().stdout).unwrap()
    };
    assert_eq!(tree(&["--class", "rewritten"])[0]["Size"], 99_000);
    assert_eq!(tree(&["--filter", "*.log"])[0]["Size"], 5);
    assert_eq!(
        tree(&["--filter", "/srv/big", "--depth", "1"])[1]["Files"],
        2
    );
    space
        .kiln(["size", "app:1", "--depth", "1"])
        .exits(2)
        .says(&["belong to --tree"]);
}

/// A program of 64 bits for this machine, with so many bytes of debug info.
fn program(machine: u16, debug_info: usize) -> Vec<u8> {
    let section = |name: u32, offset: usize, size: usize| {
        let mut entry = [name.to_le_bytes(), 1_u32.to_le_bytes()].concat();
        let words = [0, 0, offset as u64, size as u64, 0, 1, 0];
        entry.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        entry
    };
    let names = b"\0.debug_info\0";
    let table = 64 + debug_info + names.len();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(
        [2, machine]
            .iter()
            .flat_map(|half: &u16| half.to_le_bytes()),
    );
    file.extend(1_u32.to_le_bytes());
    file.extend(
        [0, 0, table as u64]
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes()),
    );
    file.extend(0_u32.to_le_bytes());
    file.extend(
        [64, 0, 0, 64, 3, 2]
            .iter()
            .flat_map(|half: &u16| half.to_le_bytes()),
    );
    file.resize(64 + debug_info, b'd');
    file.extend(names);
    file.extend([0; 64]);
    file.extend(section(1, 64, debug_info));
    file.extend(section(0, 64 + debug_info, names.len()));
    file
}

fn programs_are_known_by_their_content(space: &Space) {
    space.write("data.bin", program(243, 70_000));
    space.write("text", "no program");
    space
        .build("FROM scratch\nCOPY data.bin text /opt/\nCOPY --chmod=755 data.bin /bin/program\n")
        .ok();
    let archive = space.save(&["app"], "app.tar.gz");
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app:1", registry.host);
    space.kiln(["tag", "app", &name]).ok();
    space.kiln(["push", &name]).ok();
    space.kiln(["rmi", &name]).ok();
    for image in ["app", archive.to_str().unwrap(), &name] {
        let waste = report(space, &[image])["KnownWaste"].clone();
        let debug_info = [&waste[0]["Name"], &waste[0]["Size"], &waste[0]["Files"]];
        assert_eq!(
            debug_info,
            [&Value::from("debug info"), &140_000.into(), &2.into()],
            "{image}"
        );
        let ran = space.kiln(["advise", image]).ok();
        assert!(
            ran.stdout
                .contains("foreign-machine\n  /bin/program is for riscv64"),
            "{ran}"
        );
    }
}

fn a_page_says_it_all(space: &Space) {
    space.write("<img src=x>", "hostile");
    space.write("own", "x".repeat(5000));
    let text = "FROM scratch AS base\nCOPY own /base\nFROM base\nCOPY . /app/\nENV A=</script>\nCOPY own /app/\n";
    let base = ["-t", "base", "--target", "base"];
    space.build(text).args(base).ok();
    space.build(text).args(["-t", "app:1"]).ok();
    let html = space.kiln(["size", "--format", "html", "app:1"]).ok();
    let page = html.stdout;
    assert!(page.len() < 60_000, "{}", page.len());
    for text in [
        "\"title\":\"Size of app:1\"",
        "{\"line\":5,\"text\":\"ENV A=\\u003c/script>\",\"bytes\":0}",
        "\"of_base\":true",
        "\"title\":\"Classes\"",
    ] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    // the lines of the base are not the image's
    assert!(!page.contains("{\"line\":2,"), "{page}");
    assert!(!page.contains("<img") && !page.contains("://"), "{page}");
    assert_eq!(page.matches("</script>").count(), 2);
}

fn what_cannot_be_read_is_said(space: &Space) {
    wasteful(space);
    let size = |image: &str| space.kiln(["size", "--offline", image]);
    size("ap")
        .exits(1)
        .says(&["neither an image of the store nor a file", "--offline"]);
    size("./nothing.tar").exits(1).says(&["nothing.tar"]);
    let archive = space.save(&["app:1"], "cut.tar");
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    size(archive.to_str().unwrap()).exits(1);
    size("-").stdin(&bytes[..bytes.len() / 2]).exits(1);
    space.write("text", "no archive");
    size(space.context().join("text").to_str().unwrap()).exits(1);
    let other = space.kiln(["size", "base:1", "--base", "app:1"]).exits(2);
    other.says(&["base:1 is not built on app:1"]);
}
