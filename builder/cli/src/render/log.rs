//! Where progress goes: to standard error, or to a file, or to one for each platform (`--logfile`, `--logsplit`). Unaware of what is
//! written.

use super::{Progress, Renderer, Sink, Split, open};
use crate::failure::{Failure, Kind};
use kiln_oci::Platform;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where progress goes, and in which form.
pub struct Log {
    /// What belongs to no step, or all.
    pub sink: Sink,
    pub progress: Progress,
    /// All files.
    files: Vec<(PathBuf, Sink)>,
    /// Those of platforms, by the platform's name.
    parts: Vec<(String, Sink)>,
}

impl Log {
    /// Opens the files. A log may quote what only the caller should read.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn open(
        progress: Progress,
        file: Option<&Path>,
        platforms: &[Platform],
    ) -> Result<Log, Failure> {
        let mut log = Log {
            sink: Sink::stderr(),
            progress,
            files: Vec::new(),
            parts: Vec::new(),
        };
        let Some(file) = file else {
            return Ok(log);
        };
        for platform in platforms {
            let sink = log.create(part(file, platform, platforms))?;
            log.parts.push((platform.to_string(), sink));
        }
        log.sink = log.create(file.to_owned())?;
        if matches!(progress, Progress::Auto | Progress::Tty) {
            log.progress = Progress::Plain;
        }
        Ok(log)
    }

    fn create(&mut self, path: PathBuf) -> Result<Sink, Failure> {
        let mut how = OpenOptions::new();
        let how = how.create(true).write(true).truncate(true).mode(0o600);
        let file = how.open(&path).map_err(|error| {
            let message = format!("--logfile {}: {error}", path.display());
            Failure::new(Kind::Environment, message)
        })?;
        let sink = Sink::file(file);
        self.files.push((path, sink.clone()));
        Ok(sink)
    }

    /// Whether all of the log was written.
    ///
    /// # Errors
    /// When a part could not be.
    pub fn check(&self) -> Result<(), Failure> {
        for (path, sink) in &self.files {
            if let Some(error) = sink.failure() {
                let path = path.display();
                let message = format!("--logfile {path}: the log is not complete: {error}");
                return Err(Failure::new(Kind::Environment, message)
                    .hint("the image itself is built and in the store"));
            }
        }
        Ok(())
    }

    /// What writes it.
    pub fn renderer(&self, no_color: bool) -> Box<dyn Renderer> {
        let open = |sink: &Sink| open(self.progress, "building", no_color, sink.clone());
        let common = open(&self.sink);
        if self.parts.is_empty() {
            return common;
        }
        let parts = self.parts.iter();
        let parts = parts.map(|(platform, sink)| (platform.clone(), open(sink)));
        Box::new(Split::new(common, parts.collect()))
    }
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
