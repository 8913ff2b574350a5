//! Flags that other engines have and kiln does not need: each is answered, none is ignored silently. One that cannot change the result
//! is accepted with a warning; one that would is refused, with what to do instead. Each command that has such flags has a table of them.
//!
//! Sources of that of builds: `docker build` and `docker buildx build`, `buildah build` and `podman build`, kaniko's executor.

/// `"name" 'short' takes answer;` The id keeps a flag apart from kiln's own arguments, of which one may have the same name.
macro_rules! flags_of_others {
    ($($name:literal $($short:literal)? $takes:ident $answer:expr;)*) => {
        /// All of them.
        pub(super) const TABLE: &[$crate::flag::foreign::Foreign] = &[$($crate::flag::foreign::Foreign {
            id: concat!("foreign ", $name),
            name: $name,
            short: [$(Some($short),)? None][0],
            takes: $crate::pflag::Takes::$takes,
            answer: $answer,
        }),*];
    };
}
pub(crate) use flags_of_others;

mod table;

use super::Flag;
use crate::failure::Failure;
use crate::pflag::{self, Takes};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kiln_engine::Request;
use std::marker::PhantomData;
use table::TABLE;

/// What becomes of a flag.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Warned about; the text says why it changes nothing.
    Accept(&'static str),
    /// An error; the text says what to do instead.
    Refuse(&'static str),
    /// Accepted without a word when it switches something off, else as [`Answer::Refuse`].
    Off(&'static str),
    /// The same, but only one that demands more than docker gives by itself (`mode=max`) is refused; others are warned about once.
    Wish(&'static str),
}
use Answer::{Accept, Off, Refuse, Wish};

/// A flag of another engine.
#[derive(Debug)]
pub struct Foreign {
    pub id: &'static str,
    pub name: &'static str,
    pub short: Option<char>,
    pub takes: Takes,
    pub answer: Answer,
}

/// Whose flags they are.
pub trait Table {
    /// All of them.
    const TABLE: &'static [Foreign];
}

/// Of builds.
#[derive(Debug)]
pub struct OfBuilds;

impl Table for OfBuilds {
    const TABLE: &'static [Foreign] = TABLE;
}

/// The answer to a flag and its text, for the pages about other engines.
#[cfg(test)]
pub(super) fn answer(name: &str) -> Option<(&'static str, &'static str)> {
    let flag = TABLE.iter().find(|flag| flag.name == name)?;
    Some(match flag.answer {
        Accept(text) => ("accepted, no effect", text),
        Refuse(text) => ("refused", text),
        Off(text) => ("refused, except `=false`", text),
        Wish(text) => ("accepted with a warning, except `mode=max`", text),
    })
}

/// Spelling, answer and text of each, sorted: for the reference.
#[cfg(test)]
pub(super) fn answers() -> Vec<(String, &'static str, &'static str)> {
    let spelled = |flag: &Foreign| {
        let short = flag.short.map(|short| format!("-{short}, "));
        let value = if flag.takes == Takes::Switch {
            ""
        } else {
            " VALUE"
        };
        format!("{}--{}{value}", short.unwrap_or_default(), flag.name)
    };
    let answer = |flag: &Foreign| match flag.answer {
        Accept(text) => (spelled(flag), "accepted", text),
        Refuse(text) => (spelled(flag), "refused", text),
        Off(text) => (spelled(flag), "off", text),
        Wish(text) => (spelled(flag), "accepted, except mode=max", text),
    };
    let mut all: Vec<_> = TABLE.iter().map(answer).collect();
    all.sort_by(|a, b| a.0.trim_start_matches('-').cmp(b.0.trim_start_matches('-')));
    all
}

/// Those of a table that were given, with their values.
#[derive(Debug)]
pub struct Given<T>(Vec<(usize, String)>, PhantomData<T>);

/// Those of builds.
pub type Flags = Given<OfBuilds>;

impl<T: Table> Flag for Given<T> {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for (number, value) in &self.0 {
            let Foreign { name, answer, .. } = &T::TABLE[*number];
            match *answer {
                Accept(why) => request
                    .notices
                    .push(format!("--{name} has no effect: {why}")),
                Off(_) | Wish(_) if is_off(value) => {}
                Wish(why) if !is_demand(value) => {
                    let notice = format!("no attestations are attached: {why}");
                    if !request.notices.contains(&notice) {
                        request.notices.push(notice);
                    }
                }
                Refuse(instead) | Off(instead) | Wish(instead) => {
                    return Err(Failure::usage(format!("--{name} is not supported")).hint(instead));
                }
            }
        }
        Ok(())
    }
}

/// `--provenance=false`, `--attest type=sbom,disabled=true`, `--restart no`.
fn is_off(value: &str) -> bool {
    let is_disabled = |part: &str| {
        let value = part.strip_prefix("disabled=");
        value.and_then(pflag::boolean) == Some(true)
    };
    pflag::boolean(value) == Some(false) || value == "no" || value.split(',').any(is_disabled)
}

/// `--provenance=mode=max`: who says so relies on it.
fn is_demand(value: &str) -> bool {
    value == "max" || value.split(',').any(|part| part == "mode=max")
}

impl<T: Table> clap::Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        T::TABLE.iter().fold(command, |command, flag| {
            let argument = Arg::new(flag.id)
                .long(flag.name)
                .short(flag.short)
                .hide(true)
                .add(flag.takes);
            command.arg(match flag.takes {
                Takes::Switch => argument
                    .value_parser(value_parser!(bool))
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
                Takes::List => argument.action(ArgAction::Append),
                _ => argument,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Table> clap::FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for (number, flag) in T::TABLE.iter().enumerate() {
            let values = matches.get_raw(flag.id).into_iter().flatten();
            given.extend(values.map(|value| (number, value.to_string_lossy().into_owned())));
        }
        Ok(Given(given, PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
