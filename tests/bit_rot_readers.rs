//! Whoever reads blobs meets each of them with one bit flipped: it fails and names the digest, or gives what it gave before. It never
//! passes the bit on.
//!
//! The seed is told and can be given as `KILN_SEED`; `KILN_NIGHTLY=1` takes every blob five times instead of one blob for each reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::mode::skip;
use crate::support::random::{Random, is_nightly, seed};
use crate::support::registry::{Guard, Registry};
use crate::support::space::TOOLS;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    every_reader_meets_every_blob,
    a_push_meets_every_blob,
}

/// The image `app`; `base` is one that was loaded, with its layer compressed.
const TEXT: &str = "FROM base\nCOPY words /words\nRUN cat /words > /copy\nCOPY more /more\n";
/// For scripts: a build of what standard input says; what is in a folder, by name.
const PRELUDE: &str = "export SOURCE_DATE_EPOCH=1600000000; built() { kiln build -q --pull=never -t built -f - \"$@\" ../context; }
    below() { find \"$1\" -type f | LC_ALL=C sort | while read -r f; do echo \"$f\"; cat \"$f\"; done; }; rm -rf out; ";

/// What reads blobs: a script, whose output is the result. What samples say, as `size` alone shows it, is an estimate and no result.
const READERS: [(&str, &str); 28] = [
    ("export", "kiln export app"),
    ("save", "kiln save app"),
    ("oci-archive", "kiln save --format oci-archive app"),
    ("docker-archive", "kiln save --format docker-archive app"),
    (
        "oci-dir",
        "kiln save --format oci-dir -o out app; below out",
    ),
    ("save gzip", "kiln save --layer-compression gzip app"),
    ("save zstd", "kiln save --layer-compression zstd app"),
    ("save as gzip", "kiln save --compress gzip app"),
    ("save with base", "kiln save --base base app"),
    ("save two", "kiln save app other"),
    ("-o tar", "echo FROM app | built -o -"),
    ("-o oci", "echo FROM app | built -o type=oci"),
    (
        "-o docker",
        "echo FROM app | built -o type=docker,dest=out; cat out",
    ),
    ("-o DIR", "echo FROM app | built -o out; below out"),
    (
        "-o layout",
        "echo FROM app | built -o type=oci,tar=false,dest=out; below out",
    ),
    (
        "squash",
        "printf 'FROM base\\nCOPY words /words\\nLABEL a=b\\nCOPY more /a\\n' | built --squash; kiln save built",
    ),
    (
        "squash all",
        "echo FROM app | built --squash-all; kiln save built",
    ),
    (
        "RUN",
        "printf 'FROM app\\nRUN cat /words /more > /all\\n' | built; kiln export built",
    ),
    (
        "RUN of a mount",
        "printf 'FROM base\\nRUN --mount=from=app,target=/m cat /m/words /m/copy > /all\\n' | built; kiln export built",
    ),
    (
        "COPY --from",
        "printf 'FROM scratch\\nCOPY --from=app /words /more /copy /\\n' | built; kiln export built",
    ),
    (
        "COPY --from all",
        "printf 'FROM scratch\\nCOPY --link --from=app / /all/\\n' | built; kiln export built",
    ),
    (
        "--cache-to",
        "kiln build -q --cache-to type=local,mode=max,dest=out ../context; below out",
    ),
    (
        "--cache-to gzip",
        "kiln build -q --cache-to type=local,mode=max,compression=gzip,dest=out ../context; below out",
    ),
    ("size --exact", "kiln size --exact app"),
    ("diff", "kiln diff base app"),
    ("blame", "kiln blame app /words"),
    ("history", "kiln history --human=false app"),
    ("inspect", "kiln inspect app"),
];

/// The store as it is when nothing is damaged, and the blobs in it.
struct Sound<'a> {
    space: &'a Space,
    blobs: Vec<PathBuf>,
}

/// Why no store can be copied here.
fn lacks(space: &Space) -> Option<&'static str> {
    let has_range = space.mode.is_rootless() && !space.mode.has_one_id();
    has_range.then_some("files of subordinate ids cannot be copied")
}

fn sound(space: &Space) -> Sound<'_> {
    for (name, text) in [("words", "the quick brown fox"), ("more", "the lazy dog")] {
        space.write(name, text.repeat(300));
    }
    let tools = format!("tools=host-tools:{TOOLS}");
    space.write("base.Dockerfile", "FROM tools\n");
    space.write("Dockerfile", TEXT);
    let file = "../context/base.Dockerfile";
    let script = format!(
        "kiln build -q -t base --build-context {tools} -f {file} ../context; kiln save --layer-compression gzip -o base.tar base
         kiln rmi base; kiln prune -a; kiln load -q -i base.tar; kiln tag base other
         kiln build -q -t app ../context; mv store sound"
    );
    space.shell(&format!("{PRELUDE}{script}")).ok();
    let blobs = below(&space.own().join("sound/blobs"));
    Sound { space, blobs }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| {
            if path.is_dir() {
                below(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    found.sort();
    found
}

impl Sound<'_> {
    /// Makes the store as it was, but for one bit of a blob; the hexadecimal digits of its digest.
    fn damage(&self, blob: &Path, random: &mut Random) -> String {
        let name = blob.strip_prefix(self.space.own().join("sound")).unwrap();
        self.restore();
        let path = self.space.store().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = random.index(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        // by another file: the sound store may share this one
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        name.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn restore(&self) {
        let own = self.space.own();
        drop(fs::remove_dir_all(own.join("store")));
        let copied = Command::new("cp")
            .arg("-a")
            .args([own.join("sound"), own.join("store")])
            .status();
        assert!(copied.unwrap().success());
    }

    /// The blobs that a reader meets.
    fn chosen(&self, random: &mut Random) -> Vec<&PathBuf> {
        if is_nightly() {
            return self
                .blobs
                .iter()
                .cycle()
                .take(5 * self.blobs.len())
                .collect();
        }
        vec![&self.blobs[random.index(self.blobs.len())]]
    }
}

/// Whether it told of the damage; else it must have given what it gives without any.
fn is_told(finished: &Finished, digest: &str) -> bool {
    finished.status.code() == Some(3)
        && finished.stderr.contains("damaged")
        && finished.stderr.contains(&digest[..12])
}

fn every_reader_meets_every_blob(space: &Space) {
    if let Some(why) = lacks(space) {
        return skip("bit_rot_readers", space.mode, why);
    }
    let seed = seed("bit rot", space);
    let (random, sound) = (&mut Random::new(seed), sound(space));
    for (name, script) in READERS {
        let read = || space.shell(&format!("{PRELUDE}{script}"));
        sound.restore();
        let expected = read().stdout();
        for blob in sound.chosen(random) {
            let digest = sound.damage(blob, random);
            let read = read().run();
            let told = is_told(&read, &digest);
            let same = read.status.success() && read.stdout == String::from_utf8_lossy(&expected);
            let shown = Finished {
                stdout: String::new(),
                ..read
            };
            assert!(
                told || same,
                "{name} of a damaged {digest} (KILN_SEED={seed}): {shown}"
            );
        }
    }
}

fn a_push_meets_every_blob(space: &Space) {
    if let Some(why) = lacks(space) {
        return skip("bit_rot_readers", space.mode, why);
    }
    let seed = seed("bit rot", space);
    let (random, sound) = (&mut Random::new(seed), sound(space));
    for way in ["", "--compression gzip", "--compression zstd"] {
        let mut expected = None;
        for blob in std::iter::once(None).chain(sound.chosen(random).into_iter().map(Some)) {
            let registry = Registry::start(Guard::Open);
            let name = format!("{}/team/app:1", registry.host);
            sound.restore();
            let digest = blob.map_or(String::new(), |blob| sound.damage(blob, random));
            let pushed = space
                .shell(&format!("kiln tag app {name}; kiln push -q {way} {name}"))
                .run();
            if blob.is_some() && is_told(&pushed, &digest) {
                assert_eq!(registry.count("PUT", "team/app/manifests/"), 0);
                continue;
            }
            assert!(
                pushed.status.success(),
                "{way} of a damaged {digest} (KILN_SEED={seed}): {pushed}"
            );
            assert!(registry.has_what_it_names());
            let manifest = registry.manifest_of("team/app/manifests/1");
            assert_eq!(expected.get_or_insert(manifest.clone()), &manifest);
        }
    }
}
