//! The command line by pflag's rules, which docker, buildah, podman and kaniko share, in one place for all flags of all commands: a switch
//! takes `=true` and `=false`; of a flag with one value the last counts, and an empty one is none; a value may begin with a dash; short
//! flags may stand together. The line is written anew in the one way that needs no rules: `--name=value`, each single flag once.
//! The kind of a flag follows from its declaration: `bool` is a switch, `Option` has one value, `Vec` is a list. Unaware of what flags mean.

#[cfg(test)]
mod tests;

use crate::failure::Failure;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Lists of which docker takes an empty element for a mistake. Of others it means nothing.
const NEVER_EMPTY: [&str; 9] = [
    "build-arg",
    "destination",
    "env",
    "label",
    "platform",
    "resource",
    "tag",
    "ulimit",
    "volume",
];

/// How often a flag counts, and what its value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On or off.
    Switch,
    /// One value, which `--name` alone does not give.
    Optional,
    /// One value.
    Single,
    /// One number, which cannot be empty.
    Number,
    /// A value each time.
    List,
    /// As a list, without empty values.
    StrictList,
}

impl Kind {
    /// The kind of a flag; none for `--help` and `--version`.
    pub fn of(flag: &Arg) -> Option<Kind> {
        let is_optional = flag
            .get_num_args()
            .is_some_and(|count| count.min_values() == 0);
        let name = flag.get_long().unwrap_or_default();
        match flag.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Some(Kind::Switch),
            ArgAction::Set if is_optional && holds::<bool>(flag.get_value_parser()) => {
                Some(Kind::Switch)
            }
            ArgAction::Set if is_optional => Some(Kind::Optional),
            ArgAction::Set if is_number(flag.get_value_parser()) => Some(Kind::Number),
            ArgAction::Set => Some(Kind::Single),
            ArgAction::Append if NEVER_EMPTY.contains(&name) => Some(Kind::StrictList),
            ArgAction::Append => Some(Kind::List),
            _ => None,
        }
    }

    /// Whether `--name` takes the next argument as its value.
    fn needs_value(self) -> bool {
        !matches!(self, Kind::Switch | Kind::Optional)
    }
}

fn holds<T: 'static>(parser: &ValueParser) -> bool {
    parser.type_id() == TypeId::of::<T>()
}

fn is_number(parser: &ValueParser) -> bool {
    holds::<u32>(parser) || holds::<u64>(parser) || holds::<i64>(parser)
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
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
        let is_named = |flag: &&Arg| {
            let names = flag.get_long().into_iter();
            let mut names = names.chain(flag.get_all_aliases().unwrap_or_default());
            names.any(|known| known.as_bytes() == name)
        };
        let Some((flag, kind)) = self.find(is_named) else {
            self.line.push(Some(joined(&[b"--", text])));
            return Ok(());
        };
        let value = match value {
            Some(value) => Some(value.to_vec()),
            None if kind.needs_value() => rest.next().map(OsString::into_vec),
            None => None,
        };
        self.say(flag, kind, value)
    }

    /// `-abc`, `-avalue`, `-a=value` or `-a value`.
    fn short(
        &mut self,
        mut text: &[u8],
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Failure> {
        while let [short, after @ ..] = text {
            let is_named = |flag: &&Arg| flag.get_short() == Some(char::from(*short));
            let Some((flag, kind)) = self.find(is_named) else {
                self.line.push(Some(joined(&[b"-", text])));
                return Ok(());
            };
            let value = match after {
                [b'=', value @ ..] => Some(value.to_vec()),
                _ if !kind.needs_value() => None,
                [] => rest.next().map(OsString::into_vec),
                value => Some(value.to_vec()),
            };
            let is_next_short = !after.is_empty() && value.is_none();
            self.say(flag, kind, value)?;
            text = if is_next_short { after } else { &[] };
        }
        Ok(())
    }

    /// A flag of the command, or one that all commands below another have.
    fn find(&self, is_named: impl Fn(&&Arg) -> bool) -> Option<(&'a Arg, Kind)> {
        let (own, outer) = self.commands.split_last()?;
        let global = outer
            .iter()
            .flat_map(|command| command.get_arguments().filter(|flag| flag.is_global_set()));
        let flag = own.get_arguments().chain(global).find(is_named)?;
        Some((flag, Kind::of(flag)?))
    }

    /// Writes the flag, in the place of what the line said of it before if it counts once.
    fn say(&mut self, flag: &'a Arg, kind: Kind, value: Option<Vec<u8>>) -> Result<(), Failure> {
        let name = flag.get_long().unwrap_or_default();
        let said = match (kind, &value) {
            (Kind::Switch, _) => switched(flag, value.as_deref())?,
            (Kind::Single | Kind::List, Some(value)) if value.is_empty() => None,
            (_, Some(value)) => Some(joined(&[b"--", name.as_bytes(), b"=", value])),
            (_, None) => Some(joined(&[b"--", name.as_bytes()])),
        };
        if !matches!(kind, Kind::List | Kind::StrictList) {
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
