//! Object storage that speaks as much of S3 as a cache needs: objects of one bucket by path, for who signs the address with its key
//! (AWS Signature Version 4, query parameters, computed here anew). Unaware of what objects hold.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use kiln_oci::Digest;

pub const KEY: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "tell-nobody/secret+key";

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
    /// When each object was written: a number that goes up.
    written: BTreeMap<String, u64>,
    /// Answers that come first, for requests with this method.
    faults: Vec<(&'static str, u16)>,
}

impl State {
    /// One object a page.
    fn list(&self, bucket: &str, query: &str) -> Vec<u8> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name);
            found.map(|(_, value)| decoded(value))
        };
        let begin = format!("{bucket}{}", value("prefix").unwrap());
        let after = value("continuation-token").unwrap_or_default();
        let mut found = self
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&begin) && **path > after);
        let Some((path, bytes)) = found.next() else {
            return b"<ListBucketResult></ListBucketResult>".to_vec();
        };
        let token = found.next().map_or(String::new(), |_| {
            format!("<NextContinuationToken>{path}</NextContinuationToken>")
        });
        let (key, size) = (decoded(&path[bucket.len()..]), bytes.len());
        let minute = self.written[path] % 60;
        let time = format!("2026-01-01T00:{minute:02}:00.000Z");
        format!("<ListBucketResult>{token}<Contents><Key>{key}</Key><LastModified>{time}</LastModified><Size>{size}</Size></Contents></ListBucketResult>").into_bytes()
    }
}

/// A running server; it ends with the test's process.
#[derive(Clone)]
pub struct Bucket {
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Bucket {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bucket = Bucket {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let server = bucket.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client may go away at any time: that is its right.
                thread::spawn(move || drop(server.serve(stream)));
            }
        });
        bucket
    }

    /// The next requests with this method get this answer, one each.
    pub fn fault(&self, method: &'static str, status: u16) {
        self.state().faults.push((method, status));
    }

    /// All objects, by path.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.clone()
    }

    pub fn remove(&self, path: &str) {
        self.state().objects.remove(path).unwrap();
    }

    /// `GET /bucket/key` since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let header = |name: &str| {
            let mut lines = head.iter().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = head[0].split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (status, content) = self.answer(method, target, &header("host").unwrap(), body);
        let mut stream = stream;
        let length = content.len();
        let head =
            format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        if method != "HEAD" {
            stream.write_all(&content)?;
        }
        Ok(())
    }

    fn answer(&self, method: &str, target: &str, host: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let error = |code: &str| {
            format!("<Error><Code>{code}</Code><Message>no</Message></Error>").into_bytes()
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut state = self.state();
        state.asked.push(format!("{method} {path}"));
        if let Some(number) = state.faults.iter().position(|(of, _)| *of == method) {
            return (state.faults.remove(number).1, error("SlowDown"));
        }
        if !is_signed(method, path, query, host) {
            return (403, error("SignatureDoesNotMatch"));
        }
        match method {
            "GET" if query.contains("list-type=2") => (200, state.list(path, query)),
            "DELETE" => {
                state.objects.remove(path);
                (204, Vec::new())
            }
            "PUT" => {
                let number = state.objects.len() as u64 + state.asked.len() as u64;
                state.written.insert(path.to_owned(), number);
                state.objects.insert(path.to_owned(), body);
                (200, Vec::new())
            }
            _ => match state.objects.get(path) {
                Some(object) => (200, object.clone()),
                None => (404, error("NoSuchKey")),
            },
        }
    }
}

/// As far as keys of caches need it.
fn decoded(text: &str) -> String {
    let text = text.replace("%2F", "/").replace("%3A", ":");
    text.replace("%25", "%")
}

/// Whether the query signs the request with the one key.
fn is_signed(method: &str, path: &str, query: &str, host: &str) -> bool {
    let pairs: BTreeMap<&str, &str> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let get = |name: &str| pairs.get(name).copied().unwrap_or_default();
    let others = pairs.iter().filter(|(name, _)| **name != "X-Amz-Signature");
    let others: Vec<String> = others
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let canonical = format!(
        "{method}\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
        others.join("&")
    );
    let credential = get("X-Amz-Credential").replace("%2F", "/");
    let Some((key, scope)) = credential.split_once('/') else {
        return false;
    };
    let hashed = Digest::of(canonical.as_bytes());
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        get("X-Amz-Date"),
        hashed.hex()
    );
    let first = format!("AWS4{SECRET}").into_bytes();
    let signing = scope
        .split('/')
        .fold(first, |key, part| hmac(&key, part.as_bytes()));
    let signature = Digest::from_bytes(hmac(&signing, to_sign.as_bytes()).try_into().unwrap());
    key == KEY && signature.hex() == get("X-Amz-Signature")
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with).to_vec();
    let inner = Digest::of(&[padded(0x36), message.to_vec()].concat());
    let outer = [padded(0x5c), inner.as_bytes().to_vec()].concat();
    Digest::of(&outer).as_bytes().to_vec()
}
