//! The way of `type=docker` into containerd without docker: its own program `ctr` reads an archive, and containerd keeps of it what it lacks.
//! containerd's socket speaks gRPC, which `ctr` does well. Unaware of how containerd is found.

use super::destination::stream;
use super::handover::Handover;
use crate::failure::ExportError;
use crate::session::Session;
use crate::transfer::archive;
use crate::transfer::attributes::Attributes;
use kiln_oci::Digest;
use kiln_oci::archive::{Saving, Target};
use kiln_sandbox::host_program;
use std::io;
use std::path::Path;
use std::process::{Child, Output, Stdio};

const PROGRAM: &str = "ctr";

/// A containerd.
#[derive(Debug)]
pub(super) struct Containerd {
    /// The path of its socket.
    address: String,
    /// Whose images it holds apart from others.
    namespace: String,
}

impl Containerd {
    /// The one that `containerd=` and `namespace=` name.
    pub(super) fn take(attributes: &mut Attributes) -> Option<Self> {
        let namespace = attributes.take("namespace");
        Some(Self {
            address: attributes.take("containerd")?,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        })
    }

    /// Takes the one image of a result there; the ID that it has there, which is the digest of its manifest.
    ///
    /// # Errors
    /// There is no `ctr`, or containerd does not take the image.
    pub(super) fn load(&self, saving: &Saving, session: &Session) -> Result<Digest, ExportError> {
        let [image] = &saving.images[..] else {
            let why = "containerd gets one platform of an image: choose one with --platform";
            return Err(ExportError::Unsupported(why.to_owned()));
        };
        archive::fetch::layers(&session.store, saving)?;
        let mut child = self.start(&session.host.search_path)?;
        let written = give(&mut child, saving, session);
        let output = child.wait_with_output();
        let output = output.map_err(ExportError::io("wait for", PROGRAM))?;
        if session.cancel.requested() {
            return Err(ExportError::Cancelled);
        }
        judged(&output)?;
        written?;
        Ok(Digest::of(&image.manifest))
    }

    fn start(&self, search_path: &str) -> Result<Child, ExportError> {
        let mut ctr = host_program(PROGRAM, search_path);
        ctr.args(["--address", &self.address, "--namespace", &self.namespace]);
        ctr.args(["images", "import", "-"]);
        ctr.stdin(Stdio::piped());
        ctr.stdout(Stdio::null()).stderr(Stdio::piped());
        ctr.spawn().map_err(ExportError::io("start", PROGRAM))
    }
}

/// Gives it the archive; what is stopped meanwhile is killed.
fn give(child: &mut Child, saving: &Saving, session: &Session) -> Result<(), ExportError> {
    let pipe = child.stdin.take();
    let open = move || pipe.ok_or_else(|| io::ErrorKind::BrokenPipe.into());
    let out = Handover::new(&session.cancel, open);
    let given = stream(out, Path::new(PROGRAM), |out| {
        Ok(archive::write(Target::Tar(out), saving, &session.store)?)
    });
    if session.cancel.requested() {
        // one that has ended is waited for all the same
        let _ = child.kill();
    }
    given
}

/// What the program said, if it failed: that tells more than a pipe that is closed.
fn judged(output: &Output) -> Result<(), ExportError> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("ctr: ").to_owned();
    Err(ExportError::Containerd { said })
}
