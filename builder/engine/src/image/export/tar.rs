//! `type=tar`: the files of the result in one tar, with their owners, times and attributes, in the same bytes each time. Unaware of
//! layers.

use super::Kind;
use super::destination::Destination;
use super::files;
use crate::failure::ExportError;
use crate::image::flatten;
use crate::request::{BuildResult, Exporter};
use kiln_oci::tarfile;

/// `type=tar`.
pub(super) const KIND: Kind = Kind {
    name: "tar",
    keys: &["dest", "platform-split", "rewrite-timestamp"],
    make: |mut attributes| {
        let destination = Destination::of(attributes.take("dest"));
        attributes.flag("rewrite-timestamp", true)?;
        Ok(Box::new(Tar {
            destination,
            split: attributes.choice("platform-split")?,
        }))
    },
};

#[derive(Debug)]
struct Tar {
    destination: Destination,
    split: Option<bool>,
}

impl Exporter for Tar {
    fn takes_away(&self) -> bool {
        true
    }

    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        self.destination.write(&result.session.cancel, |out| {
            files::each(result, self.split, |chain, file| {
                let first = file.first_name.as_deref();
                Ok(flatten::write_entry(
                    chain,
                    &file.found,
                    &file.path,
                    first,
                    file.mtime,
                    out,
                )?)
            })?;
            tarfile::write_end(out).map_err(ExportError::io("write", "the tar"))
        })
    }

    fn is_stream(&self) -> bool {
        self.destination == Destination::Stdout
    }
}
