//! Turns what the caller gives (a file, a directory, a stream, compressed or not) into something
//! that can be read at any place. Unaware of what is inside.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{LoadError, MAX_SPOOL};
use crate::compression::{self, Encoding, SNIFF};

/// Where an archive comes from.
pub enum Input<'a> {
    /// A file, which is not copied unless it is compressed; or a directory with an OCI layout or an
    /// unpacked docker archive.
    File(&'a Path),
    /// A stream, which is copied into the scratch directory.
    Stream(Box<dyn Read + Send + 'a>),
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// An archive that can be read at any place.
#[derive(Debug)]
pub(super) enum Source {
    /// A plain tar.
    Tar(File),
    /// A directory.
    Directory(PathBuf),
}

/// Opens `input`, spooling it into an unnamed file in `scratch` when it is a stream or compressed.
pub(super) fn open(input: Input<'_>, scratch: &Path) -> Result<Source, LoadError> {
    let path = match input {
        Input::File(path) => path,
        Input::Stream(stream) => return spool(stream, scratch),
    };
    let unreadable = |source| LoadError::Open {
        path: path.into(),
        source,
    };
    // Following links is right here: it is the user who names this file.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Ok(Source::Directory(path.into()));
    }
    let file = File::open(path).map_err(unreadable)?;
    if metadata.is_file() && sniff(&file)? == Encoding::Plain {
        Ok(Source::Tar(file))
    } else {
        spool(file, scratch)
    }
}

fn sniff(file: &File) -> io::Result<Encoding> {
    use std::os::unix::fs::FileExt;
    let mut start = [0; SNIFF];
    let mut filled = 0;
    while filled < SNIFF {
        match file.read_at(&mut start[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(compression::sniff(&start[..filled]))
}

fn spool(stream: impl Read, scratch: &Path) -> Result<Source, LoadError> {
    let unwritable = |source| LoadError::Spool {
        directory: scratch.into(),
        source,
    };
    let (encoding, mut content) = compression::auto(stream)?;
    let mut file = tempfile::tempfile_in(scratch).map_err(unwritable)?;
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        let n = match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) if encoding == Encoding::Plain => return Err(source.into()),
            Err(source) => return Err(LoadError::Decompress { encoding, source }),
        };
        total += n as u64;
        if total > MAX_SPOOL {
            return Err(LoadError::TooLarge {
                what: "bytes",
                limit: MAX_SPOOL,
            });
        }
        file.write_all(&buffer[..n]).map_err(unwritable)?;
    }
    Ok(Source::Tar(file))
}
