//! Defaults of flags from a file, `config.json`: flags go before the environment, and that before the file. It is the file that `KILN_CONFIG`
//! names, else `~/.config/kiln/config.json`, else `/etc/kiln/config.json`; docs/config.md is made from the table here. Unaware of what flags mean.

use crate::environment::variable;
use crate::failure::Failure;
use crate::render::Progress;
use crate::units;
use clap::{Arg, Command, ValueEnum};
use kiln_engine::IsolationChoice;
use kiln_oci::Platform;
use kiln_parser::suggest;
use kiln_report::compare::gate::Allowance;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A larger file is not ours.
const LARGEST: u64 = 64 << 10;

/// A default that can be set.
#[derive(Debug)]
pub struct Key {
    /// As the file writes it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The flag, and the commands that have it by that meaning; none are all.
    pub flag: &'static str,
    pub commands: &'static [&'static str],
    /// What goes before the file.
    pub variables: &'static [&'static str],
    /// What counts where nothing is set.
    pub default: &'static str,
    /// How the file says it.
    pub example: &'static str,
    check: fn(&str) -> Result<(), String>,
}

/// All of them.
pub static KEYS: [Key; 11] = [
    Key {
        name: "store",
        about: "The folder of the store",
        flag: "store",
        commands: &[],
        variables: &["KILN_STORE"],
        default: "/var/lib/kiln for root, else ~/.local/share/kiln",
        example: "\"/srv/kiln\"",
        check: |text| {
            let wrong = "is no path from the root; a folder is one that begins with / or ~/";
            demand(text.starts_with('/'), || format!("{text:?} {wrong}"))
        },
    },
    Key {
        name: "progress",
        about: "How progress is shown",
        flag: "progress",
        commands: &[],
        variables: &["KILN_PROGRESS", "BUILDKIT_PROGRESS"],
        default: "auto",
        example: "\"plain\"",
        check: |text| {
            Progress::from_str(text, false).map(drop).map_err(|_| {
                format!(
                    "there is no progress {text:?}: choose auto, plain, tty, json, rawjson or quiet"
                )
            })
        },
    },
    Key {
        name: "platform",
        about: "What `build` builds for, and `pull` pulls",
        flag: "platform",
        commands: &["build", "pull", "shell"],
        variables: &["DOCKER_DEFAULT_PLATFORM"],
        default: "this machine's",
        example: "\"linux/amd64\"",
        check: |text| {
            Platform::parse(text)
                .map(drop)
                .map_err(|error| error.to_string())
        },
    },
    Key {
        name: "network",
        about: "The network of RUN and of containers",
        flag: "network",
        commands: &["build", "run", "shell"],
        variables: &["KILN_NETWORK"],
        default: "default",
        example: "\"private\"",
        check: |text| {
            let known = ["default", "none", "host", "private", "pasta", "slirp4netns"];
            demand(known.contains(&text), || {
                format!("there is no network {text:?}: choose default, none, host or private")
            })
        },
    },
    Key {
        name: "isolation",
        about: "The isolation of RUN and of containers",
        flag: "isolation",
        commands: &["build", "run", "shell"],
        variables: &["KILN_ISOLATION"],
        default: "auto",
        example: "\"namespaces\"",
        check: |text| {
            IsolationChoice::named(text).map(drop).ok_or_else(|| {
                format!("there is no isolation {text:?}: choose auto, namespaces or supervised")
            })
        },
    },
    Key {
        name: "offline",
        about: "Whether the network is not to be used",
        flag: "offline",
        commands: &[],
        variables: &["KILN_OFFLINE"],
        default: "false",
        example: "true",
        check: |text| {
            demand(["true", "false"].contains(&text), || {
                format!("{text:?} is neither true nor false")
            })
        },
    },
    Key {
        name: "max_store_size",
        about: "What the store holds at most, as a size or a part of its disk: builds keep to it, and it is `--max-size` of `prune`",
        flag: "max_size",
        commands: &["prune"],
        variables: &["KILN_MAX_STORE_SIZE"],
        default: "25%, but at least 2GB",
        example: "\"20GB\"",
        check: |text| units::parse_space(text).map(drop),
    },
    Key {
        name: "min_free_space",
        about: "What builds and `prune` leave free on the disk of the store",
        flag: "min_free_space",
        commands: &["prune"],
        variables: &["KILN_MIN_FREE_SPACE"],
        default: "10%",
        example: "\"10GB\"",
        check: |text| units::parse_space(text).map(drop),
    },
    Key {
        name: "reserved_space",
        about: "What builds and `prune` leave of the cache, whatever the other two say",
        flag: "reserved_space",
        commands: &["prune"],
        variables: &["KILN_RESERVED_SPACE"],
        default: "a tenth of max_store_size",
        example: "\"1GB\"",
        check: |text| units::parse_space(text).map(drop),
    },
    Key {
        name: "max_image_size",
        about: "The size above which `compare` fails, its `--max-size`",
        flag: "max_size",
        commands: &["compare"],
        variables: &[],
        default: "none",
        example: "\"500MB\"",
        check: |text| units::parse_bytes(text).map(drop),
    },
    Key {
        name: "max_waste",
        about: "The waste above which `compare` fails, its `--max-waste`",
        flag: "max_waste",
        commands: &["compare"],
        variables: &[],
        default: "none",
        example: "\"5%\"",
        check: |text| Allowance::read(text, units::parse_bytes).map(drop),
    },
];

fn demand(is_so: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    is_so.then_some(()).ok_or_else(wrong)
}

/// What a key is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub text: String,
    /// A variable, or a file and its line.
    pub from: String,
    /// Whether clap does not know of it by itself.
    is_new: bool,
}

impl Value {
    /// Of a flag.
    pub fn of_flag(flag: &str, text: String) -> Self {
        let from = flag.to_owned();
        Value {
            text,
            from,
            is_new: false,
        }
    }
}

/// What is set, by the names of keys.
pub type Values = BTreeMap<&'static str, Value>;

/// What variables and the file say.
///
/// # Errors
/// The file cannot be read or understood, with its line.
pub fn read() -> Result<Values, Failure> {
    let mut values = of_file()?;
    for key in &KEYS {
        let set = key.variables.iter().find_map(|name| {
            let text = variable(name).filter(|text| !text.is_empty())?;
            let is_new = name.starts_with("DOCKER");
            let from = (*name).to_owned();
            Some(Value { text, from, is_new })
        });
        if let Some(value) = set {
            values.insert(key.name, value);
        }
    }
    Ok(values)
}

/// The command line, with what is set as the defaults of its flags.
///
/// # Errors
/// Those of [`read`].
pub fn applied(command: Command) -> Result<Command, Failure> {
    let mut values = read()?;
    values.retain(|_, value| value.is_new);
    Ok(match values.is_empty() {
        true => command,
        false => with(command, &values),
    })
}

fn with(command: Command, values: &Values) -> Command {
    let name = command.get_name().to_owned();
    let set = |flag: Arg| {
        let is_of = |key: &&Key| {
            let is_here = key.commands.is_empty() || key.commands.contains(&name.as_str());
            is_here && key.flag == flag.get_id().as_str()
        };
        let key = KEYS.iter().find(is_of);
        match key.and_then(|key| values.get(key.name)) {
            // clap takes defaults that live as long as it does, which is to the end
            Some(value) => flag.default_value(&*value.text.clone().leak()),
            None => flag,
        }
    };
    command
        .mut_args(set)
        .mut_subcommands(|command| with(command, values))
}

/// The file that counts, whether it says anything or not.
fn file() -> Option<PathBuf> {
    if let Some(named) = variable("KILN_CONFIG") {
        return Some(PathBuf::from(named)).filter(|path| !path.as_os_str().is_empty());
    }
    let folder = |name| variable(name).filter(|path| path.starts_with('/'));
    let own = folder("XDG_CONFIG_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(folder("HOME")?).join(".config")));
    let folders = own.into_iter().chain([PathBuf::from("/etc")]);
    let mut files = folders.map(|folder| folder.join("kiln/config.json"));
    files.find(|file| file.exists())
}

fn of_file() -> Result<Values, Failure> {
    let Some(path) = file() else {
        return Ok(Values::new());
    };
    let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let text = match std::fs::read_to_string(&path) {
        _ if size > LARGEST => Err(std::io::Error::other("it is too large for a configuration")),
        // the home of another user, after su or sudo
        Err(error)
            if error.kind() == ErrorKind::PermissionDenied && variable("KILN_CONFIG").is_none() =>
        {
            return Ok(Values::new());
        }
        read => read,
    };
    let text = text.map_err(|error| Failure::of_file(&path, &error))?;
    parse(&text, &path).map_err(|(line, why)| {
        let help = "docs/config.md lists what it may hold, and `kiln config` shows what counts";
        Failure::usage(format!("{}: line {line}: {why}", path.display())).hint(help)
    })
}

/// What a file says; else a line, and what is wrong with it.
fn parse(text: &str, path: &Path) -> Result<Values, (usize, String)> {
    let wrong = |error: serde_json::Error| {
        let text = error.to_string();
        let why = text.rsplit_once(" at line ").map_or(&*text, |(why, _)| why);
        (error.line().max(1), format!("it is no JSON object: {why}"))
    };
    let written: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(wrong)?;
    let mut values = Values::new();
    for (name, value) in &written {
        let at = value.get().as_ptr() as usize - text.as_ptr() as usize;
        let line = text[..at].matches('\n').count() + 1;
        let (key, text) = setting(name, value.get()).map_err(|why| (line, why))?;
        let from = format!("{}:{line}", path.display());
        values.insert(
            key,
            Value {
                text,
                from,
                is_new: true,
            },
        );
    }
    Ok(values)
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    match suggest::help(name, names.iter().copied()) {
        Some(near) => format!("there is no setting {name:?}: {near}"),
        None => format!(
            "there is no setting {name:?}; there are {}",
            names.join(", ")
        ),
    }
}

/// The key, and its value as a flag takes it.
fn setting(name: &str, json: &str) -> Result<(&'static str, String), String> {
    let key = KEYS.iter().find(|key| key.name == name);
    let key = key.ok_or_else(|| unknown(name))?;
    let text = match serde_json::from_str(json) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => {
            value.to_string()
        }
        _ => {
            return Err(format!(
                "{name} takes one value, as in {name:?}: {}",
                key.example
            ));
        }
    };
    let text = match (text.strip_prefix("~/"), variable("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => text,
    };
    (key.check)(&text).map_err(|why| format!("{name}: {why}"))?;
    Ok((key.name, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn said(text: &str) -> Result<Values, (usize, String)> {
        parse(text, Path::new("c.json"))
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("{\n \"stroe\": \"/x\"}", 2, "did you mean store?"),
            ("{\"colour\": 1}", 1, "there are store, progress"),
            (
                "{\n\n\"progress\": \"loud\"}",
                3,
                "progress: there is no progress \"loud\"",
            ),
            ("{\"platform\":\n\"linux/amd64/v1/v2\"}", 2, "platform: "),
            ("{\"store\": \"here\"}", 1, "begins with / or ~/"),
            (
                "{\"offline\": [true]}",
                1,
                "takes one value, as in \"offline\": true",
            ),
            ("{\"max_waste\": \"much\"}", 1, "max_waste: "),
            (
                "{\n\"store\": \"/x\",\n}",
                3,
                "no JSON object: trailing comma",
            ),
            ("", 1, "no JSON object"),
            ("[]", 1, "no JSON object"),
        ];
        for (text, line, why) in cases {
            let (found, message) = said(text).unwrap_err();
            assert_eq!(found, line, "{text}: {message}");
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn examples_are_read_and_reach_their_flags() {
        let all = KEYS
            .iter()
            .map(|key| format!("{:?}: {}", key.name, key.example));
        let text = format!("{{{}}}", all.collect::<Vec<_>>().join(",\n"));
        let values = said(&text).unwrap();
        assert_eq!(values.len(), KEYS.len());
        assert_eq!(values["progress"].from, "c.json:2");
        let command = with(crate::Arguments::command(), &values);
        let default = |path: &[&str], flag: &str| {
            let find = |command: &Command, name: &&str| command.find_subcommand(name).cloned();
            let command = path
                .iter()
                .try_fold(command.clone(), |command, name| find(&command, name));
            let command = command.unwrap();
            let flag = command
                .get_arguments()
                .find(|arg| arg.get_id() == flag)
                .unwrap();
            flag.get_default_values()
                .iter()
                .map(|value| value.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(default(&[], "store"), ["/srv/kiln"]);
        for build in [&["build"][..], &["image", "build"], &["builder", "build"]] {
            assert_eq!(default(build, "platform"), ["linux/amd64"]);
            assert_eq!(default(build, "network"), ["private"]);
            assert_eq!(default(build, "progress"), ["plain"]);
        }
        assert_eq!(default(&["system", "prune"], "max_size"), ["20GB"]);
        assert_eq!(default(&["compare"], "max_size"), ["500MB"]);
        assert!(default(&["inspect"], "platform").is_empty());
        for key in &KEYS {
            let has =
                |command: &Command| command.get_arguments().any(|arg| arg.get_id() == key.flag);
            let root = crate::Arguments::command();
            let here = root
                .get_subcommands()
                .filter(|command| key.commands.contains(&command.get_name()));
            assert_eq!(
                here.filter(|command| has(command)).count(),
                key.commands.len(),
                "{}",
                key.name
            );
        }
    }

    const HEAD: &str = "\
# Defaults in one file

`config.json` holds defaults of flags, so that they need not be given each time. A flag goes before a variable, and that before the file. kiln
reads the file that `KILN_CONFIG` names, else `~/.config/kiln/config.json` (`XDG_CONFIG_HOME` counts), else `/etc/kiln/config.json`; an empty
`KILN_CONFIG` means no file. What is wrong in it is an error with its line. `kiln config` shows what counts, and where each value comes from.

```json
EXAMPLE
```

All settings are optional. A folder begins with `/` or `~/`. This page is made from the table in `builder/cli/src/settings.rs`;
`UPDATE_GOLDEN=1 cargo test config_page` writes it again.

| setting | what it is | variables | without any |
| --- | --- | --- | --- |
";

    #[test]
    fn config_page() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
        let entries = KEYS
            .iter()
            .map(|key| format!("  {:?}: {}", key.name, key.example));
        let example = format!("{{\n{}\n}}", entries.collect::<Vec<_>>().join(",\n"));
        let mut page = HEAD.replace("EXAMPLE", &example);
        for key in &KEYS {
            let variables: Vec<String> = key
                .variables
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            let cells = [
                format!("`{}`", key.name),
                key.about.to_owned(),
                variables.join(", "),
                key.default.to_owned(),
            ];
            page += &format!("| {} |\n", cells.join(" | "));
        }
        if variable("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "docs/config.md is stale: run the tests with UPDATE_GOLDEN=1"
        );
    }
}
