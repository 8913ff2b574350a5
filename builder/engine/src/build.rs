//! One build, from an opened request to a tagged image: plan, look the whole up in the memo, else execute and assemble; then name the
//! image and take it to its outputs. Unaware of the command line.

mod make;
mod stored;

use crate::event::{EVENT_VERSION, EventKind, Urgency};
use crate::exchange::{self, Exported, SharedCaches};
use crate::execute::memo::{self, Recalled};
use crate::execute::remains::{FailedRun, Remains};
use crate::execute::{Executed, Failures, execute, past};
use crate::failure::{BuildError, StepFailure};
use crate::host::confine::confine;
use crate::image::origin;
use crate::plan::{self, Plan, announce};
use crate::request::{BuildResult, Squash};
use crate::session::{Host, Session};
use crate::source::open::Build;
use kiln_cache::{KeyLock, MemoBundle};
use kiln_oci::{Descriptor, Digest, Reference};
use kiln_sandbox::Cgroup;
use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};
use stored::Stored;

/// How often the folders of a build are read: files that change all the time are named at last.
const MOST_READS: usize = 6;

/// A finished build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Image ID: the config digest. Of an index, its own digest.
    pub id: Digest,
    /// Digest of the manifest, or of the index.
    pub manifest: Digest,
    /// What points to it, with the platform of an image.
    pub descriptor: Descriptor,
    /// What points to it in a registry, where it was pushed.
    pub pushed: Option<Descriptor>,
    /// The ID that a daemon knows it by, where it was loaded into one.
    pub loaded: Option<Digest>,
    /// Full names.
    pub names: Vec<String>,
    /// Whether the store did not know of it before.
    pub is_new: bool,
}

/// A build that failed.
#[derive(Debug)]
pub struct FailedBuild {
    /// Why.
    pub error: BuildError,
    /// What the RUN has left that it failed with, where the request says that this is kept.
    pub left: Option<FailedRun>,
}

/// Builds an image and gives it its names, or fails with what can be looked at.
///
/// # Errors
/// As of [`build`].
pub fn try_build(session: &Session, build: &Build) -> Result<Built, Box<FailedBuild>> {
    let remains = Remains::default();
    attempt(session, build, &remains).map_err(|error| {
        let left = remains.take();
        Box::new(FailedBuild { error, left })
    })
}

/// Builds an image and gives it its names.
///
/// # Errors
/// See [`BuildError`]. What was found in the Dockerfile is in the session in any case. The store is as before then, but for results of steps that succeeded.
pub fn build(session: &Session, build: &Build) -> Result<Built, BuildError> {
    attempt(session, build, &Remains::default())
}

fn attempt(session: &Session, build: &Build, remains: &Remains) -> Result<Built, BuildError> {
    begin(session, build);
    // What a build failed with is of no interest where the user stopped it.
    made(session, build, remains).map_err(|error| match session.cancel.is_interrupted() {
        true => BuildError::Cancelled,
        false => error,
    })
}

fn made(session: &Session, build: &Build, remains: &Remains) -> Result<Built, BuildError> {
    let begun = session.host.seconds();
    let (from, to) = (&build.reuse.cache_from, &build.goal.cache_to);
    let caches = exchange::open(from, to, &session.remote).map_err(BuildError::CacheOptions)?;
    let session = &Session {
        store: exchange::view(&session.store, &session.remote, &caches.imports),
        ..session.clone()
    };
    let cgroup = confine(&session.events, &build.run.limits, session.disabled)?;
    let mut plan = plan::plan(session, build)?;
    announce(session, &plan);
    let with = (&caches, remains, cgroup.as_ref());
    let (built, bundle) = carry_out(session, build, &mut plan, with)?;
    export(session, (build, &plan), &caches, &bundle)?;
    if built.is_new && build.goal.is_taken_away() {
        session.store.images().take_back(&built.manifest, begun)?;
    }
    Ok(built)
}

/// Gives what was made to the shared caches that want it.
fn export(
    session: &Session,
    (build, plan): (&Build, &Plan),
    caches: &SharedCaches,
    bundle: &MemoBundle,
) -> Result<(), BuildError> {
    let exported = || past::exported(&session.store, build, plan, &bundle.records);
    let exported = caches.are_written().then(exported).transpose()?;
    let outcome = Exported {
        key: memo::key(build, plan),
        bundle,
        build: exported.as_ref(),
        is_squashed: build.form.squash != Squash::Nothing,
        now: time_of(plan.graph.source_date_epoch, &session.host),
    };
    caches.export(session, outcome)
}

/// `SOURCE_DATE_EPOCH` where it is given, so that one build writes one cache.
fn time_of(epoch: Option<i64>, host: &Host) -> SystemTime {
    let Some(epoch) = epoch else {
        return (host.now)();
    };
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(epoch.unsigned_abs()));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Attempts the build, again when a file of a folder has changed since the folder was read.
fn carry_out(
    session: &Session,
    build: &Build,
    plan: &mut Plan,
    (caches, remains, cgroup): (&SharedCaches, &Remains, Option<&Cgroup>),
) -> Result<(Built, MemoBundle), BuildError> {
    let mut reads_left = MOST_READS;
    loop {
        reads_left -= 1;
        let job = Job {
            session,
            build,
            plan,
            caches,
            failures: Failures::new(remains, reads_left > 0),
        };
        match job.run(cgroup) {
            Err(BuildError::Step(failure)) if job.is_change(&failure) => {
                plan.read_again(session, build)?;
            }
            outcome => return outcome,
        }
    }
}

/// What is said first.
fn begin(session: &Session, build: &Build) {
    let events = &session.events;
    events.send(EventKind::Begun {
        version: EVENT_VERSION,
    });
    build
        .notices
        .iter()
        .for_each(|text| events.warn(text.clone()));
    if build.dockerfile.is_repaired {
        let what = "bytes that are not UTF-8, which are read as U+FFFD";
        events.warn(format!("{} has {what}", build.dockerfile.name));
    }
}

/// A build that is planned.
#[derive(Clone, Copy)]
struct Job<'a> {
    session: &'a Session,
    build: &'a Build,
    plan: &'a Plan,
    caches: &'a SharedCaches,
    /// What is done about failures.
    failures: Failures<'a>,
}

/// What was built.
struct Made {
    bundle: MemoBundle,
    /// With `--manifest`: the right to name it.
    turn: Option<KeyLock>,
    /// Whether the store did not know of it.
    is_new: bool,
}

impl Made {
    fn new(bundle: MemoBundle, turn: Option<KeyLock>) -> Self {
        Self {
            bundle,
            turn,
            is_new: true,
        }
    }

    /// What the store had already.
    fn known(bundle: MemoBundle) -> Self {
        Self {
            is_new: false,
            ..Self::new(bundle, None)
        }
    }

    fn built(&self, stored: &Stored, names: &[Reference]) -> Built {
        Built {
            id: self.bundle.config,
            manifest: self.bundle.manifest,
            descriptor: stored.descriptor.clone(),
            pushed: None,
            loaded: None,
            is_new: self.is_new,
            names: names.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Job<'_> {
    /// Attempts the build, again after each loss: what a cache promised and does not have costs another attempt, without it.
    fn run(self, cgroup: Option<&Cgroup>) -> Result<(Built, MemoBundle), BuildError> {
        let Session {
            store,
            remote,
            cancel,
            ..
        } = self.session;
        loop {
            let outcome = self.attempt(cgroup);
            match (outcome, exchange::forget_lost(store, remote)) {
                (Err(_), true) => cancel.begin_again(),
                (outcome, _) => return outcome,
            }
        }
    }

    /// Makes the image, gives it its names and takes it to all outputs.
    fn attempt(self, cgroup: Option<&Cgroup>) -> Result<(Built, MemoBundle), BuildError> {
        let session = self.session;
        let made = self
            .recall()?
            .map_or_else(|| self.make(self.execute(cgroup)?), Ok);
        let made = made?;
        if session.cancel.urgency() > Urgency::Continue {
            return Err(BuildError::Cancelled);
        }
        let names = self.names();
        for name in names.iter().filter(|name| name.tag.is_some()) {
            session.store.images().tag(name, &made.bundle.manifest)?;
        }
        let stored = Stored::read(&session.store, &made.bundle.manifest)?;
        let mut built = made.built(&stored, &names);
        drop(made.turn);
        self.report(&built, &stored)?;
        self.export(&mut built, stored)?;
        Ok((built, made.bundle))
    }

    fn execute(self, cgroup: Option<&Cgroup>) -> Result<Executed, BuildError> {
        self.session.cancel.lasts();
        let (cgroup, mounts) = (cgroup.cloned(), &self.caches.mounts);
        let what = (self.build, self.plan);
        execute(self.session, what, cgroup, mounts, self.failures)
    }

    /// Whether a changed file is all that the build failed with, and another attempt may succeed.
    fn is_change(self, failure: &StepFailure) -> bool {
        let is_wanted = self.failures.reads_again && !self.session.cancel.requested();
        let node = &self.plan.graph.nodes[failure.node];
        is_wanted && failure.error.changed_file().is_some() && self.plan.reads_folder(node)
    }

    /// The whole build without executing anything. A cache of others that says what it cannot give is no reason to fail.
    fn recall(self) -> Result<Option<Made>, BuildError> {
        let Job { session, plan, .. } = self;
        let outcomes = match memo::recall(session, self.build, plan, &self.caches.imports)? {
            Recalled::Image(bundle) => {
                origin::renew(session, self.build, plan, &bundle)?;
                return Ok(Some(Made::known(bundle)));
            }
            Recalled::Claims(outcomes) => outcomes,
        };
        for outcome in outcomes {
            let Some(results) = memo::results(session, plan, outcome)? else {
                continue;
            };
            match self.make(results) {
                Ok(made) => {
                    memo::cached_steps(session, plan, &made.bundle.records);
                    return Ok(Some(made));
                }
                Err(error) => {
                    exchange::forget_lost(&session.store, &session.remote);
                    let causes = crate::failure::chain_of_causes(&error);
                    tracing::debug!("the outcome in the cache is not used: {causes}");
                }
            }
        }
        Ok(None)
    }

    /// All that the result is called, once each: its own names, then those that outputs give it.
    fn names(self) -> Vec<Reference> {
        let goal = &self.build.goal;
        let outputs = goal.outputs.iter().flat_map(|output| output.names());
        let mut names = Vec::new();
        for name in goal.names().into_iter().chain(outputs) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Takes the result to all its outputs, which say what of it was pushed and what its ID is where it was loaded.
    fn export(self, built: &mut Built, stored: Stored) -> Result<(), BuildError> {
        let goal = &self.build.goal;
        let result = BuildResult {
            session: self.session,
            images: stored.images,
            index: stored.index.map(|bytes| (built.manifest, bytes)),
            references: &goal.names(),
            epoch: self.plan.graph.source_date_epoch,
            pushed: RefCell::default(),
            loaded: Cell::default(),
        };
        for output in &goal.outputs {
            self.session.cancel.lasts();
            output.export(&result)?;
        }
        let pushed = result.pushed.into_inner();
        built.pushed = pushed.map(|pushed| Descriptor {
            platform: built.descriptor.platform.clone(),
            ..pushed
        });
        built.loaded = result.loaded.get();
        Ok(())
    }

    /// Tells what was built.
    fn report(self, built: &Built, stored: &Stored) -> Result<(), BuildError> {
        let layers = stored.layers();
        let sizes = self.session.store.exchange().layer_sizes(&layers)?;
        let bytes = sizes.into_iter().flatten().sum();
        self.session.events.send(EventKind::Image {
            id: built.id.to_string(),
            digest: built.manifest.to_string(),
            tags: built.names.clone(),
            layers: layers.len(),
            bytes,
        });
        Ok(())
    }
}
