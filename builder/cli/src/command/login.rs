//! `kiln login`: credentials, checked with the registry and kept where docker and podman look for them.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{network, table};
use clap::Args;
use kiln_engine::chain_of_causes;
use kiln_engine::event::Cancel;
use kiln_oci::http::{self, Notice, Observer};
use kiln_oci::registry::{self, Credential, Secret, credentials};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, Write};

/// A password of more bytes is not read.
const MAX_PASSWORD: u64 = 64 << 10;

/// Arguments of `kiln login`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The registry, as host or host:port
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
    /// User name
    #[arg(short, long, value_name = "NAME", add = Takes::Single)]
    username: Option<String>,
    /// Password; all processes on this machine can see it, so --password-stdin is better
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        conflicts_with = "password_stdin",
        add = Takes::Single
    )]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username", add = Takes::Switch)]
    password_stdin: bool,
}

/// Logs in.
///
/// # Errors
/// When the registry does not accept the credentials, or they cannot be kept.
pub fn run(mut arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let registry = host(&arguments.registry)?;
    let user = arguments.username.take();
    let user = user.map_or_else(|| ask("Username: ", true), Ok)?;
    let password = match arguments.password.take() {
        Some(password) => password,
        None if arguments.password_stdin => piped()?,
        None => ask("Password: ", false)?,
    };
    let password = Secret::new(password);
    let credential = Credential::Password { user, password };
    let http = network::http(globals, &Cancel::default(), Observer::new(tell));
    let client = network::client(globals, http)?;
    client.log_in(&registry, &credential).map_err(|error| {
        // its hint is to log in
        let is_denied = matches!(error, registry::Error::Denied { .. });
        let hint = error.hint().filter(|_| !is_denied);
        Failure::new(Kind::Build, chain_of_causes(&error)).hints(hint)
    })?;
    let file = network::credential_file()?;
    credentials::store(&file, &registry, &credential, &http::Cancel::default())
        .map_err(|error| Failure::new(Kind::Environment, chain_of_causes(&error)))?;
    let file = file.display();
    table::line(&format!("Login Succeeded: {registry}, kept in {file}"));
    Ok(())
}

/// Tells the user what the command waits for.
fn tell(notice: Notice) {
    if let Notice::Waiting { host, what } = notice {
        // The command goes on when nobody can read it.
        let _ = writeln!(std::io::stderr(), "waiting for {host}: {what}");
    }
}

/// The registry that a person means.
pub fn host(text: &str) -> Result<String, Failure> {
    let text = text.strip_prefix("https://").unwrap_or(text);
    let host = text.split('/').next().unwrap_or(text);
    let parsed = kiln_oci::Reference::parse(&format!("{host}/name"));
    match parsed {
        Ok(reference) if reference.registry == host || host == "index.docker.io" => {
            Ok(reference.registry)
        }
        _ => Err(Failure::usage(format!(
            "{text:?} is not a registry: expected host or host:port"
        ))),
    }
}

fn piped() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    // as docker: one line break at the end is not part of it
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage("standard input has no password"));
    }
    Ok(text.to_owned())
}

/// Asks on the terminal.
fn ask(what: &str, echo: bool) -> Result<String, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(
            Failure::usage("cannot ask for user and password without a terminal")
                .hint("use --username NAME --password-stdin"),
        );
    }
    let _ = write!(std::io::stderr(), "{what}");
    let before = tcgetattr(&input).ok();
    if let (false, Some(before)) = (echo, &before) {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(&input, OptionalActions::Now, &silent);
    }
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if let (false, Some(before)) = (echo, &before) {
        let _ = tcsetattr(&input, OptionalActions::Now, before);
        let _ = writeln!(std::io::stderr());
    }
    read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
