//! Flags of `kiln build` whose help speaks of a container here, and not of RUN. Unaware of which they are.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// What the help says of a build, and what of a container.
const WORDS: [(&str, &str); 7] = [
    ("; its content does not affect the cache", ""),
    (
        "(nothing weaker runs, and no result of anything weaker is used)",
        "(nothing weaker)",
    ),
    ("each RUN", "the container"),
    ("every RUN", "the container"),
    ("RUNs", "containers"),
    ("RUN", "the container"),
    (
        "Print only the result: its name or its ID",
        "Do not show how an image is pulled",
    ),
];

/// See the module.
#[derive(Debug)]
pub struct OfBuild<F>(pub F);

impl<F: Args> Args for OfBuild<F> {
    fn augment_args(command: Command) -> Command {
        let family = F::augment_args(Command::default());
        let flags = family.get_arguments().cloned();
        flags.fold(command, |command, flag| {
            let help = flag.get_help().map(|help| in_container(&help.to_string()));
            command.arg(flag.help(help.unwrap_or_default()))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: FromArgMatches> FromArgMatches for OfBuild<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        F::from_arg_matches(matches).map(OfBuild)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn in_container(help: &str) -> String {
    let reworded = |help: String, (from, to): &(&str, &str)| help.replace(from, to);
    WORDS.iter().fold(help.to_owned(), reworded)
}
