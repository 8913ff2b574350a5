//! `--on-error`: what is done where a RUN fails: nothing, a shell there, or an image of what it has left. Unaware of how a build fails.

use super::build_context::context_source;
use super::context::Source;
use super::{Flag, Setup};
use crate::attendant::{self, Streams};
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::render;
use clap::ValueEnum;
use kiln_engine::trial::FailedRun;
use kiln_engine::{BuildError, ContextSource, Request, Session};
use signal_hook::consts::SIGTERM;
use std::io::{self, IsTerminal};

/// What is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// The build fails
    #[default]
    Fail,
    /// It fails, and what the RUN has left becomes an image
    Keep,
    /// A shell is opened there first
    Shell,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct OnError {
    what: What,
    tools: Option<ContextSource>,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// If a RUN fails: fail; keep what it has left as an image without a name; or open a shell there on this terminal
    #[arg(long, value_enum, default_value = "fail", hide_possible_values = true, value_name = "WHAT", add = Takes::Single)]
    on_error: What,
    /// Programs that a shell has besides, where the image has none of these names, such as host-tools:sh,ls,cat
    #[arg(long, value_name = "SOURCE", add = Takes::Single)]
    tools: Option<String>,
}

impl Flag for Flags {
    fn begins(&self, _source: &Source) -> Result<(), Failure> {
        let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        if self.on_error == What::Shell && !has_terminal {
            let failure = Failure::usage("--on-error=shell needs a terminal");
            return Err(failure.hint("--on-error=keep makes an image of what a step has left"));
        }
        Ok(())
    }

    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.run.keeps_failed = self.on_error != What::Fail;
        Ok(())
    }

    fn set_up(&self, setup: &mut Setup, _request: &Request) -> Result<(), Failure> {
        setup.on_error = OnError {
            what: self.on_error,
            tools: self.tools()?,
        };
        Ok(())
    }
}

impl Flags {
    /// Where the programs come from that a shell has besides.
    ///
    /// # Errors
    /// That is no source.
    pub fn tools(&self) -> Result<Option<ContextSource>, Failure> {
        self.tools.as_deref().map(context_source).transpose()
    }
}

impl OnError {
    /// Brings the tools to what a RUN has left, as long as they can be fetched.
    ///
    /// # Errors
    /// They cannot.
    pub fn equipped(&self, session: &Session, left: FailedRun) -> Result<FailedRun, BuildError> {
        match &self.tools {
            Some(tools) if self.what == What::Shell => left.with_tools(session, tools.clone()),
            _ => Ok(left),
        }
    }

    /// Does it; the failure with what there is to say of that.
    pub fn with(&self, session: Session, left: FailedRun, failure: Failure) -> Failure {
        match self.what {
            What::Fail => failure,
            What::Keep => kept(&session, &left, failure),
            What::Shell => opened(session, left, failure),
        }
    }
}

fn kept(session: &Session, left: &FailedRun, failure: Failure) -> Failure {
    match left.keep(session) {
        Ok(id) => {
            let id = id.short();
            failure.hint(format!("what the step has left is the image {id}: `kiln run -it {id}` looks at it, and `kiln rmi {id}` removes it"))
        }
        Err(error) => failure.hint(format!("what the step has left could not be kept: {error}")),
    }
}

/// The failure is told before the shell, and not again.
fn opened(session: Session, left: FailedRun, failure: Failure) -> Failure {
    failure.report(crate::color());
    render::note(
        "a shell where the step failed; what it changes is thrown away, and the build fails when it ends",
    );
    let code = failure.kind() as u8;
    // the failure has stopped the steps; a signal counts still
    session.cancel.begin_again();
    let streams = Streams::new(true, true, SIGTERM);
    let attended = attendant::attended(session, streams, |session, streams| {
        left.attend(session, streams.size(), streams)
    });
    match attended {
        Ok(_) => Failure::passed(code),
        Err(error) => error.exits_with(code),
    }
}
