//! Builds of a command that makes several, one after the other or side by side, in one session with one store. Each is ordered by the command
//! line of a `kiln build`. Unaware of why they are made.

use crate::command::build;
use crate::environment::{self, Globals};
use crate::failure::{Failure, build as failures};
use crate::flag::{Flag, Flags, Setup};
use crate::remembered::Remembered;
use crate::render::{self, Background, Progress, Recorded, Renderer, Sink};
use crate::{network, pflag, session, signals};
use clap::{CommandFactory, FromArgMatches, Parser};
use kiln_cache::Store;
use kiln_engine::event::{Cancel, Event, Events};
use kiln_engine::{BuildError, Built, DockerfileText, Outside, Request, Session};
use kiln_parser::diagnostic::Diagnostic;
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
    /// Reads the arguments of a `kiln build`; `dockerfile` is the text of one that is in no file.
    ///
    /// # Errors
    /// They are wrong.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        dockerfile: Option<&str>,
    ) -> Result<Self, Failure> {
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
        let (request, flags) = read.arguments.with_dockerfile(dockerfile).prepared()?;
        Ok(Order {
            request,
            flags: Arc::new(flags),
        })
    }

    /// The same of a build that is only looked at: its result stays in the store, without a name.
    ///
    /// # Errors
    /// They are wrong, or say where the result should go.
    pub fn to_look(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let order = Order::read(arguments, None)?;
        let goal = &order.request.goal;
        if !goal.names().is_empty() || !goal.outputs.is_empty() {
            let why = "these builds only serve to be looked at: they take no --tag and no --output";
            return Err(Failure::usage(why));
        }
        Ok(order)
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
        let setup = self.setup(globals)?;
        match setup.question {
            Some(_) => Err(Failure::usage("--call builds nothing")),
            None => Ok(setup.globals),
        }
    }

    fn setup(&self, globals: &Globals) -> Result<Setup, Failure> {
        let mut setup = Setup::new(globals);
        self.flags.set_up(&mut setup, &self.request)?;
        Ok(setup)
    }

    /// Whether its answer is a document.
    ///
    /// # Errors
    /// A flag is wrong.
    pub fn is_for_machines(&self, globals: &Globals) -> Result<bool, Failure> {
        let question = self.setup(globals)?.question;
        Ok(question.is_some_and(|question| question.is_for_machines()))
    }

    /// Answers its question about the Dockerfile.
    ///
    /// # Errors
    /// As `kiln build --call`.
    pub fn answer(self, globals: &Globals) -> Result<(), Failure> {
        let setup = self.setup(globals)?;
        match setup.question {
            Some(question) => build::answer(question, self.request, &self.flags, &setup.globals),
            None => Ok(()),
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

/// Why a build among others has no result.
#[derive(Debug)]
pub enum Beside {
    /// It failed.
    Failed(Failure),
    /// Another one failed, or the user wants no more of them.
    Stopped(Failure),
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

    /// Fetches the main context of an order, if it is outside of the machine.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn outside(&self, order: &Order) -> Result<Option<Outside>, Failure> {
        let failed =
            |error| failures::failure(&DockerfileText::default(), false, error, self.watch.kind());
        Outside::open(&self.session, &order.request).map_err(failed)
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
        let (result, dockerfile, _) = self.attempt(order, events)?;
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

    /// Builds while others are being built; it is shown by `renderer`, and remembered.
    ///
    /// # Errors
    /// As `kiln build`.
    pub fn beside(
        &self,
        order: &Order,
        renderer: Box<dyn Renderer>,
        (sink, progress): (&Sink, Progress),
    ) -> Result<Built, Beside> {
        let (events, stream) = Events::new(build::new_id());
        let (renderer, remembered) = Remembered::begin(renderer, &order.request);
        let project = remembered.project();
        let order = order.changed(|request| request.project = Some(project));
        let globals = order.globals(&self.globals).map_err(Beside::Failed)?;
        let shown = Background::start(Box::new(renderer), stream, sink.clone());
        let shown = shown.map_err(Beside::Failed)?;
        let attempt = self.attempt_by(&globals, &order, events);
        let (result, dockerfile, findings) = attempt.map_err(Beside::Failed)?;
        let shown = shown.finish();
        remembered.end(&self.session.store, &dockerfile, &result);
        let built = result.map_err(|error| self.ended(&order, &dockerfile, error))?;
        failures::warnings(&dockerfile, &findings, progress, sink);
        shown.map_err(Beside::Stopped)?;
        Ok(built)
    }

    fn ended(&self, order: &Order, dockerfile: &DockerfileText, error: BuildError) -> Beside {
        let mut outputs = order.request.goal.outputs.iter();
        let streams = outputs.any(|output| output.is_stream());
        let is_stopped = error.is_cancelled();
        let failure = failures::failure(dockerfile, streams, error, self.watch.kind());
        match is_stopped {
            true => Beside::Stopped(failure),
            false => Beside::Failed(failure),
        }
    }

    /// All builds are made.
    ///
    /// # Errors
    /// A signal came while they were.
    pub fn end(self) -> Result<(), Failure> {
        self.watch.end()
    }

    fn attempt(&self, order: &Order, events: Events) -> Result<Attempted, Failure> {
        // a build before that failed stopped its steps; a signal counts still
        self.cancel.begin_again();
        self.attempt_by(&self.globals, order, events)
    }

    fn attempt_by(
        &self,
        globals: &Globals,
        order: &Order,
        events: Events,
    ) -> Result<Attempted, Failure> {
        let remote = network::remote(globals, &events, &self.cancel)?;
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
        Ok((result, dockerfile, session.findings.all()))
    }
}

/// What came of an attempt: the result, what Dockerfile was read, what was found in it.
type Attempted = (Result<Built, BuildError>, DockerfileText, Vec<Diagnostic>);
