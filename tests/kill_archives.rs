//! `save`, `load` and `import` are killed at random moments: the store stays whole, a file is there as a whole or not at all, and the
//! same command gives the right result afterwards. Seed and rounds as in `kill_loop`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::kill_loop::kill_at;
use crate::support::random::{Random, often, seed};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    save_killed_at_any_moment,
    load_killed_at_any_moment,
    import_killed_at_any_moment,
}

/// Rounds of each case in each mode.
const ROUNDS: u64 = 16;

/// An image of three layers of some megabytes; its ID.
fn large(space: &Space, random: &mut Random) -> String {
    let mut text = String::from("FROM scratch\n");
    for name in ["one", "two", "three"] {
        let bytes: Vec<u8> = (0..3 << 18)
            .flat_map(|_| (random.below(1 << 31) as u32).to_le_bytes())
            .collect();
        space.write(name, bytes);
        text += &format!("COPY {name} /{name}\n");
    }
    space.build(&text).ok();
    space.id("app")
}

/// How long a command takes that is not killed, in microseconds.
fn duration(command: Kiln) -> u64 {
    let begun = Instant::now();
    command.ok();
    begun.elapsed().max(Duration::from_millis(1)).as_micros() as u64
}

/// The names in the folder where files are written.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn save_killed_at_any_moment(space: &Space) {
    let seed = seed("kill archives", space);
    let mut random = Random::new(seed);
    large(space, &mut random);
    let folder = space.own_folder("own/out");
    let path = folder.join("app.tar");
    let ways = [
        vec![],
        vec!["--layer-compression", "gzip:1"],
        vec!["--compress", "zstd"],
    ];
    let save = |way: &[&str]| space.kiln(["save", "-o"]).arg(&path).args(way).arg("app");
    let wholes: Vec<(Vec<u8>, u64)> = ways
        .iter()
        .map(|way| {
            let took = duration(save(way));
            (fs::read(&path).unwrap(), took)
        })
        .collect();
    for round in 0..often(ROUNDS) {
        let at = random.below(ways.len() as u64) as usize;
        let (whole, took) = &wholes[at];
        let before = (random.below(2) == 0).then_some("what was there before");
        match before {
            Some(text) => fs::write(&path, text).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        if before.is_some() {
            space.give(&path);
        }
        kill_at(
            save(&ways[at]).spawn(),
            random.below(*took),
            round,
            &mut random,
        );
        match (fs::read(&path), before) {
            (Err(_), None) => {}
            (Ok(found), Some(text)) if found == text.as_bytes() => {}
            (found, _) => assert!(found.unwrap() == *whole, "round {round} of seed {seed}"),
        }
        let named: Vec<String> = path
            .exists()
            .then(|| "app.tar".to_owned())
            .into_iter()
            .collect();
        assert_eq!(names(&folder), named, "round {round} of seed {seed}");
        space.is_clean();
        save(&ways[at]).ok();
        assert!(
            fs::read(&path).unwrap() == *whole,
            "round {round} of seed {seed}"
        );
    }
}

fn load_killed_at_any_moment(space: &Space) {
    let seed = seed("kill archives", space);
    let mut random = Random::new(seed);
    let id = large(space, &mut random);
    let plain = space.save(&["app"], "plain.tar");
    let small = space.save(&["--layer-compression", "gzip:1", "app"], "small.tar");
    let piped = space.save(&["--compress", "gzip", "app"], "piped.tar");
    let load = |archive: &PathBuf| {
        let load = space.in_store("other", &["load"]);
        if *archive == piped {
            load.stdin(fs::read(archive).unwrap())
        } else {
            load.arg("-i").arg(archive)
        }
    };
    let archives = [&plain, &small, &piped];
    let took = archives.map(|archive| {
        drop(fs::remove_dir_all(space.own().join("other")));
        duration(load(archive))
    });
    for round in 0..often(ROUNDS) {
        // else what is left of the round before is gone on with
        if random.below(3) > 0 {
            drop(fs::remove_dir_all(space.own().join("other")));
        }
        let at = random.below(archives.len() as u64) as usize;
        kill_at(
            load(archives[at]).spawn(),
            random.below(took[at]),
            round,
            &mut random,
        );
        let fsck = space.in_store("other", &["fsck"]).ok();
        assert_eq!(fsck.stdout, "clean\n", "round {round} of seed {seed}");
        // an image that shows is whole
        let seen = space.in_store("other", &["images", "-q"]).ok().stdout;
        if let Some(seen) = seen.lines().next() {
            space
                .in_store("other", &["export", seen, "-o", "/dev/null"])
                .ok();
        }
        assert_eq!(load(archives[at]).ok().stdout, "Loaded image: app:latest\n");
        let found = space
            .in_store("other", &["inspect", "-f", "{{.Id}}", "app"])
            .ok();
        assert_eq!(found.stdout.trim(), id, "round {round} of seed {seed}");
        let fsck = space.in_store("other", &["fsck"]).ok();
        assert_eq!(fsck.stdout, "clean\n", "round {round} of seed {seed}");
    }
}

fn import_killed_at_any_moment(space: &Space) {
    let seed = seed("kill archives", space);
    let mut random = Random::new(seed);
    large(space, &mut random);
    let tar = space.own().join("root.tar");
    space.kiln(["export", "app", "-o"]).arg(&tar).ok();
    let folder = space.context();
    let import = |source: &Path| space.in_store("other", &["import"]).arg(source).arg("base");
    let layers = || {
        let template = ["inspect", "-f", "{{.RootFS.Layers}}", "base"];
        space.in_store("other", &template).ok().stdout
    };
    let sources = [tar.as_path(), folder.as_path()];
    let expected = sources.map(|source| {
        let took = duration(import(source));
        (took, layers())
    });
    for round in 0..often(ROUNDS) {
        if random.below(3) > 0 {
            drop(fs::remove_dir_all(space.own().join("other")));
        }
        let at = random.below(2) as usize;
        let (took, layers_then) = &expected[at];
        kill_at(
            import(sources[at]).spawn(),
            random.below(*took),
            round,
            &mut random,
        );
        let fsck = space.in_store("other", &["fsck"]).ok();
        assert_eq!(fsck.stdout, "clean\n", "round {round} of seed {seed}");
        import(sources[at]).ok();
        assert_eq!(layers(), *layers_then, "round {round} of seed {seed}");
    }
    space.in_store("other", &["prune"]).ok();
    let fsck = space.in_store("other", &["fsck"]).ok();
    assert_eq!(fsck.stdout, "clean\n", "seed {seed}");
}
