//! `kiln cp`: files between a container and this machine.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, render, session, units};
use clap::Args;
use kiln_engine::Session;
use kiln_engine::event::{Cancel, Events};
use kiln_engine::trial::{Root, copy};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `kiln cp`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Follow a link that SOURCE is
    #[arg(short = 'L', long, add = Takes::Switch)]
    follow_link: bool,
    /// No effect: owners are always those of whoever copies
    #[arg(short = 'a', long = "archive", hide = true, add = Takes::Switch)]
    _archive: bool,
    /// No effect: kiln shows no progress here
    #[arg(short = 'q', long = "quiet", hide = true, add = Takes::Switch)]
    _quiet: bool,
    /// File or folder: CONTAINER:PATH, or a path of this machine; FOLDER/. for what is in it
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where to: CONTAINER:PATH, or a path of this machine
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Copies.
///
/// # Errors
/// There is no such container or path.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let (source, target) = (
        Side::read(&arguments.source)?,
        Side::read(&arguments.target)?,
    );
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let (from, to) = (source.root(&session)?, target.root(&session)?);
    let sides = ((&from, source.path.as_path()), (&to, target.path.as_path()));
    let copied = copy(sides.0, sides.1, arguments.follow_link);
    let left_out = copied.map_err(containers::failure)?;
    if left_out > 0 {
        let count = units::counted(left_out, "device, pipe or socket");
        render::warning(&format!("left out: {count}"));
    }
    Ok(())
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::of_file(Path::new(path), &error)
}

/// One side of a copy.
struct Side {
    /// The container; this machine without one.
    container: Option<String>,
    /// Absolute.
    path: PathBuf,
}

impl Side {
    /// As docker: what has a slash before its colon, or begins with a slash or a dot, is no container.
    fn read(text: &str) -> Result<Self, Failure> {
        if text == "-" {
            let failure = Failure::usage("kiln copies no tars");
            return Err(failure.hint("`kiln exec -i CONTAINER tar` does, if the image has tar"));
        }
        let named = text.split_once(':');
        let named = named.filter(|(name, _)| !name.contains('/') && !name.starts_with('.'));
        Ok(match named {
            Some((name, path)) => Side {
                container: Some(name.to_owned()),
                path: Path::new("/").join(path),
            },
            None => Side {
                container: None,
                // a dot at the end has a meaning
                path: std::path::absolute(".").map_err(failed(text))?.join(text),
            },
        })
    }

    fn root(&self, session: &Session) -> Result<Root, Failure> {
        let Some(name) = &self.container else {
            return Ok(Root::Open(File::open("/").map_err(failed("/"))?.into()));
        };
        let kept = containers::find(&session.store, name)?;
        kept.root(session).map_err(containers::of_container)
    }
}
