//! What a line says that is not whole yet: its command, the values of its flags, and what stands at its end. Unaware of what may stand there.

use crate::pflag::{self, Takes};
use clap::{Arg, Command};
use std::collections::BTreeMap;

/// What stands at the end of a line.
#[derive(Debug)]
pub(super) enum Cursor<'a> {
    /// The value of a flag; `before` is what belongs to the same word.
    Value {
        flag: &'a Arg,
        before: String,
        begin: String,
    },
    /// A flag.
    Flag { begin: String },
    /// A command or an argument.
    Word { begin: String },
}

impl<'a> Cursor<'a> {
    fn value(flag: &'a Arg, before: &str, begin: &str) -> Self {
        Cursor::Value {
            flag,
            before: before.to_owned(),
            begin: begin.to_owned(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The command and those that it is part of, outermost first.
    pub commands: Vec<&'a Command>,
    /// The last value of each flag, by the flag's id.
    pub values: BTreeMap<&'a str, String>,
    /// The arguments, in order.
    pub arguments: Vec<String>,
    /// What stands at the end.
    pub cursor: Cursor<'a>,
    /// The flag that waits for its value.
    open: Option<&'a Arg>,
    /// All that follows is an argument.
    is_plain: bool,
}

impl<'a> Line<'a> {
    /// Reads the words behind `kiln`. The last one is at the cursor.
    pub fn read(root: &'a Command, words: &[String]) -> Self {
        let mut line = Line {
            commands: vec![root],
            values: BTreeMap::new(),
            arguments: Vec::new(),
            cursor: Cursor::Word {
                begin: String::new(),
            },
            open: None,
            is_plain: false,
        };
        let (last, words) = words
            .split_last()
            .map_or(("", words), |(last, words)| (last.as_str(), words));
        words.iter().for_each(|word| line.take(word));
        line.cursor = line.at(last);
        line
    }

    /// The command.
    pub fn command(&self) -> &'a Command {
        // the root is always there
        self.commands[self.commands.len() - 1]
    }

    /// Whether the command has this name.
    pub fn is_of(&self, name: &str) -> bool {
        self.command().get_name() == name
    }

    /// The argument that would come next.
    pub fn argument(&self) -> Option<&'a Arg> {
        let mut all = self.command().get_positionals();
        let is_many = |argument: &&Arg| {
            argument.get_action().takes_values()
                && matches!(argument.get_action(), clap::ArgAction::Append)
        };
        let last = self.command().get_positionals().last().filter(is_many);
        all.nth(self.arguments.len()).or(last)
    }

    fn flag(&self, is_named: impl Fn(&&'a Arg) -> bool) -> Option<(&'a Arg, bool)> {
        let flag = pflag::flags(&self.commands).find(is_named)?;
        Some((flag, Takes::of(flag)?.needs_value()))
    }

    /// A word that is whole.
    fn take(&mut self, word: &str) {
        if let Some(flag) = self.open.take() {
            self.values.insert(flag.get_id().as_str(), word.to_owned());
        } else if self.is_plain {
            self.arguments.push(word.to_owned());
        } else if word == "--" {
            self.is_plain = true;
        } else if let Some(flag) = word.strip_prefix("--") {
            self.long(flag);
        } else if let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) {
            self.short(flags);
        } else if let Some(command) = self.command().find_subcommand(word) {
            self.commands.push(command);
        } else {
            self.arguments.push(word.to_owned());
        }
    }

    fn long(&mut self, word: &str) {
        let (name, value) = word
            .split_once('=')
            .map_or((word, None), |(name, value)| (name, Some(value)));
        match (
            self.flag(|flag| pflag::is_called(flag, name.as_bytes())),
            value,
        ) {
            (Some((flag, _)), Some(value)) => {
                self.values.insert(flag.get_id().as_str(), value.to_owned());
            }
            (Some((flag, true)), None) => self.open = Some(flag),
            _ => {}
        }
    }

    fn short(&mut self, flags: &str) {
        for (place, short) in flags.char_indices() {
            let Some((flag, needs_value)) = self.flag(|flag| flag.get_short() == Some(short))
            else {
                return;
            };
            let rest = &flags[place + short.len_utf8()..];
            match needs_value {
                true if rest.is_empty() => self.open = Some(flag),
                true => {
                    let value = rest.strip_prefix('=').unwrap_or(rest);
                    self.values.insert(flag.get_id().as_str(), value.to_owned());
                    return;
                }
                false => {}
            }
        }
    }

    /// The word at the end.
    fn at(&mut self, word: &str) -> Cursor<'a> {
        if let Some(flag) = self.open.take() {
            return Cursor::value(flag, "", word);
        }
        let begin = word.to_owned();
        if self.is_plain || !word.starts_with('-') {
            return Cursor::Word { begin };
        }
        let named = word.strip_prefix("--");
        let named = named.and_then(|word| word.split_once('='));
        let known = named.and_then(|(name, value)| {
            let (flag, _) = self.flag(|flag| pflag::is_called(flag, name.as_bytes()))?;
            Some(Cursor::value(flag, &format!("--{name}="), value))
        });
        known.unwrap_or(Cursor::Flag { begin })
    }
}
