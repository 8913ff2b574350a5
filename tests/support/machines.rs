//! Stores as machines that share nothing but what a cache carries between them. Unaware of what is cached where.

use std::path::PathBuf;

use serde_json::Value;

use super::registry::Registry;
use super::{Finished, Kiln, Space};

pub const STAGES: &str = "FROM tools AS made\nRUN echo made > /made; echo more > /more\nCOPY word /word\nFROM scratch\nCOPY --from=made /made /made\n";

/// A build on a machine of this name.
pub fn on(space: &Space, machine: &str, text: &str, flags: &[String]) -> Kiln {
    let store = space.own().join(machine);
    space.build(text).args(flags).env("KILN_STORE", store)
}

pub fn id_on(space: &Space, machine: &str) -> String {
    let store = space.own().join(machine);
    let found = space.kiln(["inspect", "app"]).env("KILN_STORE", store).ok();
    let images: Value = serde_json::from_str(&found.stdout).unwrap();
    images[0]["Id"].as_str().unwrap().to_owned()
}

pub fn folder(space: &Space) -> PathBuf {
    space.own().join("cache")
}

pub fn to_folder(space: &Space, more: &str) -> Vec<String> {
    let dest = folder(space).display().to_string();
    vec![
        "--cache-to".to_owned(),
        format!("type=local,dest={dest}{more}"),
    ]
}

pub fn from_folder(space: &Space) -> Vec<String> {
    let src = folder(space).display().to_string();
    vec!["--cache-from".to_owned(), format!("type=local,src={src}")]
}

pub fn in_registry(registry: &Registry, flag: &str, more: &str) -> Vec<String> {
    let text = format!("type=registry,ref={}/cache:main{more}", registry.host);
    vec![flag.to_owned(), text]
}

/// How many steps ran and how many were cached. Taking the host's programs is a step too.
pub fn counts(built: &Finished) -> (usize, usize) {
    let count = |word: &str| {
        let lines = built.stderr.lines().filter(|line| line.starts_with('['));
        lines
            .filter(|line| {
                line.split_once("] ")
                    .is_some_and(|(_, rest)| rest.starts_with(word))
            })
            .count()
    };
    (count("done"), count("cached"))
}

/// Only under this name: `--push` sends all names.
pub fn push_image(space: &Space, text: &str, name: &str) {
    space.build(text).ok();
    space.kiln(["tag", "app", name]).ok();
    space.kiln(["push", "-q", name]).ok();
}
