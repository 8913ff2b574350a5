//! kiln as docker's plugin `docker-buildx`: `docker build`, `docker buildx …` and `docker builder …` start the program of that name in a
//! folder of plugins, with docker's own flags before the verb ("CLI plugins" in docker/cli, 23 and newer). Unaware of what the verbs do.
//!
//! It is told by the name that it is started under. Called without docker, the first word is the verb: compose and CI actions do that.

use crate::environment::variable;
use crate::failure::Failure;
use clap::error::{ContextKind, ContextValue};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

/// The plugin's name.
pub const NAME: &str = "docker-buildx";
/// The name that `aliases.builder` in docker's config.json may give: docker before 23 hands over `docker build` by nothing else.
pub const ALIAS: &str = "docker-kiln";
/// The level of buildx that kiln answers like. CI actions and compose read it, and leave out what is newer.
pub const LEVEL: &str = "v0.30.1";
/// The question that docker asks first.
const METADATA: &[u8] = b"docker-cli-plugin-metadata";
/// docker's flags before a verb that take a value.
const VALUED: [&str; 7] = [
    "--config",
    "--context",
    "--host",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];
/// docker's exit code for flags that it does not understand.
const WRONG_FLAG: u8 = 125;
const VALUED_SHORT: [u8; 3] = *b"cHl";

static IS_ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether this process is the plugin: what is built goes to docker then.
pub fn is_active() -> bool {
    IS_ACTIVE.load(Ordering::Relaxed)
}

/// What docker wants to know of a plugin.
pub fn metadata() -> String {
    let metadata = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "kiln",
        "Version": LEVEL,
        "ShortDescription": "kiln: builds without a daemon",
    });
    metadata.to_string()
}

/// Whether docker asks for [`metadata`].
pub fn is_asked(words: &[OsString]) -> bool {
    is_plugin(words) && words.get(1).is_some_and(|word| word.as_bytes() == METADATA)
}

/// buildx's exit code for what is kiln's: all that fails is 1.
pub fn exit_code(code: u8) -> u8 {
    match code {
        2..=4 if is_active() => 1,
        code => code,
    }
}

/// What became of a wrong command line: docker has an exit code of its own for flags.
pub fn of_line(failure: Failure, error: &clap::Error) -> Failure {
    let of_flag = |value: &ContextValue| value.to_string().starts_with('-');
    match error.get(ContextKind::InvalidArg).is_some_and(of_flag) {
        true if is_active() => failure.exits_with(WRONG_FLAG),
        _ => failure,
    }
}

/// The command line as kiln's own, where this is the plugin.
pub fn line(words: Vec<OsString>) -> Vec<OsString> {
    if !is_plugin(&words) {
        return words;
    }
    IS_ACTIVE.store(true, Ordering::Relaxed);
    rewritten(words)
}

fn is_plugin(words: &[OsString]) -> bool {
    let name = words.first().map(|word| Path::new(word).file_name());
    let is = |known: &str| name.flatten() == Some(OsStr::new(known));
    is(NAME) || is(ALIAS)
}

/// Only docker says the plugin's name, `buildx` or `kiln`, before the verb, and its help comes as a verb; kiln builds by its own `build`.
fn rewritten(mut words: Vec<OsString>) -> Vec<OsString> {
    words[0] = "kiln".into();
    let at = verb(&words);
    let is = |words: &[OsString], at: usize, word: &str| {
        words.get(at).is_some_and(|given| given == word)
    };
    let mut wants_help = false;
    for word in ["help", "buildx", "kiln", "help"] {
        if is(&words, at, word) {
            words.remove(at);
            wants_help |= word == "help";
        }
    }
    let at = own_flags(&mut words, at);
    if !is(&words, at, "build") {
        words.insert(at, "buildx".into());
    }
    if wants_help || words.len() == at + 1 && words[at] == "buildx" {
        words.push("--help".into());
    }
    words
}

/// buildx's own flags before its verb: all builders are the same one, and debugging is docker's flag too. Where the verb is then.
fn own_flags(words: &mut Vec<OsString>, mut at: usize) -> usize {
    while let Some(word) = words.get(at).map(|word| word.as_bytes()) {
        match word {
            b"-D" | b"--debug" => at += 1,
            b"--builder" => drop(words.drain(at..words.len().min(at + 2))),
            word if word.starts_with(b"--builder=") => drop(words.remove(at)),
            _ => break,
        }
    }
    at
}

/// Where the first word is that is no flag of docker's.
fn verb(words: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(word) = words.get(at).map(|word| word.as_bytes()) {
        let takes_next = VALUED.iter().any(|flag| flag.as_bytes() == word)
            || matches!(word, [b'-', short] if VALUED_SHORT.contains(short));
        match word.first() {
            Some(b'-') if word != b"--help" && word != b"-h" => at += 1 + usize::from(takes_next),
            _ => break,
        }
    }
    at.min(words.len())
}

/// Without a terminal docker sends no signal to a plugin: it closes a socket, which means that the user asked to stop. Called where signals are
/// heard too: a thread before that would keep the process out of new namespaces.
pub fn watch() {
    let name = variable("DOCKER_CLI_PLUGIN_SOCKET").filter(|_| is_active());
    let Some(name) = name else {
        return;
    };
    let wait = move || {
        let address = SocketAddr::from_abstract_name(name.trim_start_matches('@'));
        let connected = address.and_then(|address| UnixStream::connect_addr(&address));
        // an old docker has no such socket, or it is closed already
        let Ok(mut docker) = connected else {
            return;
        };
        while docker.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        let _ = kill_process(getpid(), Signal::INT);
    };
    // without a thread it cannot be stopped so, and that is all
    let _ = Builder::new().name("docker".to_owned()).spawn(wait);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let words: Vec<_> = rewritten(words)
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_verb_is_found_behind_any_flags_of_docker() {
        let cases = [
            ("docker-buildx buildx build .", "kiln build ."),
            ("docker-buildx build -H x .", "kiln build -H x ."),
            (
                "docker-buildx -H x -D -l error --config=C buildx build -D .",
                "kiln -H x -D -l error --config=C build -D .",
            ),
            (
                "docker-buildx --context foo buildx ls",
                "kiln --context foo buildx ls",
            ),
            ("docker-buildx bake --print", "kiln buildx bake --print"),
            ("docker-kiln kiln build .", "kiln build ."),
            ("docker-buildx", "kiln buildx --help"),
            ("docker-buildx -D buildx", "kiln -D buildx --help"),
            ("docker-buildx help buildx build", "kiln build --help"),
            ("docker-buildx buildx help build", "kiln build --help"),
            ("docker-buildx buildx --help", "kiln buildx --help"),
            (
                "docker-buildx buildx --builder b -D build .",
                "kiln -D build .",
            ),
            ("docker-buildx buildx --builder=b ls", "kiln buildx ls"),
        ];
        for (line, expected) in cases {
            assert_eq!(of(line), expected);
        }
    }
}
