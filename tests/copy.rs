//! `COPY` and `ADD`: what is selected, where it lands, whose it is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kiln_oci::tarfile::Kind as TarKind;

use crate::support::image::Entry;
use crate::support::tar::Tar;
use crate::support::{Kind, Space, cases};

cases! {
    files_and_folders_land_where_docker_puts_them,
    wildcards_and_exclusions,
    owners_and_modes_are_set,
    owners_by_name_come_from_the_image,
    sources_keep_modes_times_and_links,
    links_of_the_destination_are_followed_inside,
    nothing_leads_out_of_the_context,
    link_copies_do_not_look_at_the_base,
    text_in_the_dockerfile_becomes_files,
    archives_are_unpacked_by_add,
    an_archive_may_begin_without_a_name,
    stars_of_parents_cross_folders,
    working_folders_are_made,
    files_that_overwrite_each_other_are_told,
    of_many_files_those_that_changed_are_taken_anew,
}

fn files_and_folders_land_where_docker_puts_them(space: &Space) {
    space.write("one", "1");
    space.write("two", "2");
    space.write("folder/inner/deep", "3");
    let text = "FROM scratch\nCOPY one /renamed\nCOPY one two /into/\nCOPY folder /contents\nCOPY folder/ /more/\nWORKDIR /work\nCOPY one .\nCOPY two sub/\nCOPY [\"one\", \"/with space\"]\nCOPY . /all/\n";
    space.build(text).ok();
    let image = space.image("app");
    for (path, content) in [
        ("renamed", "1"),
        ("into/one", "1"),
        ("into/two", "2"),
        ("contents/inner/deep", "3"),
        ("more/inner/deep", "3"),
        ("work/one", "1"),
        ("work/sub/two", "2"),
        ("with space", "1"),
        ("all/folder/inner/deep", "3"),
    ] {
        assert_eq!(image.text(path), content, "{path}");
    }
    assert!(image.has("all/Dockerfile"));
    space
        .build("FROM scratch\nCOPY absent /\n")
        .exits(1)
        .says(&["absent", "Dockerfile:2"]);
    // As BuildKit does: the last one is what stays.
    space.build("FROM scratch\nCOPY one two /there\n").ok();
    assert_eq!(space.image("app").text("there"), "2");
}

fn wildcards_and_exclusions(space: &Space) {
    for name in ["a.txt", "b.txt", "c.log", "sub/d.txt", "sub/e.log"] {
        space.write(name, name);
    }
    let text = "FROM scratch\nCOPY *.txt /text/\nCOPY ?.log /log/\nCOPY s*/[d-e].* /sub/\nCOPY --exclude=*.log --exclude=sub/*.txt . /most/\n";
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(image.below("text"), ["text/a.txt", "text/b.txt"]);
    assert_eq!(image.below("log"), ["log/c.log"]);
    assert_eq!(image.below("sub"), ["sub/d.txt", "sub/e.log"]);
    assert_eq!(
        image.below("most"),
        [
            "most/Dockerfile",
            "most/a.txt",
            "most/b.txt",
            "most/sub",
            "most/sub/e.log"
        ]
    );
}

fn owners_and_modes_are_set(space: &Space) {
    space.write("folder/file", "x");
    let text = "FROM scratch\nCOPY folder /plain\nCOPY --chown=11:22 folder /owned/deep\nCOPY --chown=33 --chmod=4711 folder/file /modes/file\nCOPY --chmod=u=rwx,go=r folder/file /symbolic\n";
    space.build(text).ok();
    let image = space.image("app");
    let of = |path: &str| {
        let Entry { uid, gid, mode, .. } = image.entry(path);
        (*uid, *gid, *mode)
    };
    assert_eq!(
        (of("plain"), of("plain/file")),
        ((0, 0, 0o755), (0, 0, 0o644))
    );
    assert_eq!(
        (of("owned"), of("owned/deep"), of("owned/deep/file")),
        ((11, 22, 0o755), (11, 22, 0o755), (11, 22, 0o644))
    );
    assert_eq!(
        (of("modes/file"), of("symbolic")),
        ((33, 33, 0o4711), (0, 0, 0o744))
    );
}

fn owners_by_name_come_from_the_image(space: &Space) {
    space.write(
        "passwd",
        "root:x:0:0::/:/bin/sh\napp:x:1234:2345::/:/bin/sh\n",
    );
    space.write("group", "root:x:0:\nteam:x:77:\n");
    let text = "FROM scratch\nCOPY passwd group /etc/\nCOPY --chown=app passwd /one\nCOPY --chown=app:team passwd /two\nCOPY --chown=:team passwd /three\n";
    space.build(text).ok();
    let image = space.image("app");
    let owners = ["one", "two", "three"].map(|path| (image.entry(path).uid, image.entry(path).gid));
    assert_eq!(owners, [(1234, 2345), (1234, 77), (0, 77)]);
    space
        .build("FROM scratch\nCOPY --chown=stranger passwd /\n")
        .ok()
        .says(&["stranger", "/etc/passwd", "root's"]);
    assert_eq!(space.image("app").entry("passwd").uid, 0);
}

fn sources_keep_modes_times_and_links(space: &Space) {
    let file = space.write("tree/file", "x");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o754)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_500_000_000, 999_999_999);
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    fs::hard_link(&file, space.context().join("tree/twin")).unwrap();
    symlink("file", space.context().join("tree/link")).unwrap();
    symlink("/outside/of/all", space.context().join("tree/broken")).unwrap();
    space
        .build("FROM scratch\nCOPY tree /tree\nCOPY tree/link /followed\nCOPY tree/file tree/twin /each/\n")
        .ok();
    let image = space.image("app");
    let file = image.entry("tree/file");
    assert_eq!((file.mode, file.mtime), (0o754, 1_500_000_000));
    assert_eq!(
        image.entry("tree/twin").same_as.as_deref(),
        Some("tree/file")
    );
    assert_eq!(
        image.entry("each/twin").same_as,
        None,
        "what is named by itself is copied by itself"
    );
    assert_eq!(
        image.entry("tree/link").kind,
        Kind::Symlink("file".to_owned())
    );
    assert_eq!(
        image.entry("tree/broken").kind,
        Kind::Symlink("/outside/of/all".to_owned())
    );
    assert_eq!(
        image.text("followed"),
        "x",
        "a link that is named is followed"
    );
}

fn links_of_the_destination_are_followed_inside(space: &Space) {
    space.write("word", "here");
    let text = "FROM tools\nRUN mkdir /real && ln -s /real /absolute && ln -s ../../../real /climbing\nCOPY word /absolute/one\nCOPY word /climbing/two\nRUN ls /real > /seen\n";
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(
        (image.below("real"), image.text("seen")),
        (vec!["real/one", "real/two"], "one\ntwo\n".to_owned())
    );
}

fn nothing_leads_out_of_the_context(space: &Space) {
    space.write_in("outside", "private", "not yours");
    symlink("../outside/private", space.context().join("relative")).unwrap();
    symlink(
        space.path("outside/private"),
        space.context().join("absolute"),
    )
    .unwrap();
    symlink("../outside", space.context().join("folder")).unwrap();
    for source in [
        "relative",
        "absolute",
        "folder/private",
        "../outside/private",
        "../../../../../../etc/passwd",
    ] {
        let built = space
            .build(&format!("FROM scratch\nCOPY {source} /\n"))
            .exits(1);
        built.never_says(&["not yours"]);
    }
    space.build("FROM scratch\nCOPY . /\n").ok();
    let image = space.image("app");
    assert_eq!(
        image.entry("relative").kind,
        Kind::Symlink("../outside/private".to_owned())
    );
}

fn link_copies_do_not_look_at_the_base(space: &Space) {
    space.write("word", "x");
    let text = "FROM tools AS base\nARG SEED\nRUN echo $SEED > /seed\nFROM base\nCOPY --link word /linked/word\nCOPY word /plain/word\n";
    space.build_json(text).args(["--build-arg", "SEED=1"]).ok();
    let events = space
        .build_json(text)
        .args(["--build-arg", "SEED=2"])
        .ok()
        .events();
    assert_eq!(
        events.ran_sorted(),
        ["COPY word /plain/word", "RUN echo $SEED > /seed"],
        "a linked copy is independent of its base"
    );
    assert_eq!(space.image("app").text("linked/word"), "x");
}

fn text_in_the_dockerfile_becomes_files(space: &Space) {
    let text = "FROM scratch\nARG NAME=you\nCOPY <<EOF <<'RAW' --chmod=600 /notes/\nhello $NAME\nEOF\nkeep $NAME\nRAW\nCOPY <<one /renamed\n1\none\n";
    let ordered = text.replace("<<EOF <<'RAW' --chmod=600", "--chmod=600 <<EOF <<'RAW'");
    space.build(&ordered).ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("notes/EOF"), image.text("notes/RAW")),
        ("hello you\n".to_owned(), "keep $NAME\n".to_owned())
    );
    assert_eq!(
        (
            image.entry("notes/EOF").mode,
            image.text("renamed").as_str()
        ),
        (0o600, "1\n")
    );
}

fn archives_are_unpacked_by_add(space: &Space) {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [("dir/file", "packed"), ("top", "t")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        header.set_uid(5);
        header.set_gid(6);
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    space.write("data.bin", builder.into_inner().unwrap());
    space.build("FROM scratch\nADD data.bin /unpacked/\nADD --unpack=false data.bin /kept/\nCOPY data.bin /copied/\nADD --chown=7:8 data.bin /owned/\n").ok();
    let image = space.image("app");
    let file = image.entry("unpacked/dir/file");
    assert_eq!(
        (
            image.text("unpacked/dir/file").as_str(),
            file.uid,
            file.gid,
            file.mode
        ),
        ("packed", 5, 6, 0o640)
    );
    assert_eq!(
        (image.below("kept"), image.below("copied")),
        (vec!["kept/data.bin"], vec!["copied/data.bin"])
    );
    assert_eq!(
        (image.entry("owned/top").uid, image.entry("owned/top").gid),
        (7, 8)
    );
    space.write("data.bin", [b"BZh9", &[0_u8; 64][..]].concat());
    space
        .build("FROM scratch\nADD data.bin /x/\n")
        .run()
        .never_says(&["panicked"]);
}

/// As Go reads tars, an entry without a name is the root; docker's unpacking passes over it, whatever it is.
fn an_archive_may_begin_without_a_name(space: &Space) {
    for kind in [TarKind::Directory, TarKind::File, TarKind::Symlink] {
        let first = match kind {
            TarKind::File => Tar::default().file("x", "lost"),
            _ => Tar::default().entry("x", kind, if kind == TarKind::Symlink { "y" } else { "" }),
        };
        space.write("data", nameless(first).file("f", "kept").end());
        space
            .build("FROM scratch\nADD data /in/\nADD --unpack=false data /as/\n")
            .ok();
        let image = space.image("app");
        assert_eq!(image.below("in"), ["in/f"], "{kind:?}");
        assert_eq!(image.text("in/f"), "kept");
        let root = image.entry("in");
        assert_eq!((root.mode, image.below("as")), (0o755, vec!["as/data"]));
    }
    // What only looks like it stays a file.
    let mut broken = nameless(Tar::default().file("x", "")).end();
    broken[300] ^= 1;
    for (name, bytes) in [("broken", broken), ("zeros", vec![0; 1024])] {
        space.write("data", bytes);
        space.build("FROM scratch\nADD data /in/\n").ok();
        assert_eq!(space.image("app").below("in"), ["in/data"], "{name}");
    }
}

/// The tar without the name of its first entry.
fn nameless(mut tar: Tar) -> Tar {
    let header = &mut tar.0[..512];
    header[0] = 0;
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

fn working_folders_are_made(space: &Space) {
    space.write("word", "x");
    let text = "FROM scratch\nUSER 5:6\nWORKDIR /made/by\nWORKDIR user\nUSER 0\nWORKDIR /root/made\nCOPY word .\n";
    space.build(text).ok();
    let image = space.image("app");
    let owner = |path: &str| (image.entry(path).uid, image.entry(path).gid);
    assert_eq!(
        (owner("made/by/user"), owner("root/made")),
        ((5, 6), (0, 0))
    );
    assert_eq!(image.text("root/made/word"), "x");
}

fn files_that_overwrite_each_other_are_told(space: &Space) {
    for path in ["f", "g", "h", "a/same", "b/same"] {
        space.write(path, path);
    }
    let code = "warning[DF0032]";
    let told = |text: &str| space.build(&format!("FROM scratch\n{text}\n")).ok();
    told("COPY f g h /x").says(&[
        code,
        "2 files are overwritten",
        "f at x",
        "Dockerfile:2",
        "COPY f g h /x",
        "^^^^",
        "write /x/",
    ]);
    assert_eq!(space.image("app").text("x"), "h", "the last wins");
    // cached it is not looked at again
    told("COPY f g h /x").never_says(&[code]);
    let names = told("COPY a/same b/same /dir/");
    names
        .says(&["1 file is overwritten", "a/same at dir/same"])
        .never_says(&["write "]);
    told("COPY <<x g /x\ntext\nx").says(&[code, "g at x"]);
    // What merges or is the same is meant so.
    for text in [
        "COPY a b /merged/",
        "COPY f f /twice/",
        "COPY f g /both/",
        "COPY f /x\nCOPY g /x",
        "COPY * /all/",
    ] {
        told(text).never_says(&[code]);
    }
}

/// With `--parents`, `**` means any folders wherever it stands in a component, as in .dockerignore.
fn stars_of_parents_cross_folders(space: &Space) {
    for path in ["a/b/f", "af", "ab/f", "c/xf"] {
        space.write(path, path);
    }
    for (pattern, expected) in [
        ("**f", &["a/b/f", "ab/f"][..]),
        ("a**/f", &["a/b/f", "ab/f", "af"]),
        ("a**f", &["a/b/f", "ab/f", "af"]),
        ("c**", &["c/xf"]),
        ("**/*f", &["a/b/f", "ab/f", "af", "c/xf"]),
    ] {
        let text = format!("FROM scratch\nCOPY --parents {pattern} /\n");
        space.build(&text).ok();
        let image = space.image("app");
        for path in ["a/b/f", "af", "ab/f", "c/xf"] {
            assert_eq!(
                image.has(path),
                expected.contains(&path),
                "{pattern}: {path}"
            );
        }
    }
}

/// The others come from the layer that the step made before, if its bytes are theirs.
fn of_many_files_those_that_changed_are_taken_anew(space: &Space) {
    let mut files: Vec<String> = (0..1200).map(|number| format!("{number}\n")).collect();
    let build = |files: &[String]| {
        for (name, content) in files.iter().enumerate() {
            space.write(&format!("many/{name}"), content);
        }
        space.build("FROM scratch\nCOPY many /many\n").ok();
        let image = space.image("app");
        for (name, content) in files.iter().enumerate() {
            assert_eq!(image.text(&format!("many/{name}")), *content, "{name}");
        }
    };
    build(&files);
    files[7] = "other\n".to_owned();
    files.swap(8, 9);
    fs::remove_file(space.context().join("many/1199")).unwrap();
    files.pop();
    build(&files);
    // one byte of a file in that layer becomes another
    let blobs = space.store().join("blobs/sha256");
    let blobs = fs::read_dir(blobs)
        .unwrap()
        .map(|shard| shard.unwrap().path());
    let blobs = blobs.flat_map(|shard| fs::read_dir(shard).unwrap());
    for blob in blobs.map(|blob| blob.unwrap().path()) {
        let mut bytes = fs::read(&blob).unwrap();
        if let Some(at) = bytes.windows(5).position(|bytes| bytes == b"1111\n") {
            bytes[at] = b'2';
            fs::set_permissions(&blob, PermissionsExt::from_mode(0o600)).unwrap();
            fs::write(&blob, bytes).unwrap();
        }
    }
    files[7] = "third\n".to_owned();
    build(&files);
}
