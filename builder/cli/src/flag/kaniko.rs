//! `--destination` and what else says in kaniko where the image goes: names that are pushed, archives, one layer. Unaware of how any of
//! it is done.

use super::{Flag, output};
use crate::catalog;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{Request, Squash};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Name for the image, which is also pushed there unless --no-push is given, as in kaniko (may be repeated)
    #[arg(short, long, value_name = "NAME", add = Takes::StrictList)]
    destination: Vec<String>,
    /// Do not push to any --destination
    #[arg(long, conflicts_with = "push", add = Takes::Switch)]
    no_push: bool,
    /// Also write the image to an archive, like --output type=docker,dest=FILE
    #[arg(long, value_name = "FILE", alias = "tarPath", add = Takes::Single)]
    tar_path: Option<String>,
    /// Also write the image to an OCI layout, like --output type=oci,tar=false,dest=DIR
    #[arg(long, value_name = "DIR", add = Takes::Single)]
    oci_layout_path: Option<String>,
    /// The same as --squash, as kaniko calls it
    #[arg(long, add = Takes::Switch)]
    single_snapshot: bool,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.single_snapshot && request.form.squash == Squash::Nothing {
            request.form.squash = Squash::Added;
        }
        if self.no_push && self.destination.is_empty() {
            let notice = "--no-push has no effect: building never pushes";
            request.notices.push(notice.to_owned());
        }
        for name in &self.destination {
            let name = catalog::new_name(name)?;
            if !request.goal.tags.contains(&name) {
                request.goal.tags.push(name);
            }
        }
        if let Some(file) = &self.tar_path {
            write(request, "--tar-path", [("type", "docker"), ("dest", file)])?;
        }
        if let Some(folder) = &self.oci_layout_path {
            let layout = [("type", "oci"), ("tar", "false"), ("dest", folder)];
            write(request, "--oci-layout-path", layout)?;
        }
        self.destination
            .iter()
            .filter(|_| !self.no_push)
            .try_for_each(|name| push(request, name))
    }
}

/// Pushes to a name; once is enough, also for `--push`.
fn push(request: &mut Request, name: &str) -> Result<(), Failure> {
    let parsed = catalog::new_name(name)?;
    let outputs = &request.goal.outputs;
    if outputs.iter().any(|output| output.pushes(&parsed)) {
        return Ok(());
    }
    write(
        request,
        "--destination",
        [("type", "registry"), ("name", name)],
    )
}

fn write<const COUNT: usize>(
    request: &mut Request,
    flag: &str,
    pairs: [(&str, &str); COUNT],
) -> Result<(), Failure> {
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    output::add(request, flag, pairs)
}
