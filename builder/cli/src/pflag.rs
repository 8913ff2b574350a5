//! The command line by pflag's rules, which docker, buildah, podman and kaniko share, in one place for all flags of all commands: a switch
//! takes `=true` and `=false`; of a flag with one value the last counts, and an empty one counts as not given; a value may begin with a dash; short
//! flags may stand together. The line is written anew in the one way that needs no rules: `--name=value`, each single flag once.
//! A flag says what it takes where it is declared: `#[arg(long, add = Takes::List)]`. Unaware of what flags mean.

#[cfg(test)]
mod tests;

use crate::failure::Failure;
use clap::builder::ArgExt;
use clap::{Arg, ArgAction, Command};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a flag takes, and how often it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or whether it is on.
    Switch,
    /// One value, but only behind a `=`: `--name` alone stands for a default.
    Optional,
    /// One value; an empty one counts as not given.
    Single,
    /// One number, which cannot be empty.
    Number,
    /// One value, of which an empty one is one too.
    Verbatim,
    /// A value each time; an empty one means nothing.
    List,
    /// A value each time; docker takes an empty one for a mistake, and the flag complains about it.
    StrictList,
    /// No flag but the first word, with all that follows it as it is written: the command line of another program.
    Rest,
}

impl ArgExt for Takes {}

impl Takes {
    /// What a flag says; none for `--help` and `--version`, which are clap's.
    pub fn of(flag: &Arg) -> Option<Takes> {
        flag.get::<Takes>().copied()
    }

    /// Whether `--name` takes the next argument as its value.
    pub fn needs_value(self) -> bool {
        !matches!(self, Takes::Switch | Takes::Optional)
    }
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The flags of a command, and those that all commands below another have. `commands` is the command and those that it is part of,
/// outermost first.
pub fn flags<'a>(commands: &[&'a Command]) -> impl Iterator<Item = &'a Arg> + use<'a> {
    let outer = &commands[..commands.len().saturating_sub(1)];
    let global = outer.iter().flat_map(|command| command.get_arguments());
    let global: Vec<&Arg> = global.filter(|flag| flag.is_global_set()).collect();
    let own = commands.last().copied().into_iter();
    own.flat_map(|command| command.get_arguments())
        .chain(global)
}

/// Whether a flag has this long name, or had it in another engine.
pub fn is_called(flag: &Arg, name: &[u8]) -> bool {
    let names = flag.get_long().into_iter();
    let mut names = names.chain(flag.get_all_aliases().unwrap_or_default());
    names.any(|known| known.as_bytes() == name)
}

/// Writes the command line of `command` anew. What it does not know stays as it is, for clap to complain about.
///
/// # Errors
/// When the value of a switch is neither true nor false.
pub fn read(
    command: &Command,
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<Vec<OsString>, Failure> {
    let mut reader = Reader {
        commands: vec![command],
        line: arguments.next().map(Some).into_iter().collect(),
        said: BTreeMap::new(),
    };
    while let Some(argument) = arguments.next() {
        match argument.as_bytes() {
            b"--" => {
                reader.line.push(Some(argument));
                break;
            }
            [b'-', b'-', name @ ..] => reader.long(name, &mut arguments)?,
            [b'-', shorts @ ..] if !shorts.is_empty() => reader.short(shorts, &mut arguments)?,
            _ if reader.begins_rest(&argument) => {
                reader.line.extend([Some("--".into()), Some(argument)]);
                break;
            }
            _ => reader.word(argument),
        }
    }
    let line = reader.line.into_iter().flatten();
    Ok(line.chain(arguments).collect())
}

/// The line so far.
struct Reader<'a> {
    /// The command and those that it is part of, outermost first.
    commands: Vec<&'a Command>,
    line: Vec<Option<OsString>>,
    /// Where each flag that counts once stands.
    said: BTreeMap<&'a str, usize>,
}

impl<'a> Reader<'a> {
    /// Whether no word after this one is kiln's own.
    fn begins_rest(&self, word: &OsString) -> bool {
        self.commands.last().is_some_and(|command| {
            let mut words = command.get_positionals();
            let is_command = word.to_str().map(|word| command.find_subcommand(word));
            words.any(|word| Takes::of(word) == Some(Takes::Rest)) && is_command.flatten().is_none()
        })
    }

    /// A word is the name of a command where there are some, else an argument.
    fn word(&mut self, word: OsString) {
        let command = self.commands.last().and_then(|command| {
            let name = word.to_str()?;
            command.find_subcommand(name)
        });
        self.commands.extend(command);
        self.line.push(Some(word));
    }

    /// `--name`, `--name=value` or `--name value`.
    fn long(
        &mut self,
        text: &[u8],
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Failure> {
        let (name, value) = match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let Some((flag, takes)) = self.find(|flag| is_called(flag, name)) else {
            self.line.push(Some(joined(&[b"--", text])));
            return Ok(());
        };
        let value = match value {
            Some(value) => Some(value.to_vec()),
            None if takes.needs_value() => rest.next().map(OsString::into_vec),
            None => None,
        };
        self.say(flag, takes, value)
    }

    /// `-abc`, `-avalue`, `-a=value` or `-a value`.
    fn short(
        &mut self,
        mut text: &[u8],
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Failure> {
        while let [short, after @ ..] = text {
            let is_named = |flag: &&Arg| flag.get_short() == Some(char::from(*short));
            let Some((flag, takes)) = self.find(is_named) else {
                self.line.push(Some(joined(&[b"-", text])));
                return Ok(());
            };
            let value = match after {
                [b'=', value @ ..] => Some(value.to_vec()),
                _ if !takes.needs_value() => None,
                [] => rest.next().map(OsString::into_vec),
                value => Some(value.to_vec()),
            };
            let is_next_short = !after.is_empty() && value.is_none();
            self.say(flag, takes, value)?;
            text = if is_next_short { after } else { &[] };
        }
        Ok(())
    }

    fn find(&self, is_named: impl Fn(&&Arg) -> bool) -> Option<(&'a Arg, Takes)> {
        let flag = flags(&self.commands).find(is_named)?;
        Some((flag, Takes::of(flag)?))
    }

    /// Writes the flag, in the place of what the line said of it before if it counts once.
    fn say(&mut self, flag: &'a Arg, takes: Takes, value: Option<Vec<u8>>) -> Result<(), Failure> {
        let name = flag.get_long().unwrap_or_default();
        let said = match (takes, &value) {
            (Takes::Switch, _) => switched(flag, value.as_deref())?,
            (Takes::Single | Takes::List, Some(value)) if value.is_empty() => None,
            (_, Some(value)) => Some(joined(&[b"--", name.as_bytes(), b"=", value])),
            (_, None) => Some(joined(&[b"--", name.as_bytes()])),
        };
        if !matches!(takes, Takes::List | Takes::StrictList) {
            let before = self.said.insert(name, self.line.len());
            if let Some(line) = before.and_then(|before| self.line.get_mut(before)) {
                *line = None;
            }
        }
        self.line.push(said);
        Ok(())
    }
}

/// A switch that is as it is anyway says nothing, unless the environment may have set it.
fn switched(flag: &Arg, value: Option<&[u8]>) -> Result<Option<OsString>, Failure> {
    let name = flag.get_long().unwrap_or_default();
    let text = value.map_or("true".into(), String::from_utf8_lossy);
    let is_on = boolean(&text).ok_or_else(|| {
        let wrong = format!("--{name}={text}: {text:?} is neither true nor false");
        Failure::usage(wrong).hint(format!("write --{name} or --{name}=false"))
    })?;
    Ok(match (flag.get_action(), is_on) {
        (ArgAction::SetTrue, true) | (ArgAction::SetFalse, false) => {
            Some(format!("--{name}").into())
        }
        (ArgAction::SetTrue | ArgAction::SetFalse, _) => None,
        (_, is_on) => Some(format!("--{name}={is_on}").into()),
    })
}

fn joined(parts: &[&[u8]]) -> OsString {
    OsString::from_vec(parts.concat())
}
