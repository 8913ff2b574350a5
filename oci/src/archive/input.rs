//! Turns what the caller gives (a file or its parts, a directory, a stream, compressed or not) into
//! something that can be read at any place, or only once. Unaware of what is inside.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::members::unreadable;
use super::volumes::Volumes;
use super::{LoadError, MAX_SPOOL};
use crate::compression::{self, Encoding, SNIFF};

/// Where an archive comes from.
pub enum Input<'a> {
    /// A file, or the parts that `save --split` cut it into; or a directory with an OCI layout or
    /// an unpacked docker archive.
    File(&'a Path),
    /// A stream, which is read once.
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
pub(super) enum Seekable {
    /// A plain tar.
    Tar(Volumes),
    /// A directory.
    Directory(PathBuf),
}

/// An input, opened.
pub(super) enum Opened<'a> {
    /// Can be read at any place.
    Seekable(Seekable),
    /// Can be read once: a compressed file.
    Compressed(Volumes),
    /// Can be read once.
    Stream(Box<dyn Read + Send + 'a>),
}

/// Opens `input` without reading more than its first bytes.
pub(super) fn open(input: Input<'_>) -> Result<Opened<'_>, LoadError> {
    let path = match input {
        Input::File(path) => path,
        Input::Stream(stream) => return Ok(Opened::Stream(stream)),
    };
    // Following links is right here: it is the user who names this file.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Ok(Opened::Seekable(Seekable::Directory(path.into())));
        }
        Ok(metadata) if !metadata.is_file() => {
            let file = fs::File::open(path).map_err(unreadable(path))?;
            return Ok(Opened::Stream(Box::new(file)));
        }
        // Perhaps there are parts.
        _ => {}
    }
    let volumes = Volumes::open(path)?;
    Ok(match sniff(&volumes)? {
        Encoding::Plain => Opened::Seekable(Seekable::Tar(volumes)),
        _ => Opened::Compressed(volumes),
    })
}

/// Opens `input`, spooling it into an unnamed file in `scratch` when it is a stream or compressed.
pub(super) fn seekable(input: Input<'_>, scratch: &Path) -> Result<Seekable, LoadError> {
    match open(input)? {
        Opened::Seekable(source) => Ok(source),
        Opened::Compressed(volumes) => spool(volumes.reader(), scratch),
        Opened::Stream(stream) => spool(stream, scratch),
    }
}

fn sniff(volumes: &Volumes) -> io::Result<Encoding> {
    let mut start = [0; SNIFF];
    let mut filled = 0;
    while filled < SNIFF {
        match volumes.read_at(&mut start[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(compression::sniff(&start[..filled]))
}

fn spool(stream: impl Read, scratch: &Path) -> Result<Seekable, LoadError> {
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
            return Err(LoadError::too_large("bytes", MAX_SPOOL));
        }
        file.write_all(&buffer[..n]).map_err(unwritable)?;
    }
    Ok(Seekable::Tar(Volumes::of(file)?))
}
