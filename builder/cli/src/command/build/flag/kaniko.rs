//! `--destination` and what else says in kaniko where the image goes: names that are pushed, archives, one layer. Unaware of how any of
//! it is done.

use super::Flag;
use crate::catalog;
use crate::failure::Failure;
use kiln_engine::{Attributes, Request, Squash, exporter};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Kaniko {
    /// Name of the image, to which it is pushed too, as kaniko does; not with --no-push (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    destination: Vec<String>,
    /// Push to no --destination, for --tar-path alone
    #[arg(long, conflicts_with = "push")]
    no_push: bool,
    /// Write the image to an archive too, as --output type=docker,dest=FILE
    #[arg(long, value_name = "FILE")]
    tar_path: Option<String>,
    /// Write the image to an OCI layout, as --output type=oci,tar=false,dest=DIR
    #[arg(long, value_name = "DIR")]
    oci_layout_path: Option<String>,
    /// The same as --squash, as kaniko calls it
    #[arg(long)]
    single_snapshot: bool,
}

impl Flag for Kaniko {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.single_snapshot && request.form.squash == Squash::Nothing {
            request.form.squash = Squash::Added;
        }
        if self.no_push && self.destination.is_empty() {
            request
                .notices
                .push("--no-push has no effect: building never pushes".to_owned());
        }
        for name in &self.destination {
            let name = catalog::new_name(name)?;
            if !request.goal.tags.contains(&name) {
                request.goal.tags.push(name);
            }
        }
        if let Some(file) = &self.tar_path {
            write(request, "--tar-path", &[("type", "docker"), ("dest", file)])?;
        }
        if let Some(folder) = &self.oci_layout_path {
            let layout = [("type", "oci"), ("tar", "false"), ("dest", folder)];
            write(request, "--oci-layout-path", &layout)?;
        }
        for name in self.destination.iter().filter(|_| !self.no_push) {
            let parsed = catalog::new_name(name)?;
            // once is enough, also for --push
            if !request
                .goal
                .outputs
                .iter()
                .any(|output| output.pushes(&parsed))
            {
                write(
                    request,
                    "--destination",
                    &[("type", "registry"), ("name", name)],
                )?;
            }
        }
        Ok(())
    }
}

/// One more output, for this flag.
fn write(request: &mut Request, flag: &str, pairs: &[(&str, &str)]) -> Result<(), Failure> {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let made = exporter(Attributes::new(pairs));
    let made = made.map_err(|error| Failure::usage(format!("{flag}: {error}")))?;
    request.goal.outputs.push(Arc::from(made));
    Ok(())
}
