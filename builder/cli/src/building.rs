//! Builds of a command that makes several, one after the other, in one session with one store. Each is ordered by the command line of a
//! `kiln build`. Unaware of why they are made.

use crate::command::build;
use crate::environment::{self, Globals};
use crate::failure::{Failure, build as failures};
use crate::flag::{Flag, Flags, Setup};
use crate::render::{self, Background, Progress, Recorded, Sink};
use crate::{network, pflag, session, signals};
use clap::{CommandFactory, FromArgMatches, Parser};
use kiln_cache::Store;
use kiln_engine::event::{Cancel, Event, Events};
use kiln_engine::{Built, DockerfileText, Request, Session};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The command line of a build, without the words `kiln build`.
#[derive(Debug, Parser)]
#[command(name = "kiln build", disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    arguments: build::Arguments,
}

/// A build that was ordered.
#[derive(Debug)]
pub struct Order {
    /// What is asked for; a command may change it.
    pub request: Request,
    flags: Arc<Flags>,
}

impl Order {
    /// Reads the arguments of a `kiln build`. The result stays in the store, without a name.
    ///
    /// # Errors
    /// They are wrong, or say where the result should go.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let mut command = Line::command();
        let words = std::iter::once("kiln build".into()).chain(arguments);
        let line = pflag::read(&command, words)?;
        let wrong = |error: &clap::Error| {
            let text = error.render().to_string();
            let why = text.lines().next().unwrap_or_default();
            Failure::usage(why.trim_start_matches("error: ").to_owned())
        };
        let matches = command.try_get_matches_from_mut(line);
        let matches = matches.map_err(|error| wrong(&error))?;
        let read = Line::from_arg_matches(&matches).map_err(|error| wrong(&error))?;
        let (request, flags) = read.arguments.prepared()?;
        if !request.goal.names().is_empty() || !request.goal.outputs.is_empty() {
            let why = "these builds only serve to be looked at: they take no --tag and no --output";
            return Err(Failure::usage(why));
        }
        Ok(Order {
            request,
            flags: Arc::new(flags),
        })
    }

    /// The same build, asked for in another way.
    pub fn changed(&self, change: impl FnOnce(&mut Request)) -> Self {
        let mut request = self.request.clone();
        change(&mut request);
        Order {
            request,
            flags: self.flags.clone(),
        }
    }

    /// How the store and registries are reached for it.
    ///
    /// # Errors
    /// A flag asks for what no build of several can do.
    pub fn globals(&self, globals: &Globals) -> Result<Globals, Failure> {
        let mut setup = Setup::new(globals);
        self.flags.set_up(&mut setup, &self.request)?;
        match setup.question {
            Some(_) => Err(Failure::usage("--call builds nothing")),
            None => Ok(setup.globals),
        }
    }
}

/// A finished build.
#[derive(Debug)]
pub struct Made {
    /// What came of it.
    pub built: Built,
    /// The Dockerfile that was read.
    pub dockerfile: DockerfileText,
    /// What happened.
    pub events: Vec<Event>,
    /// From the request to the image.
    pub took: Duration,
}

/// Makes builds.
pub struct Builder {
    globals: Globals,
    cancel: Cancel,
    session: Session,
    watch: signals::Watch,
}

impl Builder {
    /// Opens the store. Must be called before any thread is started.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn open(globals: &Globals) -> Result<Self, Failure> {
        let cancel = Cancel::default();
        let session = session::open(globals, Events::ignored(), cancel.clone())?;
        let watch = signals::Watch::start(&cancel)?;
        Ok(Builder {
            globals: globals.clone(),
            cancel,
            session,
            watch,
        })
    }

    /// Everything on disk.
    pub fn store(&self) -> &Store {
        &self.session.store
    }

    /// Builds.
    ///
    /// # Errors
    /// As `kiln build`.
    pub fn build(&self, order: &Order, progress: Progress) -> Result<Made, Failure> {
        let (events, stream) = Events::new(build::new_id());
        let sink = Sink::stderr();
        let renderer = render::open(progress, "building", environment::no_color(), sink.clone());
        let (recorded, record) = Recorded::new(renderer);
        let shown = Background::start(Box::new(recorded), stream, sink)?;
        let begun = Instant::now();
        let (result, dockerfile) = self.attempt(order, events)?;
        let took = begun.elapsed();
        shown.finish()?;
        let built = result
            .map_err(|error| failures::failure(&dockerfile, false, error, self.watch.kind()))?;
        if let Some(kind) = signals::received() {
            return Err(Failure::new(kind, "stopped; finished work is kept"));
        }
        Ok(Made {
            built,
            dockerfile,
            events: record.take(),
            took,
        })
    }

    fn attempt(
        &self,
        order: &Order,
        events: Events,
    ) -> Result<(Result<Built, kiln_engine::BuildError>, DockerfileText), Failure> {
        // a build before that failed stopped its steps; a signal counts still
        self.cancel.begin_again();
        let remote = network::remote(&self.globals, &events, &self.cancel)?;
        let session = Session {
            store: remote.with_store(&self.session.store),
            events,
            findings: Arc::default(),
            remote,
            ..self.session.clone()
        };
        let mut dockerfile = build::text(&order.request);
        let opened = build::opened(&session, order.request.clone(), &order.flags);
        let result = opened.and_then(|build| {
            dockerfile.clone_from(&build.dockerfile);
            kiln_engine::build(&session, &build)
        });
        Ok((result, dockerfile))
    }
}
