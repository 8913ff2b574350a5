//! HTTP as the misbehaving registry of the tests speaks it: heads are read, answers written with their fault. Unaware of registries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::{Fault, Seen};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(60);

/// An answer, before faults.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Answer::new(status).body(format!(
            r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#
        ))
    }
}

/// The head of a request and the length of its body.
pub(super) fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<(Seen, usize)>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let mut seen = Seen {
        method: words.next().unwrap().into(),
        path: words.next().unwrap().into(),
        ..Seen::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        seen.headers.insert(name.to_ascii_lowercase(), value.into());
    }
    // A proxy is asked for a whole address.
    if let Some((_, address)) = seen.path.split_once("://") {
        seen.path = address[address.find('/').unwrap()..].into();
    }
    let length = seen.headers.get("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    Ok(Some((seen, length)))
}

pub(super) fn write_answer(
    stream: &mut TcpStream,
    seen: &Seen,
    mut answer: Answer,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let mut length = answer.body.len() as u64;
    let (mut sent, mut after) = (usize::MAX, None);
    match fault {
        Some(Fault::Late(pause)) => thread::sleep(pause),
        Some(Fault::Silence) => {
            thread::sleep(FOR_EVER);
            return Ok(());
        }
        Some(Fault::Answer(status, headers, body)) => {
            answer = Answer::new(status).body(body);
            answer.headers = headers.into_iter().map(|(k, v)| (k.into(), v)).collect();
            length = answer.body.len() as u64;
        }
        Some(Fault::Redirect(status, to)) => {
            answer = Answer::new(status).header("Location", to);
            length = 0;
        }
        Some(Fault::Headers(number)) => {
            let value = "x".repeat(1024);
            answer
                .headers
                .extend((0..number).map(|n| (format!("X-{n}"), value.clone())));
        }
        Some(Fault::DigestHeader(digest)) => {
            answer
                .headers
                .retain(|(name, _)| name != "Docker-Content-Digest");
            answer = answer.header("Docker-Content-Digest", digest);
        }
        Some(Fault::Corrupt) => answer.body[0] ^= 1,
        Some(Fault::Length(other)) => length = other,
        Some(Fault::Truncate(bytes)) => sent = bytes,
        Some(Fault::Stall(bytes)) => (sent, after) = (bytes, Some(FOR_EVER)),
        Some(Fault::Drip(bytes, pause)) => (sent, after) = (bytes, Some(pause)),
        _ => {}
    }
    write_head(stream, &answer, length)?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    let (now, later) = answer.body.split_at(sent.min(answer.body.len()));
    stream.write_all(now)?;
    match after {
        Some(FOR_EVER) => thread::sleep(FOR_EVER),
        Some(pause) => {
            for byte in later {
                thread::sleep(pause);
                stream.write_all(&[*byte])?;
            }
        }
        None => {}
    }
    Ok(())
}

fn write_head(stream: &mut TcpStream, answer: &Answer, length: u64) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    if answer.status != 204 {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())
}
