//! A shell before or after a step of a build: what is above it is built as always, and the shell sees what a RUN there would see. What it
//! changes is thrown away, or becomes an image. Unaware of how people name a step.

use super::place::{TOOLS, cut};
use crate::event::{EVENT_VERSION, EventKind, Events, StepInfo};
use crate::exchange::{self, SharedCaches};
use crate::execute::attend::Ready;
use crate::execute::process::Process;
use crate::execute::remains::Remains;
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::execute::{Failures, Results, execute};
use crate::failure::{BuildError, ContainerError};
use crate::host::confine::confine;
use crate::image::assemble::assemble;
use crate::plan::output::{Basis, Done, Stack, StepResult};
use crate::plan::{self, Plan, announce};
use crate::request::{ContextSource, DockerfileSource, DockerfileText, MainSource, Request};
use crate::session::Session;
use crate::source::{self, open::Build};
use kiln_oci::{Digest, Reference};
use kiln_parser::graph::NodeId;
use kiln_sandbox::{Exit, TerminalSize};
use std::sync::Arc;

/// The name of the context whose programs a shell has besides those of its image.
pub const TOOLS_CONTEXT: &str = "kiln-tools";

/// Where a shell is opened.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// A line of an instruction, from 1; without it the place is the end of the target.
    pub line: Option<u32>,
    /// Whether the instruction itself is not executed.
    pub is_before: bool,
}

/// The steps of a build, which is not executed.
///
/// # Errors
/// As of a build before its first step.
pub fn steps(session: &Session, build: &Build) -> Result<Vec<StepInfo>, BuildError> {
    Ok(plan::steps(&plan::plan(&unheard(session), build)?))
}

/// A place in a build that is built so far.
#[derive(Debug)]
pub struct Opened {
    build: Build,
    plan: Plan,
    results: Results,
    /// The position of its stage.
    stage: usize,
    /// The RUN that is the shell.
    node: NodeId,
}

/// Builds all that is above a place; none where there is no such instruction or target.
///
/// # Errors
/// As of a build.
pub fn open(session: &Session, build: &Build, place: Place) -> Result<Option<Opened>, BuildError> {
    session.events.send(EventKind::Begun {
        version: EVENT_VERSION,
    });
    let Some(build) = cut_at(build, place) else {
        // what is wrong with the Dockerfile, or with the target, is said as of a build
        steps(session, build)?;
        return Ok(None);
    };
    let (session, caches) = &with_caches(session, &build)?;
    let mut plan = plan::plan(&unheard(session), &build)?;
    let stage = plan.targets.first().map_or(0, |target| target.stage);
    let node = plan.graph.stages[stage].output;
    plan.wanted[node.0] = false;
    announce(session, &plan);
    let opened = Opened {
        results: executed(session, &build, &plan, caches)?,
        build,
        plan,
        stage,
        node,
    };
    opened.ready(session).fetch().map_err(BuildError::Mounted)?;
    Ok(Some(opened))
}

/// The shared caches of a build, and the session that sees what they have.
fn with_caches(session: &Session, build: &Build) -> Result<(Session, SharedCaches), BuildError> {
    let from = &build.reuse.cache_from;
    let caches = exchange::open(from, &[], &session.remote).map_err(BuildError::CacheOptions)?;
    let store = exchange::view(&session.store, &session.remote, &caches.imports);
    let session = session.clone();
    Ok((Session { store, ..session }, caches))
}

/// Executes what is above the shell; once more what a shared cache promised and does not have.
fn executed(
    session: &Session,
    build: &Build,
    plan: &Plan,
    caches: &SharedCaches,
) -> Result<Results, BuildError> {
    let (store, remote) = (&session.store, &session.remote);
    exchange::import(store, remote, &caches.imports, None)?;
    let cgroup = confine(&session.events, &build.run.limits, session.disabled)?;
    let remains = Remains::default();
    loop {
        let (failures, cgroup) = (Failures::new(&remains, false), cgroup.clone());
        let executed = execute(session, (build, plan), cgroup, &caches.mounts, failures);
        match executed {
            Err(_) if exchange::forget_lost(store, remote) => session.cancel.begin_again(),
            executed => return Ok(executed?.results),
        }
    }
}

/// The layers of a source that a stage can stand on, all of them here.
///
/// # Errors
/// They cannot be fetched.
pub(super) fn layers_of(
    session: &Session,
    source: ContextSource,
) -> Result<Vec<Digest>, BuildError> {
    let text = DockerfileText {
        text: format!("FROM {TOOLS_CONTEXT}\n"),
        ..DockerfileText::default()
    };
    let nowhere = MainSource::Named(ContextSource::Directory("/".into()));
    let mut request = Request::new(DockerfileSource::Text(text), nowhere);
    let contexts = &mut request.sources.contexts;
    contexts.insert(TOOLS_CONTEXT.to_owned(), source);
    let session = &unheard(session);
    let build = source::open::open(session, request, std::io::empty())?;
    let place = Place {
        line: Some(1),
        is_before: false,
    };
    let base = |opened: Opened| opened.ready(session).base().map_err(BuildError::Mounted);
    let base = open(session, &build, place)?.map(base).transpose()?;
    Ok(base.map(|stack| stack.layers).unwrap_or_default())
}

/// The build as far as a place, and the shell in it.
fn cut_at(build: &Build, place: Place) -> Option<Build> {
    let text = &build.dockerfile.text;
    let dockerfile = kiln_parser::parse(text).dockerfile;
    let has_tools = build.contexts.contains_key(TOOLS_CONTEXT);
    let tools = has_tools.then_some(TOOLS_CONTEXT);
    let target = build.language.target.as_deref();
    let at = (place.line, place.is_before);
    let text = cut(text, &dockerfile, at, (target, tools))?;
    let mut build = build.clone();
    build.dockerfile.text = text;
    build.language.target = None;
    Some(build)
}

/// What is said of a part of a build would be wrong of the whole.
fn unheard(session: &Session) -> Session {
    Session {
        events: Events::ignored(),
        findings: Arc::default(),
        ..session.clone()
    }
}

impl Opened {
    /// Runs the shell to its end. With a name its changes are kept: the image's manifest.
    ///
    /// # Errors
    /// It cannot be started, or its changes cannot be kept.
    pub fn attend(
        &self,
        session: &Session,
        terminal: Option<TerminalSize>,
        commit: Option<&Reference>,
        attendant: &dyn Attendant,
    ) -> Result<(Exit, Option<Digest>), ContainerError> {
        let shell = |process: &mut Process| {
            process.argv.truncate(1);
            process.terminal = terminal;
            if terminal.is_some() && !process.env.iter().any(|own| own.starts_with("TERM=")) {
                process.env.push("TERM=xterm".to_owned());
            }
        };
        let attended = self.ready(session);
        let keeps = commit.map_or(Keeps::Nothing, |_| Keeps::Layer);
        let attended = attended.attend(TOOLS, shell, (attendant, keeps))?;
        let kept = commit.map(|name| self.keep(session, &attended, name));
        let kept = kept.transpose()?;
        Ok((attended.leave(attendant), kept))
    }

    fn ready<'a>(&'a self, session: &'a Session) -> Ready<'a> {
        Ready {
            session,
            build: &self.build,
            plan: &self.plan,
            results: &self.results,
            node: self.node,
        }
    }

    /// Makes an image of what the shell has left.
    fn keep(
        &self,
        session: &Session,
        attended: &Attended,
        name: &Reference,
    ) -> Result<Digest, ContainerError> {
        let (store, now) = (&session.store, session.host.seconds());
        let mut results = self.results.clone();
        let done = self.done(self.ready(session).base()?, attended, now);
        results.insert(self.node.0, Arc::new(done));
        let image = assemble(store, &self.plan, self.stage, &results, now)?;
        let (manifest, _) = store.images().put(&image.manifest, &image.config)?;
        store.images().tag(name, &manifest)?;
        Ok(manifest)
    }

    /// The shell as a step that has made something.
    fn done(&self, base: Stack, attended: &Attended, created: i64) -> Done {
        let layer = attended.layer.as_ref();
        let diff_id = layer.map(kiln_cache::Layer::diff_id);
        let stack = match layer {
            None => base,
            Some(layer) => base.with(diff_id, layer.tree(), &Basis::default()),
        };
        let key = self.plan.definitions[self.node.0];
        let step = StepResult {
            key,
            diff_id,
            created,
        };
        Done {
            stack,
            step: Some(step),
        }
    }
}
