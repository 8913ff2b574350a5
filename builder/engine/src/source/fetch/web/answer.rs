//! What a server answers: its content as it was before it was compressed for the way, its headers, and what its refusals mean.
//! Unaware of how it was asked.

use super::{Downloaded, Request, date, reason};
use crate::event::cancel::Cancel;
use crate::failure::FetchError;
use kiln_oci::Hasher;
use kiln_oci::compression::{self, Encoding};
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{
    CONTENT_ENCODING, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER,
};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// A header that is longer is no use.
const MAX_HEADER: usize = 1024;
/// How much is read at once.
const PIECE: usize = 256 << 10;

/// Why a try failed, and whether another may not.
pub(super) struct Failed {
    pub(super) error: FetchError,
    /// `Some` for failures that pass; the pause that the server asks for.
    pub(super) again: Option<Option<Duration>>,
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Failed { error, again: None }
    }
}

/// Writes the content to the file `into`, at most `limit` bytes of it.
pub(super) fn receive(
    cancel: &Cancel,
    request: &Request,
    answer: Response,
    limit: u64,
    into: &Path,
) -> Result<Downloaded, Failed> {
    let headers = answer.headers().clone();
    let too_large = || {
        let url = request.shown();
        Failed::from(FetchError::TooLarge { url, limit })
    };
    if answer.content_length().unwrap_or(0) > limit {
        return Err(too_large());
    }
    let mut content = decoded(answer).map_err(|error| cut_off(request, 0, &error))?;
    let mut file = File::create(into).map_err(|error| io("make", into, error))?;
    let mut hasher = Hasher::new();
    let (mut size, mut buffer) = (0_u64, vec![0; PIECE]);
    loop {
        if cancel.requested() {
            return Err(FetchError::Cancelled.into());
        }
        let count = content
            .read(&mut buffer)
            .map_err(|error| cut_off(request, size, &error))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > limit {
            return Err(too_large());
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])
            .map_err(|error| io("write", into, error))?;
    }
    let last_modified = header(&headers, &LAST_MODIFIED);
    Ok(Downloaded {
        sha256: hasher.finish(),
        size,
        etag: header(&headers, &ETAG),
        modified: last_modified.as_deref().and_then(date::seconds),
        last_modified,
        date: header(&headers, &DATE).and_then(|date| date::seconds(&date)),
    })
}

/// The content without the compression that was asked for; any other stays, as it does in Go.
fn decoded(answer: Response) -> std::io::Result<Box<dyn Read>> {
    let encoding = header(answer.headers(), &CONTENT_ENCODING);
    let is_gzip = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    match is_gzip && answer.content_length() != Some(0) {
        true => compression::decoder(answer, Encoding::Gzip),
        false => Ok(Box::new(answer)),
    }
}

/// The first header of a name.
pub(super) fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty() && text.len() <= MAX_HEADER)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Failed {
    let path = path.to_owned();
    FetchError::Io {
        action,
        path,
        source,
    }
    .into()
}

/// No answer: what a redirect or the address itself caused will not change, a connection may.
pub(super) fn broken(request: &Request, error: &reqwest::Error) -> Failed {
    let passes = !(error.is_redirect() || error.is_builder());
    Failed {
        error: FetchError::Connection {
            url: request.shown(),
            reason: reason(error),
        },
        again: passes.then_some(None),
    }
}

fn cut_off(request: &Request, size: u64, error: &std::io::Error) -> Failed {
    Failed {
        error: FetchError::Connection {
            url: request.shown(),
            reason: format!(
                "the connection broke after {size} bytes: {}",
                crate::failure::chain_of_causes(error)
            ),
        },
        again: Some(None),
    }
}

pub(super) fn refused(request: &Request, status: StatusCode, headers: &HeaderMap) -> Failed {
    let asked = header(headers, &RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    Failed {
        error: FetchError::Status {
            url: request.shown(),
            status: status.to_string(),
        },
        again: passes.then_some(asked.map(Duration::from_secs)),
    }
}
