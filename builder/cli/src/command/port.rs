//! `kiln port`: which ports of this machine lead to those of a container.

use crate::command::run::ports;
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{containers, session, table};
use clap::Args;

/// Arguments of `kiln port`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER")]
    name: String,
    /// One of its ports
    #[arg(value_name = "PORT[/PROTOCOL]")]
    port: Option<String>,
}

/// Lists them.
///
/// # Errors
/// There is no such container, or none leads to the port that was asked for.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    let kept = containers::find(&store, &arguments.name)?;
    let published = kept.record.draft.container.ports.iter();
    let published = published.filter(|_| kept.runs());
    let Some(asked) = &arguments.port else {
        let line = |port| format!("{} -> {}", ports::inside(port), ports::outside(port));
        published.map(line).for_each(|line| table::line(&line));
        return Ok(());
    };
    let protocol = if asked.contains('/') { "" } else { "/tcp" };
    let asked = format!("{asked}{protocol}");
    let mut found = published
        .filter(|port| ports::inside(port) == asked)
        .peekable();
    if found.peek().is_none() {
        let name = kept.title();
        let message = format!("no public port {asked} is published for {name}");
        let failure = Failure::new(Kind::Build, message);
        return Err(failure.hint(format!("`kiln port {name}` lists those that are")));
    }
    found.for_each(|port| table::line(&ports::outside(port)));
    Ok(())
}
