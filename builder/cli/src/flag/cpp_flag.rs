//! A Dockerfile whose name ends in `.in` goes through the host's C preprocessor first, as in buildah; `--cpp-flag` and
//! `BUILDAH_CPPFLAGS` give it flags. What is said of the Dockerfile later is about the text that came out. Unaware of instructions.

use super::Flag;
use crate::environment;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use kiln_engine::{
    Build, BuildError, DockerfileSource, DockerfileText, Request, Sources, repaired,
};
use kiln_parser::words::{NoVariables, Style, WordError, expand_words};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Such files are preprocessed.
const ENDING: &str = ".in";
/// What it is called afterwards.
const DONE: &str = " (preprocessed)";
/// What cpp says of a comment of a Dockerfile, which it takes for a directive and leaves out.
const COMMENT: &str = "invalid preprocessing directive";

/// What to do without a preprocessor.
const HINT: &str = "kiln runs the C preprocessor on files whose name ends in .in: install the package cpp, or rename the file";

/// Why a Dockerfile is not preprocessed.
#[derive(Debug, thiserror::Error)]
pub enum CppError {
    #[error("cannot start cpp: {0}")]
    Start(io::Error),
    #[error("BUILDAH_CPPFLAGS: {0}")]
    Variable(WordError),
    #[error("preprocessing failed:\n{0}")]
    Text(String),
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Flag for cpp, which preprocesses Dockerfiles whose name ends in .in, such as -DDEBUG (may be repeated)
    #[arg(long, value_name = "FLAG", add = Takes::List)]
    cpp_flag: Vec<String>,
}

impl Flags {
    /// Preprocesses the Dockerfile, if its name asks for it and it was not done yet.
    ///
    /// # Errors
    /// When there is no cpp, or it finds an error.
    fn preprocess(
        &self,
        dockerfile: &mut DockerfileText,
        folder: Option<&Path>,
    ) -> Result<(), CppError> {
        if !dockerfile.name.ends_with(ENDING) {
            return Ok(());
        }
        let output = run(&self.flags()?, &dockerfile.text, folder).map_err(CppError::Start)?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && !are_comments(&complaints) {
            return Err(CppError::Text(complaints.trim_end().to_owned()));
        }
        dockerfile.text = repaired(&output.stdout);
        dockerfile.name += DONE;
        Ok(())
    }

    /// Those of the variable come first, so that the command line can undo them.
    fn flags(&self) -> Result<Vec<String>, CppError> {
        let variable = environment::variable("BUILDAH_CPPFLAGS").unwrap_or_default();
        let words = expand_words(&variable, Style::new('\\'), &NoVariables);
        let (mut flags, _) = words.map_err(CppError::Variable)?;
        flags.extend(self.cpp_flag.iter().cloned());
        Ok(flags)
    }
}

impl CppError {
    /// As a failure of the Dockerfile of this name.
    fn of(self, name: &str) -> Failure {
        let kind = match self {
            CppError::Start(_) => Kind::Environment,
            CppError::Variable(_) => Kind::Usage,
            CppError::Text(_) => Kind::Build,
        };
        let failure = Failure::new(kind, format!("{name}: {self}"));
        match self {
            CppError::Start(_) => failure.hint(HINT),
            _ => failure,
        }
    }
}

/// buildah's arguments. Files that are included are looked for in the context.
fn run(flags: &[String], text: &str, folder: Option<&Path>) -> io::Result<Output> {
    let mut command = Command::new("cpp");
    command.arg("-E");
    if let Some(folder) = folder {
        command.arg("-iquote").arg(folder);
    }
    command.args(["-traditional", "-undef", "-"]).args(flags);
    // its messages are read
    command.env("LC_ALL", "C");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    // what it does not read it does not need
    let write = move || stdin.map(|mut stdin| stdin.write_all(text.as_bytes()));
    let (_, output) = kiln_cache::beside(write, || child.wait_with_output())?;
    output
}

/// Whether all errors are about comments.
fn are_comments(complaints: &str) -> bool {
    let mut errors = complaints
        .lines()
        .filter(|line| line.contains("error: "))
        .peekable();
    errors.peek().is_some() && errors.all(|line| line.contains(COMMENT))
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let Sources {
            dockerfile,
            context,
            ..
        } = &mut request.sources;
        let DockerfileSource::Text(dockerfile) = dockerfile else {
            return Ok(());
        };
        let name = dockerfile.name.clone();
        if !self.cpp_flag.is_empty() && !name.ends_with(ENDING) && !name.ends_with(DONE) {
            let why = "only Dockerfiles whose name ends in .in are preprocessed";
            request
                .notices
                .push(format!("--cpp-flag has no effect: {why}"));
        }
        self.preprocess(dockerfile, context.folder())
            .map_err(|error| error.of(&name))
    }

    /// A Dockerfile that came from outside is preprocessed when it is there.
    fn opened(&self, build: &mut Build) -> Result<(), BuildError> {
        let path = build.dockerfile.name.clone().into();
        let preprocessed = self.preprocess(&mut build.dockerfile, build.context.folder());
        preprocessed.map_err(|error| BuildError::File {
            path,
            wrong: error.to_string().into(),
        })
    }
}
