//! A step's output: every byte goes to a file, at the command's own speed; whoever wants to show it follows the file.
//! Unaware of renderers. The file is in the process's scratch and goes with it.

use crate::event::EventKind;
use crate::execute::Execution;
use crate::failure::StepError;
use kiln_parser::graph::Node;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::JoinHandle;

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    /// The file.
    pub path: PathBuf,
    pump: JoinHandle<std::io::Result<()>>,
}

/// Starts a log; the command writes to the file descriptor that is returned.
///
/// A pipe and not the file itself: `echo > /dev/stdout` must not truncate the log.
///
/// # Errors
/// When the file or the pipe cannot be made.
pub fn start(execution: &Execution<'_>, node: &Node) -> Result<(Log, OwnedFd), StepError> {
    let folder = execution.session.store.scratch_dir("log")?;
    let path = folder.join(format!("step-{}.log", node.id.0));
    let failed = |source: std::io::Error| StepError::Io {
        action: "write",
        path: path.clone(),
        source,
    };
    let mut file = File::create(&path).map_err(failed)?;
    let (mut reader, writer) = std::io::pipe().map_err(failed)?;
    let pump = std::thread::spawn(move || {
        std::io::copy(&mut reader, &mut file)?;
        file.flush()
    });
    execution.session.events.send(EventKind::Log {
        step: node.id.0,
        path: path.clone(),
    });
    Ok((Log { path, pump }, writer.into()))
}

impl Log {
    /// Waits until all output is in the file.
    ///
    /// # Errors
    /// When it could not be written, because the disk is full.
    pub fn finish(self) -> Result<PathBuf, StepError> {
        match self.pump.join() {
            Ok(Err(source)) => Err(StepError::Io {
                action: "write",
                path: self.path,
                source,
            }),
            // A pump that panicked has lost output, but not the step.
            Ok(Ok(())) | Err(_) => Ok(self.path),
        }
    }
}
