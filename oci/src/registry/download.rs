//! A blob into a file, continued from what the file holds. Unaware of where the file is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::blob::BlobStream;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::session::Session;
use crate::descriptor::Descriptor;
use crate::digest::Hasher;

/// How often a blob with wrong content is fetched from its first byte.
const TRIES: usize = 2;
/// Bytes that are read at once when a part file is digested.
const PIECE: usize = 1 << 20;

impl Session {
    /// Fetches a blob into `path`; see [`Client::download`](super::Client::download).
    pub(super) async fn download(
        &self,
        endpoints: &[Endpoint],
        blob: &Descriptor,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let wrong = |source| Error::Part {
            path: path.into(),
            source,
        };
        let permit = self.wait(self.transfers.acquire()).await?;
        let _permit = permit.map_err(|error| wrong(io::Error::other(error)))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(wrong)?;
        for attempt in 1.. {
            match self.fill(endpoints, blob, &mut file, path, progress).await {
                Err(Error::Content { .. }) if attempt < TRIES => {
                    // What the part file held may have been wrong.
                    file.set_len(0).map_err(wrong)?;
                }
                Err(error @ Error::Content { .. }) => {
                    std::fs::remove_file(path).map_err(wrong)?;
                    return Err(error);
                }
                end => return end,
            }
        }
        Ok(())
    }

    async fn fill(
        &self,
        endpoints: &[Endpoint],
        blob: &Descriptor,
        file: &mut File,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let wrong = |source| Error::Part {
            path: path.into(),
            source,
        };
        let (hasher, offset) = self.held(file, blob.size, &wrong)?;
        progress(offset);
        let mut stream = BlobStream::new(endpoints.to_vec(), blob, hasher, offset);
        while let Some(bytes) = stream.next(self).await? {
            file.write_all(&bytes).map_err(wrong)?;
            progress(stream.offset());
        }
        Ok(())
    }

    /// The digest so far and the length of what a part file holds; the file stands at its end.
    fn held(
        &self,
        file: &mut File,
        size: u64,
        wrong: &impl Fn(io::Error) -> Error,
    ) -> Result<(Hasher, u64)> {
        let mut hasher = Hasher::default();
        let length = file.metadata().map_err(wrong)?.len();
        if length > size {
            file.set_len(0).map_err(wrong)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        loop {
            self.check()?;
            match file.read(&mut piece).map_err(wrong)? {
                0 => return Ok((hasher, offset)),
                read => {
                    hasher.update(&piece[..read]);
                    offset += read as u64;
                }
            }
        }
    }
}
