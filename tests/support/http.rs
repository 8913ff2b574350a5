//! A small http server for tests: says what each path answers, keeps what it was asked. One thread a connection, gone with
//! the value. Unaware of what is served; `git http-backend` can answer for a folder of repositories.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a path answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Status line after the version: `200 OK`.
    pub status: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Vec<u8>,
}

impl Answer {
    /// A file.
    pub fn file(body: impl Into<Vec<u8>>) -> Self {
        Answer::status("200 OK").with_body(body)
    }

    /// A status without content.
    pub fn status(status: &str) -> Self {
        Answer {
            status: status.to_owned(),
            ..Answer::default()
        }
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /path`.
    pub line: String,
    /// Header lines, names in lower case.
    pub headers: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct State {
    answers: Mutex<BTreeMap<String, Answer>>,
    repositories: Mutex<Option<PathBuf>>,
    files: Mutex<Option<PathBuf>>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    state: Arc<State>,
}

impl Server {
    /// Starts a server that knows no path.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::SeqCst) {
                    break;
                }
                let shared = shared.clone();
                // A client that hangs up is its own business.
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Server { port, state }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sets what a path answers. A file with an `ETag`, or else a `Last-Modified`, is not sent to who has it.
    pub fn set(&self, path: &str, answer: Answer) {
        let mut answers = self.state.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer);
    }

    /// Serves the bare repositories below `folder`, under `/git/`.
    pub fn serve_repositories(&self, folder: &Path) {
        *self.state.repositories.lock().unwrap() = Some(folder.to_owned());
    }

    /// Serves the files below `folder` as they are, under `/files/`.
    pub fn serve_files(&self, folder: &Path) {
        *self.state.files.lock().unwrap() = Some(folder.to_owned());
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(state: &State, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    state.asked.lock().unwrap().push(Asked {
        line: format!("{method} {target}"),
        headers: headers.clone(),
    });
    let length = headers.get("content-length").and_then(|l| l.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let is_chunked = headers.contains_key("transfer-encoding");
    assert!(!is_chunked, "the server of the tests reads no chunks");
    let repositories = state.repositories.lock().unwrap().clone();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let answer = match (path.strip_prefix("/git"), repositories) {
        (Some(path), Some(folder)) => backend(&folder, method, path, query, &headers, &body)?,
        _ if path.starts_with("/files/") => file(state, path),
        _ => answer(state, path, &headers),
    };
    write!(stream, "HTTP/1.1 {}\r\n", answer.status)?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    let length = answer.body.len();
    write!(
        stream,
        "Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

fn answer(state: &State, path: &str, headers: &BTreeMap<String, String>) -> Answer {
    let answers = state.answers.lock().unwrap();
    let Some(answer) = answers.get(path) else {
        return Answer::status("404 Not Found");
    };
    let of = |name: &str| answer.headers.iter().find(|(own, _)| own == name);
    let etag = of("ETag");
    if let (Some((_, etag)), Some(held)) = (etag, headers.get("if-none-match"))
        && held == etag
    {
        return Answer::status("304 Not Modified").header("ETag", etag);
    }
    if let (None, Some((_, date)), Some(held)) =
        (etag, of("Last-Modified"), headers.get("if-modified-since"))
        && held == date
    {
        return Answer::status("304 Not Modified");
    }
    answer.clone()
}

fn file(state: &State, path: &str) -> Answer {
    let folder = state.files.lock().unwrap().clone().unwrap();
    match std::fs::read(folder.join(path.trim_start_matches("/files/"))) {
        Ok(content) => Answer::file(content),
        Err(_) => Answer::status("404 Not Found"),
    }
}

/// git's own server, as CGI.
fn backend(
    folder: &Path,
    method: &str,
    path: &str,
    query: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> std::io::Result<Answer> {
    let get = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", get("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", get("content-encoding"))
        .env("GIT_PROTOCOL", get("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let body = body.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output()?.stdout;
    writer.join().unwrap();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Ok(Answer::status("500 Internal Server Error"));
    };
    let mut answer = Answer::file(&output[end + 4..]);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => answer.status = status.to_owned(),
            Some((name, value)) => answer = answer.header(name, value),
            None => {}
        }
    }
    Ok(answer)
}
