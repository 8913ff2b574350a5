//! A registry on a loopback port that misbehaves as it is told: each fault is for some requests, some times. Unaware of
//! who asks it; the tests of the client and the end-to-end tests include it.
//!
//! One thread a connection, one request a connection, everything in memory. It speaks plain http; a TLS greeting is
//! answered as Go's servers do, with a plain 400.

#![allow(dead_code)] // Each of those who include this file uses a part of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use kiln_oci::Digest;

#[path = "registry_wire.rs"]
mod wire;

use wire::{Answer, read_head, write_answer};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Only so many bytes of the body, then the end.
    Truncate(usize),
    /// So many bytes of the body, then one byte after each pause.
    Drip(usize, Duration),
    /// So many bytes of the body, then nothing.
    Stall(usize),
    /// No answer at all.
    Silence,
    /// The answer as it is, after a pause.
    Late(Duration),
    /// The first byte of the body is another one.
    Corrupt,
    /// Another length is announced.
    Length(u64),
    /// Another digest is announced.
    DigestHeader(String),
    /// Elsewhere.
    Redirect(u16, String),
    /// A kilobyte in each of so many headers.
    Headers(usize),
    /// The range is not looked at.
    IgnoreRange,
    /// The range is refused.
    RefuseRange,
    /// So many bytes of what is sent are kept, then the connection is reset.
    Reset(usize),
}

/// Which requests a fault is for, how often.
struct Rule {
    method: &'static str,
    part: String,
    fault: Fault,
    times: usize,
}

/// What must be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    Open,
    /// `user:password` with each request.
    Basic,
    /// A token, which is handed out to `user:password`.
    Token,
    /// A token, which is handed out to anybody.
    AnonymousToken,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    seen: Vec<Seen>,
    rules: Vec<Rule>,
    tokens: Vec<String>,
    issued: usize,
    /// Blobs that are being sent, and the most of them so far.
    sending: usize,
    most: usize,
}

/// A running registry; it ends with the test's process.
#[derive(Clone)]
pub struct Registry {
    /// `127.0.0.1:port`.
    pub host: String,
    guard: Guard,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub fn start(guard: Guard) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Registry {
            host: listener.local_addr().unwrap().to_string(),
            guard,
            state: Arc::default(),
        };
        let server = registry.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client may go away at any time: that is its right.
                thread::spawn(move || drop(server.serve(stream)));
            }
        });
        registry
    }

    pub fn fault(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        self.state().rules.push(Rule {
            method,
            part: part.into(),
            fault,
            times,
        });
    }

    pub fn put_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.state().blobs.insert(digest.to_string(), bytes.into());
        digest
    }

    pub fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        for reference in [
            name.to_owned(),
            name.split(':').next().unwrap().to_owned() + ":" + &digest.to_string(),
        ] {
            let (repository, reference) = reference.split_once(':').unwrap();
            let key = format!("{repository}/manifests/{reference}");
            self.state()
                .manifests
                .insert(key, (media_type.into(), bytes.into()));
        }
        digest
    }

    pub fn has_blob(&self, digest: Digest) -> bool {
        self.state().blobs.contains_key(&digest.to_string())
    }

    /// Whether each blob has the digest that it is called by.
    pub fn has_what_it_names(&self) -> bool {
        let state = self.state();
        let mut blobs = state.blobs.iter();
        blobs.all(|(name, bytes)| Digest::of(bytes).to_string() == *name)
    }

    /// What is there as `REPOSITORY/manifests/REFERENCE`.
    pub fn manifest_of(&self, path: &str) -> Vec<u8> {
        self.state().manifests[path].1.clone()
    }

    /// Uploads that were begun and not finished.
    pub fn open_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many requests with this method have `part` in their path.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let seen = self.seen();
        seen.iter()
            .filter(|seen| seen.method == method && seen.path.contains(part))
            .count()
    }

    /// The most blobs that were sent at once.
    pub fn most_at_once(&self) -> usize {
        self.state().most
    }

    /// No token is valid any more.
    pub fn revoke(&self) {
        self.state().tokens.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut first = [0];
        stream.peek(&mut first)?;
        if first == [0x16] {
            return stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
        let Some((mut seen, length)) = read_head(&mut stream)? else {
            return Ok(());
        };
        let fault = self.fault_for(&seen);
        if let Some(Fault::Reset(kept)) = fault {
            // What is not read makes the kernel reset the connection.
            seen.body = vec![0; kept.min(length)];
            stream.read_exact(&mut seen.body)?;
            self.keep_part(&seen);
            self.state().seen.push(seen);
            return Ok(());
        }
        seen.body = vec![0; length];
        stream.read_exact(&mut seen.body)?;
        self.state().seen.push(seen.clone());
        let answer = match fault {
            Some(Fault::IgnoreRange) => {
                seen.headers.remove("range");
                self.answer(&seen)
            }
            Some(Fault::RefuseRange) if seen.headers.contains_key("range") => Answer::new(416),
            _ => self.answer(&seen),
        };
        let is_blob = seen.method == "GET" && seen.path.contains("/blobs/");
        let sending = usize::from(is_blob);
        {
            let mut state = self.state();
            state.sending += sending;
            state.most = state.most.max(state.sending);
        }
        let written = write_answer(&mut stream, &seen, answer, fault);
        self.state().sending -= sending;
        written
    }

    fn fault_for(&self, seen: &Seen) -> Option<Fault> {
        let mut state = self.state();
        let rule = state.rules.iter_mut().find(|rule| {
            rule.times > 0 && rule.method == seen.method && seen.path.contains(&rule.part)
        })?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    fn keep_part(&self, seen: &Seen) {
        if let Some(upload) = self.state().uploads.get_mut(upload_id(&seen.path)) {
            upload.extend_from_slice(&seen.body);
        }
    }

    fn answer(&self, seen: &Seen) -> Answer {
        if seen.path.starts_with("/token") {
            return self.token(seen);
        }
        if let Some(challenge) = self.challenge(seen) {
            return Answer::error(401, "UNAUTHORIZED", "authentication required")
                .header("WWW-Authenticate", challenge);
        }
        let path = seen.path.split('?').next().unwrap();
        let Some(path) = path.strip_prefix("/v2/") else {
            return Answer::new(404);
        };
        match (seen.method.as_str(), path) {
            ("GET", "") => Answer::new(200).body("{}"),
            _ if path.contains("/blobs/uploads/") => self.upload(seen),
            ("GET", _) if path.ends_with("/tags/list") => self.tags(seen, path),
            ("GET" | "HEAD", _) if path.contains("/blobs/") => self.blob(seen, path),
            ("GET" | "HEAD", _) => self.manifest(path),
            ("PUT", _) => {
                let (repository, reference) = path.split_once("/manifests/").unwrap();
                let kind = &seen.headers["content-type"];
                let digest =
                    self.put_manifest(&format!("{repository}:{reference}"), kind, &seen.body);
                Answer::new(201).header("Docker-Content-Digest", digest.to_string())
            }
            ("DELETE", _) => self.delete(path),
            _ => Answer::new(405),
        }
    }

    /// All names of a manifest.
    fn delete(&self, path: &str) -> Answer {
        let mut state = self.state();
        let Some((_, named)) = state.manifests.get(path).cloned() else {
            return Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
        };
        let repository = path.split("/manifests/").next().unwrap();
        let is_named = |key: &String, bytes: &[u8]| key.starts_with(repository) && bytes == named;
        state
            .manifests
            .retain(|key, (_, bytes)| !is_named(key, bytes));
        Answer::new(202)
    }

    fn challenge(&self, seen: &Seen) -> Option<String> {
        let shown = seen.headers.get("authorization");
        let shown = shown.map(String::as_str).unwrap_or_default();
        let bearer = format!(
            r#"Bearer realm="http://{}/token",service="test""#,
            self.host
        );
        match self.guard {
            Guard::Open => None,
            Guard::Basic if shown == BASIC => None,
            Guard::Basic => Some(r#"Basic realm="test""#.into()),
            _ => {
                let token = shown.strip_prefix("Bearer ").unwrap_or_default();
                let valid = self.state().tokens.iter().any(|valid| valid == token);
                (!valid).then_some(bearer)
            }
        }
    }

    fn token(&self, seen: &Seen) -> Answer {
        let shown = seen.headers.get("authorization").map(String::as_str);
        let form = String::from_utf8_lossy(&seen.body);
        let trusted = shown == Some(BASIC) || form.contains("refresh_token=identity");
        if self.guard == Guard::Token && !trusted {
            return Answer::error(401, "UNAUTHORIZED", "wrong password");
        }
        let mut state = self.state();
        state.issued += 1;
        let token = format!("token-{}", state.issued);
        state.tokens.push(token.clone());
        Answer::new(200).body(format!(r#"{{"token":"{token}","expires_in":300}}"#))
    }

    fn blob(&self, seen: &Seen, path: &str) -> Answer {
        let digest = path.rsplit('/').next().unwrap();
        let Some(blob) = self.state().blobs.get(digest).cloned() else {
            return Answer::error(404, "BLOB_UNKNOWN", "blob unknown");
        };
        let range = seen.headers.get("range").and_then(|range| {
            let start = range.strip_prefix("bytes=")?.strip_suffix('-')?;
            start.parse::<usize>().ok()
        });
        match range {
            None => Answer::new(200).body(blob),
            Some(start) if start >= blob.len() => Answer::new(416),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
                Answer::new(206)
                    .header("Content-Range", range)
                    .body(&blob[start..])
            }
        }
    }

    fn manifest(&self, path: &str) -> Answer {
        match self.state().manifests.get(path) {
            None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            Some((kind, bytes)) => Answer::new(200)
                .header("Content-Type", kind)
                .header("Docker-Content-Digest", Digest::of(bytes).to_string())
                .body(bytes.clone()),
        }
    }

    /// Two tags a page.
    fn tags(&self, seen: &Seen, path: &str) -> Answer {
        let repository = path.strip_suffix("/tags/list").unwrap();
        let start = format!("{repository}/manifests/");
        let last = seen.path.split_once("last=").map_or("", |(_, last)| last);
        let state = self.state();
        let tags = state
            .manifests
            .keys()
            .filter_map(|key| key.strip_prefix(&start));
        let mut tags = tags.filter(|tag| !tag.contains(':') && *tag > last);
        let page: Vec<&str> = tags.by_ref().take(2).collect();
        let answer = Answer::new(200).body(format!(r#"{{"name":"x","tags":{page:?}}}"#));
        match (page.last(), tags.next()) {
            (Some(last), Some(_)) => answer.header(
                "Link",
                format!(r#"</v2/{path}?n=2&last={last}>; rel="next""#),
            ),
            (None, _) => Answer::error(404, "NAME_UNKNOWN", "repository unknown"),
            _ => answer,
        }
    }

    fn upload(&self, seen: &Seen) -> Answer {
        let id = upload_id(&seen.path).to_owned();
        let (place, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let query = query.replace("%3A", ":");
        let parameter = |name: &str| {
            let mut all = query.split('&').filter_map(|pair| pair.split_once('='));
            all.find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        let mut state = self.state();
        if seen.method == "POST" {
            if parameter("mount").is_some_and(|digest| state.blobs.contains_key(&digest)) {
                return Answer::new(201);
            }
            state.issued += 1;
            let id = format!("u{}", state.issued);
            state.uploads.insert(id.clone(), Vec::new());
            return Answer::new(202).header("Location", format!("{place}{id}"));
        }
        let Some(upload) = state.uploads.get_mut(&id) else {
            return Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown");
        };
        let start = seen.headers.get("content-range");
        let start = start.and_then(|range| range.split_once('-')?.0.parse::<usize>().ok());
        if start.is_some_and(|start| start != upload.len()) {
            return Answer::new(416);
        }
        upload.extend_from_slice(&seen.body);
        let range = format!("0-{}", upload.len().saturating_sub(1));
        match seen.method.as_str() {
            "GET" => Answer::new(204)
                .header("Range", range)
                .header("Location", place),
            "PATCH" => Answer::new(202)
                .header("Range", range)
                .header("Location", place),
            "DELETE" => {
                state.uploads.remove(&id);
                Answer::new(204)
            }
            _ => {
                let blob = state.uploads.remove(&id).unwrap();
                let digest = Digest::of(&blob).to_string();
                if parameter("digest") != Some(digest.clone()) {
                    return Answer::error(400, "DIGEST_INVALID", "digest invalid");
                }
                state.blobs.insert(digest, blob);
                Answer::new(201)
            }
        }
    }
}

/// `user:password`.
const BASIC: &str = "Basic dXNlcjpwYXNzd29yZA==";

fn upload_id(path: &str) -> &str {
    let path = path.split('?').next().unwrap();
    path.rsplit('/').next().unwrap()
}
