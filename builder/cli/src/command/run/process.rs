//! The process of a container: what the flags say of it, and its image where they say nothing, by docker's rules. Unaware of mounts and limits.

use super::variables;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::signal_name;
use kiln_engine::trial::is_name;
use kiln_oci::RuntimeConfig;
use signal_hook::consts::SIGTERM;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Name of the container, and its host name, unless --hostname says another
    #[arg(long = "name", id = "container_name", value_name = "NAME", add = Takes::Single)]
    pub name: Option<String>,
    /// Host name inside
    #[arg(short = 'h', long, value_name = "NAME", add = Takes::Single)]
    hostname: Option<String>,
    #[command(flatten)]
    variables: variables::Flags,
    /// Folder to start in
    #[arg(short, long, value_name = "PATH", add = Takes::Single)]
    workdir: Option<String>,
    /// User and group: names of the image, or numbers
    #[arg(short, long, value_name = "USER[:GROUP]", add = Takes::Single)]
    user: Option<String>,
    /// Program that gets COMMAND as its arguments, instead of the image's ENTRYPOINT; "" for none
    #[arg(long, value_name = "PROGRAM", add = Takes::Verbatim)]
    entrypoint: Option<String>,
    /// Run a small init as the first process: it takes in orphans and hands on signals
    #[arg(long, add = Takes::Switch)]
    pub init: bool,
    /// Signal that stops the container: what it gets for a SIGTERM of kiln [default: the image's STOPSIGNAL]
    #[arg(long, value_name = "SIGNAL", add = Takes::Single)]
    stop_signal: Option<String>,
}

/// That a container may be called so.
///
/// # Errors
/// It may not.
pub fn check_name(name: &str) -> Result<(), Failure> {
    if is_name(name) {
        return Ok(());
    }
    let why = "only letters, digits and _.- are allowed, at least two, and a letter or digit first";
    Err(Failure::usage(format!(
        "{name:?} is no name of a container: {why}"
    )))
}

impl Flags {
    /// That the flags make sense by themselves.
    ///
    /// # Errors
    /// One does not.
    pub fn check(&self) -> Result<(), Failure> {
        self.name.as_deref().map_or(Ok(()), check_name)
    }

    /// The command: the entrypoint and its arguments. Another entrypoint does without the image's CMD.
    pub fn argv(&self, config: &RuntimeConfig, command: &[String]) -> Result<Vec<String>, Failure> {
        let given = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        let (mut argv, usual) = match &self.entrypoint {
            None => (given(&config.entrypoint), given(&config.cmd)),
            Some(program) if program.is_empty() => (Vec::new(), Vec::new()),
            Some(program) => (vec![program.clone()], Vec::new()),
        };
        argv.extend(match command.is_empty() {
            true => usual,
            false => command.to_vec(),
        });
        if argv.is_empty() {
            let failure = Failure::usage("no command is specified, and the image has none");
            return Err(failure.hint("write it after the image: kiln run IMAGE COMMAND"));
        }
        Ok(argv)
    }

    /// What an image of the container runs: what the container does, but for its terminal.
    pub fn config(
        &self,
        config: &RuntimeConfig,
        command: &[String],
    ) -> Result<RuntimeConfig, Failure> {
        let mut own = config.clone();
        own.env = self.env(config, false)?;
        own.user = self.user(config);
        own.working_dir
            .clone_from(self.workdir.as_ref().unwrap_or(&config.working_dir));
        if let Some(program) = &self.entrypoint {
            own.entrypoint = Some(vec![program.clone()]).filter(|_| !program.is_empty());
            own.cmd = None;
        }
        if !command.is_empty() {
            own.cmd = Some(command.to_vec());
        }
        if let Some(signal) = &self.stop_signal {
            own.stop_signal.clone_from(signal);
        }
        Ok(own)
    }

    /// The image's variables, those of files, those of the command line.
    pub fn env(&self, config: &RuntimeConfig, has_terminal: bool) -> Result<Vec<String>, Failure> {
        self.variables.above(&config.env, has_terminal)
    }

    /// The folder to start in.
    pub fn cwd(&self, config: &RuntimeConfig) -> Result<String, Failure> {
        let given = self.workdir.as_ref();
        if let Some(folder) = given.filter(|folder| !folder.starts_with('/')) {
            let why = "the working directory must be an absolute path";
            return Err(Failure::usage(format!("--workdir {folder}: {why}")));
        }
        let folder = given.unwrap_or(&config.working_dir);
        Ok(if folder.is_empty() { "/" } else { folder }.to_owned())
    }

    /// Who runs it.
    pub fn user(&self, config: &RuntimeConfig) -> String {
        self.user.as_ref().unwrap_or(&config.user).clone()
    }

    /// What it is called inside.
    pub fn hostname(&self) -> Option<String> {
        self.hostname.clone().or_else(|| self.name.clone())
    }

    /// What it gets where it is asked to stop.
    pub fn stop_signal(&self, config: &RuntimeConfig) -> Result<i32, Failure> {
        let text = self.stop_signal.as_ref().unwrap_or(&config.stop_signal);
        match text.is_empty() {
            true => Ok(SIGTERM),
            false => signal_name::read(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};

    fn flags(line: &[&str]) -> Flags {
        let command = Flags::augment_args(Command::new("run").disable_help_flag(true));
        let line = [&["run"], line].concat();
        Flags::from_arg_matches(&command.get_matches_from(line)).unwrap()
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn config(entrypoint: &str, cmd: &str) -> RuntimeConfig {
        RuntimeConfig {
            entrypoint: Some(words(entrypoint)).filter(|words| !words.is_empty()),
            cmd: Some(words(cmd)).filter(|words| !words.is_empty()),
            ..RuntimeConfig::default()
        }
    }

    #[test]
    fn entrypoint_and_command_are_as_dockers() {
        let is = |flag: &[&str], config: RuntimeConfig, command: &str, expected: &str| {
            let argv = flags(flag).argv(&config, &words(command));
            assert_eq!(
                argv.unwrap_or_default(),
                words(expected),
                "{flag:?} {command}"
            );
        };
        is(&[], config("", "sh"), "", "sh");
        is(&[], config("", "sh"), "ls -l", "ls -l");
        is(&[], config("git", "help"), "", "git help");
        is(&[], config("git", "help"), "log -1", "git log -1");
        is(&["--entrypoint=ls"], config("git", "help"), "", "ls");
        is(&["--entrypoint=ls"], config("git", "help"), "-l", "ls -l");
        is(&["--entrypoint="], config("git", "help"), "ls", "ls");
        is(&["--entrypoint="], config("git", "help"), "", "");
        is(&[], config("", ""), "", "");
    }
}
