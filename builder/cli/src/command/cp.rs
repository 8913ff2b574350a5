//! `kiln cp`: files between a container and this machine.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, render, session, stdout, units};
use clap::Args;
use kiln_engine::Session;
use kiln_engine::event::{Cancel, Events};
use kiln_engine::trial::{Root, copy, pack, unpack};
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
    /// File or folder: CONTAINER:PATH, or a path of this machine; FOLDER/. for what is in it; - for a tar on standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where to: CONTAINER:PATH, or a path of this machine; - for a tar on standard output
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Copies.
///
/// # Errors
/// There is no such container or path.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let sides = (
        Side::read(&arguments.source)?,
        Side::read(&arguments.target)?,
    );
    let follows = arguments.follow_link;
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let left_out = copied(&session, &sides, follows)?;
    if left_out > 0 {
        let count = units::counted(left_out, "device, pipe or socket");
        render::warning(&format!("left out: {count}"));
    }
    Ok(())
}

/// Copies; how much was left out.
fn copied(session: &Session, sides: &(Side, Side), follows: bool) -> Result<usize, Failure> {
    match sides {
        (Side::Tar, Side::Container(..)) => {
            let (to, target) = sides.1.root(session)?;
            unpack((&to, target), io::stdin().lock()).map_err(containers::failure)
        }
        (Side::Container(..), Side::Tar) => {
            let (from, source) = sides.0.root(session)?;
            packed((&from, source), follows)
        }
        (Side::Machine(_), Side::Machine(_)) => {
            let failure = Failure::usage("neither side is a container");
            Err(failure.hint("kiln cp CONTAINER:PATH PATH, or kiln cp PATH CONTAINER:PATH"))
        }
        (from, to) if from.is_same(to, session)? => {
            let ((root, source), target) = (from.root(session)?, to.path());
            copy((&root, source), (&root, target), follows).map_err(containers::failure)
        }
        (from, to) => {
            let (from, source) = from.root(session)?;
            let (to, target) = to.root(session)?;
            copy((&from, source), (&to, target), follows).map_err(containers::failure)
        }
    }
}

fn packed(from: (&Root, &Path), follows: bool) -> Result<usize, Failure> {
    if stdout::is_terminal() {
        let failure = Failure::usage("refusing to write a tar to a terminal");
        return Err(failure.hint("name a file or a folder, or use a pipe"));
    }
    stdout::stream(|out| pack(from, follows, out).map_err(containers::failure))
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::of_file(Path::new(path), &error)
}

/// One side of a copy. Paths are absolute.
enum Side {
    /// Standard input or output.
    Tar,
    Machine(PathBuf),
    Container(String, PathBuf),
}

impl Side {
    /// As docker: what has a slash before its colon, or begins with a slash or a dot, is no container.
    fn read(text: &str) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Side::Tar);
        }
        let named = text.split_once(':');
        let named = named.filter(|(name, _)| !name.contains('/') && !name.starts_with('.'));
        Ok(match named {
            Some((name, path)) => Side::Container(name.to_owned(), Path::new("/").join(path)),
            // a dot at the end has a meaning
            None => Side::Machine(std::path::absolute(".").map_err(failed(text))?.join(text)),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Side::Tar => Path::new("/"),
            Side::Machine(path) | Side::Container(_, path) => path,
        }
    }

    /// Whether both are the same container, which may be called in two ways.
    fn is_same(&self, other: &Self, session: &Session) -> Result<bool, Failure> {
        let (Side::Container(one, _), Side::Container(other, _)) = (self, other) else {
            return Ok(false);
        };
        let id = |name| containers::find(&session.store, name).map(|kept| kept.record.id);
        Ok(id(one)? == id(other)?)
    }

    /// The root that a path is looked for in, and the path.
    fn root(&self, session: &Session) -> Result<(Root, &Path), Failure> {
        match self {
            Side::Tar => {
                let failure = Failure::usage("a tar is copied to a container, or from one");
                Err(failure.hint("kiln cp CONTAINER:PATH - or kiln cp - CONTAINER:FOLDER"))
            }
            Side::Machine(_) => {
                let root = File::open("/").map_err(failed("/"))?;
                Ok((Root::Open(root.into()), self.path()))
            }
            Side::Container(name, _) => {
                let kept = containers::find(&session.store, name)?;
                let root = kept.root(session).map_err(containers::of_container)?;
                Ok((root, self.path()))
            }
        }
    }
}
