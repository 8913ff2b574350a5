//! Environment variables of a container, and of another command in one. Unaware of what runs.

use crate::environment;
use crate::failure::Failure;
use crate::flag::build_arg::lines;
use crate::pflag::Takes;
use std::path::PathBuf;

/// What a terminal of a container is, as docker says.
const TERMINAL: &str = "TERM=xterm";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Environment variable; without =VALUE, it is taken from kiln's own environment (may be repeated)
    #[arg(short, long, value_name = "NAME[=VALUE]", add = Takes::StrictList)]
    env: Vec<String>,
    /// File with NAME=VALUE lines, one for each --env; the command line takes precedence (may be repeated)
    #[arg(long, value_name = "FILE", add = Takes::List)]
    env_file: Vec<PathBuf>,
}

impl Flags {
    /// Those that are there already, those of files, those of the command line. A name that kiln's own environment does not have is taken away.
    ///
    /// # Errors
    /// A file cannot be read, or one has no name.
    pub fn above(&self, below: &[String], has_terminal: bool) -> Result<Vec<String>, Failure> {
        let mut given = Vec::new();
        for file in &self.env_file {
            let lines = lines("--env-file", file)?;
            let flag = format!("--env-file {}: ", file.display());
            lines.iter().try_for_each(|line| check(&flag, line, true))?;
            given.extend(lines);
        }
        let of_line = self.env.iter();
        of_line
            .clone()
            .try_for_each(|given| check("--env ", given, false))?;
        given.extend(of_line.cloned());
        let mut env: Vec<String> = Vec::new();
        env.extend(has_terminal.then(|| TERMINAL.to_owned()));
        for variable in below.iter().cloned().chain(given) {
            let (name, value) = match variable.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&*variable, environment::variable(&variable)),
            };
            env.retain(|other| other.split_once('=').is_none_or(|(other, _)| other != name));
            env.extend(value.map(|value| format!("{name}={value}")));
        }
        Ok(env)
    }
}

/// That a variable has a name, as docker's; in a file, one without spaces.
fn check(place: &str, variable: &str, is_of_file: bool) -> Result<(), Failure> {
    let name = variable.split('=').next().unwrap_or_default();
    let why = match name.contains(char::is_whitespace) {
        true if is_of_file => "a name has no spaces",
        _ if name.is_empty() => "expected NAME=VALUE or NAME",
        _ => return Ok(()),
    };
    Err(Failure::usage(format!("{place}{variable}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_line_beat_those_of_the_image() {
        let below = ["A=image", "B=image", "C=c"].map(str::to_owned);
        let flags = |env: &[&str]| Flags {
            env: env.iter().map(|text| (*text).to_owned()).collect(),
            env_file: Vec::new(),
        };
        let env = flags(&["A=line", "B", "D=x=y"]).above(&below, true);
        assert_eq!(env.unwrap(), ["TERM=xterm", "C=c", "A=line", "D=x=y"]);
        assert!(flags(&["=c"]).above(&below, false).is_err());
        assert!(check("", "A B=c", false).is_ok() && check("", "A =c", true).is_err());
    }
}
