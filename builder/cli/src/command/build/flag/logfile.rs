//! `--logfile`, `--logsplit`: progress goes to a file, or one for each platform, instead of standard error. What fails is still said
//! there. Unaware of what is written.

use super::Flag;
use crate::failure::{Failure, Kind};
use crate::render::{self, Progress, Renderer, Sink};
use kiln_engine::Request;
use kiln_oci::Platform;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Logfile {
    /// File that progress is written to instead of standard error, as plain lines or, with --progress json, as JSON
    #[arg(long, value_name = "FILE")]
    logfile: Option<PathBuf>,
    /// Write what steps do to FILE_OS_ARCH for each platform, and only the rest to the --logfile FILE
    #[arg(long)]
    logsplit: bool,
}

/// Where progress goes, and in which form.
pub struct Log {
    /// What belongs to no step, or all.
    pub sink: Sink,
    pub progress: Progress,
    /// Name of the platform and its file.
    parts: Vec<(String, PathBuf, Sink)>,
}

impl Logfile {
    /// Opens the files. A log may quote what only the caller should read.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn open(&self, progress: Progress, request: &Request) -> Result<Log, Failure> {
        let Some(path) = &self.logfile else {
            return Ok(Log {
                sink: Sink::stderr(),
                progress,
                parts: Vec::new(),
            });
        };
        let mut parts = Vec::new();
        let platforms = request.language.platforms();
        for platform in platforms.iter().filter(|_| self.logsplit) {
            let path = part(path, platform, &platforms);
            parts.push((platform.to_string(), path.clone(), create(&path)?));
        }
        let progress = match progress {
            Progress::Auto | Progress::Tty => Progress::Plain,
            other => other,
        };
        Ok(Log {
            sink: create(path)?,
            progress,
            parts,
        })
    }

    /// Whether all of the log was written.
    ///
    /// # Errors
    /// When a part could not be.
    pub fn check(&self, log: &Log) -> Result<(), Failure> {
        let common = self.logfile.iter().map(|path| (path, &log.sink));
        let parts = log.parts.iter().map(|(_, path, sink)| (path, sink));
        for (path, sink) in common.chain(parts) {
            if let Some(error) = sink.failure() {
                let message = format!(
                    "--logfile {}: the log is not complete: {error}",
                    path.display()
                );
                return Err(Failure::new(Kind::Environment, message)
                    .hint("the image itself is built and in the store"));
            }
        }
        Ok(())
    }
}

impl Log {
    /// What writes it.
    pub fn renderer(&self, no_color: bool) -> Box<dyn Renderer> {
        let open = |sink: &Sink| render::open(self.progress, no_color, sink.clone());
        let common = open(&self.sink);
        if self.parts.is_empty() {
            return common;
        }
        let parts = self
            .parts
            .iter()
            .map(|(platform, _, sink)| (platform.clone(), open(sink)));
        Box::new(render::Split::new(common, parts.collect()))
    }
}

fn create(path: &Path) -> Result<Sink, Failure> {
    let mut how = OpenOptions::new();
    let file = how
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.map(Sink::file).map_err(|error| {
        Failure::new(
            Kind::Environment,
            format!("--logfile {}: {error}", path.display()),
        )
    })
}

/// buildah's name; with the variant where another platform would have the same.
fn part(path: &Path, platform: &Platform, all: &[Platform]) -> PathBuf {
    let name = |platform: &Platform| format!("_{}_{}", platform.os, platform.architecture);
    let mut file = path.as_os_str().to_owned();
    file.push(name(platform));
    let same = all
        .iter()
        .filter(|other| name(other) == name(platform))
        .count();
    if let Some(variant) = platform.variant.as_ref().filter(|_| same > 1) {
        file.push(format!("_{variant}"));
    }
    file.into()
}

impl Flag for Logfile {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.logsplit && self.logfile.is_none() {
            request
                .notices
                .push("--logsplit has no effect: there is no --logfile".to_owned());
        }
        Ok(())
    }
}
