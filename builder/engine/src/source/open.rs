//! Turns a request into a build: opens the main context and the Dockerfile, which may be in it or elsewhere, and takes images of OCI
//! layouts into the store. Other named contexts are opened when the plan names them. Unaware of what the Dockerfile says.

use super::dockerfile::{in_folder, in_layer};
use super::fetch::{Access, Fetches};
use super::fetched::{FILE_NAME, file};
use super::main_context::{self, Files, Main, MainContext};
use super::oci_layout;
use super::policy;
use crate::failure::BuildError;
use crate::request::policy::Policy;
use crate::request::{
    ContextSource, DockerfileSource, DockerfileText, Form, Goal, Language, MainSource, Request,
    Reuse, RunOptions,
};
use crate::session::Session;
use crate::source::fetch::address::redacted;
use kiln_cache::{KeyBuilder, Project};
use kiln_oci::Platform;
use std::collections::BTreeMap;
use std::io::Read;

/// A request whose Dockerfile and main context are open. Nothing changes it any more.
#[derive(Debug, Clone)]
pub struct Build {
    /// The Dockerfile.
    pub dockerfile: DockerfileText,
    /// The main context.
    pub context: MainContext,
    /// Named contexts, by lower-case name; images of OCI layouts are images of the store by now.
    pub contexts: BTreeMap<String, ContextSource>,
    /// Text that replaces any `.dockerignore` of the main context.
    pub ignore_file: Option<String>,
    /// What may be taken from outside.
    pub policies: Vec<Policy>,
    /// How the Dockerfile is understood.
    pub language: Language,
    /// What every RUN sees and may use.
    pub run: RunOptions,
    /// How the image is shaped.
    pub form: Form,
    /// What may be reused.
    pub reuse: Reuse,
    /// Where the result goes.
    pub goal: Goal,
    /// Warnings about the request.
    pub notices: Vec<String>,
    /// Which earlier builds it is compared with.
    pub project: Option<Project>,
}

impl Build {
    /// What replaces the main context's own `.dockerignore`.
    #[must_use]
    pub fn ignore(&self) -> Option<&str> {
        let of_dockerfile = self.dockerfile.ignore.as_deref();
        self.ignore_file.as_deref().or(of_dockerfile)
    }

    /// The way to sources outside.
    #[must_use]
    pub fn access<'a>(&'a self, session: &'a Session) -> Access<'a> {
        Access::of(session, &self.run, &self.policies)
    }

    /// The build of a request whose Dockerfile is here, as if all that would have to be fetched were empty: enough to check it.
    #[must_use]
    pub fn unfetched(request: Request) -> Option<Self> {
        let dockerfile = request.sources.dockerfile.text()?.clone();
        let context = match request.sources.context.folder() {
            Some(folder) => MainContext::Folder(folder.to_owned()),
            None => MainContext::Files(Files::default()),
        };
        Some(Build::of(request, dockerfile, context))
    }

    /// Adds what decides about the image and is not in the plan; `None` where no key knows all of it.
    pub(crate) fn key(&self, key: KeyBuilder) -> Option<KeyBuilder> {
        let Self {
            // the plan is made of these
            dockerfile: _,
            context: _,
            contexts: _,
            ignore_file: _,
            policies: _,
            language: _,
            run,
            form,
            reuse,
            goal,
            notices: _,
            project: _,
        } = self;
        form.key(goal.key(reuse.key(run.key(key)))?)
    }

    fn of(request: Request, dockerfile: DockerfileText, context: MainContext) -> Self {
        // one in the context is called so once it is found
        let named = |project: Project| match project.file.as_str() {
            "" => Project {
                file: dockerfile.name.clone(),
                ..project
            },
            _ => project,
        };
        Build {
            project: request.project.map(named),
            dockerfile,
            context,
            contexts: request.sources.contexts,
            ignore_file: request.sources.ignore_file,
            policies: request.sources.policies,
            language: request.language,
            run: request.run,
            form: request.form,
            reuse: request.reuse,
            goal: request.goal,
            notices: request.notices,
        }
    }
}

/// See the module; `stream` is standard input, read on a thread that is left behind when the build is stopped.
///
/// # Errors
/// When something cannot be fetched or read, or there is no Dockerfile.
pub fn open(
    session: &Session,
    mut request: Request,
    stream: impl Read + Send + 'static,
) -> Result<Build, BuildError> {
    policy::sources(&mut request.sources)?;
    let access = Access::of(session, &request.run, &request.sources.policies);
    let fetches = Fetches::default();
    let main = match &request.sources.context {
        MainSource::Stream => main_context::of_stream(session, stream)?,
        MainSource::Named(source) => {
            main_context::named(access, &fetches, source, &request.language)?
        }
    };
    let dockerfile = match &main.alone {
        Some(alone) => alone.clone(),
        None => read(access, &fetches, &request.sources.dockerfile, &main)?,
    };
    take_layouts(session, &request.form, &mut request.sources.contexts)?;
    Ok(Build::of(request, dockerfile, main.context))
}

fn read(
    access: Access<'_>,
    fetches: &Fetches,
    source: &DockerfileSource,
    main: &Main,
) -> Result<DockerfileText, BuildError> {
    let store = &access.session.store;
    match source {
        DockerfileSource::Text(text) => Ok(text.clone()),
        DockerfileSource::InContext(name) => match &main.context {
            MainContext::Folder(folder) => in_folder(folder, name.as_deref()),
            MainContext::Files(files) => in_layer(store, files.layer, name.as_deref(), &main.name),
        },
        DockerfileSource::File { url, checksum } => {
            let layer = file(access, fetches, url, checksum.clone())?.layer;
            let read = in_layer(store, layer, Some(FILE_NAME), url)?;
            Ok(DockerfileText {
                name: redacted(url),
                ..read
            })
        }
    }
}

/// Images of OCI layouts go into the store, without a name.
fn take_layouts(
    session: &Session,
    form: &Form,
    contexts: &mut BTreeMap<String, ContextSource>,
) -> Result<(), BuildError> {
    // what a stage may ask for without naming it
    let mut platforms = form.platforms();
    platforms.push(Platform::host());
    for source in contexts.values_mut() {
        if let ContextSource::OciLayout(folder, reference) = source {
            let manifest =
                oci_layout::take(&session.store, folder, reference.as_deref(), &platforms)?;
            *source = ContextSource::Image(manifest.to_string());
        }
    }
    Ok(())
}
