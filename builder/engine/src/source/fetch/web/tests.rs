//! Files against a server that misbehaves: each connection gets the next of some prepared answers.

use super::*;
use kiln_oci::http::{Patience, Settings};
use std::io::{BufRead, Read, Write};
use std::net::TcpListener;
use std::time::Instant;

fn patience() -> Patience {
    Patience {
        answer: Duration::from_millis(900),
        stall: Duration::from_millis(300),
        silence: Duration::from_millis(800),
        retries: 2,
        pause: Duration::from_millis(1),
        ..Patience::default()
    }
}

fn client() -> Client {
    Client::new(Settings {
        patience: patience(),
        ..Settings::default()
    })
}

/// A file that may have a thousand bytes.
fn file<'a>(client: &'a Client, address: &str) -> WebFile<'a> {
    let file = WebFile::new(client, &[], address, Some("Bearer secret")).unwrap();
    WebFile {
        limit: 1000,
        ..file
    }
}

/// Serves the answers in turn, one a connection; gives its address and what it was asked. After an answer it hangs up,
/// or, where the answer ends in `...`, waits until the client does.
fn serve(answers: &[&str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            asked.push(head.join("\n"));
            // A client that has lost its patience is gone.
            let _ = stream.write_all(answer.trim_start_matches("...").as_bytes());
            if answer.ends_with("...") {
                // Not for a time: the client must be the one that gives up.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
        asked
    });
    (address, thread)
}

fn download(
    address: &str,
    etag: Option<&str>,
) -> (Result<Option<Downloaded>, FetchError>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let held = etag.map(|etag| Validator::Tag(etag.to_owned()));
    let into = folder.path().join("file");
    let done = file(&client(), address).download(held.as_ref(), &into);
    (done, std::fs::read(&into).unwrap_or_default())
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\n\r\nhello";

#[test]
fn a_file_comes_with_what_is_known_of_it() {
    let (address, server) = serve(&[WHOLE]);
    let (done, content) = download(&address, None);
    let done = done.unwrap().unwrap();
    assert_eq!(content, b"hello");
    assert_eq!(
        (done.sha256, done.size, done.modified),
        (Digest::of(b"hello"), 5, Some(1_445_412_480))
    );
    assert_eq!(done.etag.as_deref(), Some("\"1\""));
    assert!(server.join().unwrap()[0].contains("Bearer secret"));
}

#[test]
fn what_passes_is_tried_again_and_what_stays_is_not() {
    let (address, server) = serve(&[
        "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhel",
        WHOLE,
    ]);
    let begun = Instant::now();
    assert_eq!(download(&address, None).1, b"hello");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(server.join().unwrap().len(), 3);
    let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (address, server) = serve(&[gone]);
    let error = download(&address, None).0.unwrap_err();
    assert!(error.to_string().ends_with("404 Not Found"), "{error}");
    assert_eq!(server.join().unwrap().len(), 1);
}

#[test]
fn a_server_that_stalls_or_sends_too_much_is_left() {
    let stalled = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhe...";
    let (address, _server) = serve(&[stalled, stalled, stalled]);
    assert!(download(&address, None).0.is_err());
    let endless = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        "x".repeat(2000)
    );
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n",
        &endless,
    ] {
        let (address, server) = serve(&[answer]);
        let error = download(&address, None).0.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn an_unchanged_file_is_not_sent_again() {
    let unchanged = "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n";
    let (address, server) = serve(&[unchanged]);
    assert_eq!(download(&address, Some("\"1\"")).0.unwrap(), None);
    assert!(server.join().unwrap()[0].contains("if-none-match: \"1\""));
    let head = "HTTP/1.1 200 OK\r\nETag: W/\"1\"\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    for (etag, same) in [("\"1\"", true), ("\"2\"", false)] {
        let (address, server) = serve(&[head]);
        let client = client();
        let unchanged = file(&client, &address).is_unchanged(&Validator::Tag(etag.to_owned()));
        assert_eq!(unchanged.unwrap(), same);
        assert!(server.join().unwrap()[0].starts_with("HEAD "));
    }
}

#[test]
fn credentials_do_not_follow_to_another_host() {
    let (other, second) = serve(&[WHOLE]);
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let (address, first) = serve(&[&redirect]);
    assert_eq!(download(&address, None).1, b"hello");
    assert!(first.join().unwrap()[0].contains("secret"));
    assert!(!second.join().unwrap()[0].contains("secret"));
}

#[test]
fn a_stopped_build_does_not_wait_for_the_server() {
    for answer in ["...", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhe..."] {
        let (address, server) = serve(&[answer]);
        let begun = Instant::now();
        let client = Client::new(Settings {
            cancel: http::Cancel::when(move || begun.elapsed() > Duration::from_millis(100)),
            ..Settings::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let done = file(&client, &address).download(None, &folder.path().join("file"));
        assert!(matches!(done, Err(FetchError::Cancelled)));
        // a slow machine may stop it before it has connected, and the server waits for somebody
        let host = address
            .trim_start_matches("http://")
            .trim_end_matches("/file");
        drop(std::net::TcpStream::connect(host));
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    // one attempt takes all the silence that is allowed
    let (address, _server) = serve(&["...", "...", "..."]);
    let error = download(&address, None).0.unwrap_err().to_string();
    assert!(
        error.contains("stalled: waited 0.9 s for an answer"),
        "{error}"
    );
}

#[test]
fn only_http_is_an_address() {
    for address in ["file:///etc/passwd", "ftp://h/a", "http://", "x"] {
        let client = Client::default();
        assert!(
            WebFile::new(&client, &[], address, None).is_err(),
            "{address}"
        );
    }
}
