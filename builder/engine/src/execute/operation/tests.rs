//! Which inputs are in the keys of operations, and which are not.

use super::copy::Copy;
use super::run::Run;
use super::{Source, make_directory};
use crate::execute::testing::{op, session};
use crate::plan::output::Stack;
use crate::plan::{Manner, definition};
use crate::request::{RunOptions, Secret, Volume, VolumeAccess};
use kiln_cache::{Chain, ContentHasher, Entry, EntryKind, Origin, Times, Tree};
use kiln_oci::{Digest, Platform};
use kiln_parser::graph::Op;
use std::sync::Arc;

fn file(path: &str) -> Entry {
    let mut content = ContentHasher::default();
    content.update(b"content");
    Entry {
        path: path.as_bytes().into(),
        kind: EntryKind::File {
            size: 7,
            offset: 0,
            content: content.finish(),
        },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 1,
        xattrs: Vec::new(),
        links: 0,
    }
}

fn source(entries: Vec<Entry>) -> Source {
    let tree = Arc::new(Tree::new(entries));
    Source {
        files: Chain::new(vec![(tree, Origin::Nowhere)]),
        layers: None,
        folder: None,
    }
}

fn copy_key(instruction: &str, entries: Vec<Entry>, below: &[u8]) -> Digest {
    let op = op(instruction);
    let Op::Copy(copy) = &op else { unreachable!() };
    let (_folder, session) = session();
    let (base, sources) = (Stack::of_image(&[Digest::of(below)]), [source(entries)]);
    let copy = Copy::new(&session.store, copy, &base, &sources).unwrap();
    copy.key(definition(&op, None, Manner::default())).digest
}

/// A change of a file.
type Change = fn(&mut Entry);

#[test]
fn the_key_of_copy_covers_what_is_copied_and_no_time() {
    let key = |change: Change| {
        let mut changed = file("dir/file");
        change(&mut changed);
        copy_key("COPY dir /to", vec![changed, file("elsewhere")], b"base")
    };
    let changes: [Change; 6] = [
        |file| file.path = (*b"dir/other").into(),
        |file| file.mode = 0o755,
        |file| file.uid = 1,
        |file| file.gid = 1,
        |file| file.xattrs = vec![((*b"user.a").into(), (*b"b").into())],
        |file| file.kind = EntryKind::Fifo,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_ne!(key(|_| {}), key(change), "change {number}");
    }
    assert_eq!(key(|_| {}), key(|file| file.mtime = 2));
    let alone = copy_key("COPY dir /to", vec![file("dir/file")], b"base");
    assert_eq!(key(|_| {}), alone, "files that are not copied do not count");
}

#[test]
fn the_key_of_copy_covers_the_instruction_and_what_is_below() {
    let key = |instruction: &str, below| copy_key(instruction, vec![file("file")], below);
    let plain = key("COPY file /to", b"base");
    for other in [
        "COPY file /other",
        "COPY --chown=1 file /to",
        "COPY --chmod=700 file /to",
        "COPY --link file /to",
        "COPY --parents file /to",
        "COPY --exclude=x file /to",
        "ADD file /to",
    ] {
        assert_ne!(plain, key(other, b"base"), "{other}");
    }
    assert_ne!(plain, key("COPY file /to", b"other"));
    let linked = |below| key("COPY --link file /to", below);
    assert_eq!(linked(b"base"), linked(b"other"));
}

fn run_key(instruction: &str, options: &RunOptions, mount: Source, below: &[u8]) -> Digest {
    let op = op(instruction);
    let Op::Run(run) = &op else { unreachable!() };
    let mount = std::iter::once(mount).map(Some);
    let run = Run {
        mounts: mount.take(run.mounts.len()).collect(),
        op: run,
        options,
        has_epoch: false,
    };
    let key = run.key(definition(&op, None, Manner::default()), Digest::of(below));
    key.unwrap().digest
}

/// A change of what is asked for all RUNs.
type Wish = fn(&mut RunOptions);

#[test]
fn the_key_of_run_covers_what_the_command_notices() {
    let key = |wish: Wish| {
        let mut options = RunOptions::default();
        wish(&mut options);
        run_key("RUN true", &options, source(Vec::new()), b"base")
    };
    let noticed: [Wish; 5] = [
        |options| options.extra_hosts.push(("a".into(), "1.1.1.1".into())),
        |options| options.no_hosts = true,
        |options| options.shm_size = Some(1),
        |options| options.ulimits.push(("nofile".into(), 1, 1)),
        |options| {
            options.volumes.push(Volume {
                source: "/a".into(),
                target: "/b".into(),
                access: VolumeAccess::ReadOnly,
            });
        },
    ];
    for (number, wish) in noticed.into_iter().enumerate() {
        assert_ne!(key(|_| {}), key(wish), "wish {number}");
    }
    let unnoticed: [Wish; 3] = [
        |options| {
            options.secrets.insert("a".into(), Secret::new(vec![1]));
        },
        |options| options.limits.memory = Some(1 << 30),
        |options| options.jobs = Some(1),
    ];
    for (number, wish) in unnoticed.into_iter().enumerate() {
        assert_eq!(key(|_| {}), key(wish), "wish {number}");
    }
}

#[test]
fn the_key_of_run_covers_the_instruction_and_all_files_that_it_sees() {
    let key = |instruction: &str, mount, below| {
        run_key(instruction, &RunOptions::default(), mount, below)
    };
    let plain = |instruction: &str| key(instruction, source(Vec::new()), b"base");
    for other in [
        "RUN false",
        "USER 1\nRUN true",
        "ENV A=b\nRUN true",
        "RUN --network=none true",
        "RUN --mount=type=tmpfs,target=/t true",
    ] {
        assert_ne!(plain("RUN true"), plain(other), "{other}");
    }
    assert_ne!(
        plain("RUN true"),
        key("RUN true", source(Vec::new()), b"other")
    );
    let mounted = "RUN --mount=from=other,source=/dir,target=/t true";
    let mounted = |files: &[&str]| {
        let files = files.iter().map(|path| file(path));
        key(mounted, source(files.collect()), b"base")
    };
    assert_ne!(mounted(&["dir/a"]), mounted(&["dir/b"]));
    assert_eq!(mounted(&["dir/a"]), mounted(&["dir/a", "elsewhere"]));
}

#[test]
fn the_key_of_workdir_covers_the_instruction_and_what_is_below() {
    let key = |instruction: &str, below: &[u8]| {
        let definition = definition(&op(instruction), None, Manner::default());
        make_directory::key(definition, Digest::of(below)).digest
    };
    let plain = key("WORKDIR /a", b"base");
    assert_eq!(plain, key("WORKDIR /a", b"base"));
    assert_ne!(plain, key("WORKDIR /b", b"base"));
    assert_ne!(plain, key("USER 1\nWORKDIR /a", b"base"));
    assert_ne!(plain, key("WORKDIR /a", b"other"));
}

#[test]
fn definitions_cover_the_epoch_and_of_run_the_ids_the_platform_and_the_times() {
    let (run, copy) = (op("RUN true"), op("COPY a b"));
    let of = |op, change: &dyn Fn(&mut Manner)| {
        let mut manner = Manner::default();
        change(&mut manner);
        definition(op, None, manner)
    };
    let (clamped, set) = (Times::Clamped(0), Times::Set(0));
    for op in [&run, &copy] {
        let clamped = of(op, &|manner| manner.times = clamped);
        assert_ne!(of(op, &|_| {}), clamped);
        let is_same = clamped == of(op, &|manner| manner.times = set);
        assert_eq!(is_same, *op == copy);
        let single = of(op, &|manner| manner.single_id = true);
        assert_eq!(single == of(op, &|_| {}), *op == copy);
        let platforms = ["linux/arm/v6", "linux/arm/v7"];
        let platforms = platforms.map(|text| Platform::parse(text).unwrap());
        let on = |platform| definition(op, Some(platform), Manner::default());
        let [one, other] = platforms.each_ref().map(on);
        assert_eq!(one == other, *op == copy);
    }
}
