//! The HTTP client against servers that say nothing: each wait ends, is told, and stops when the user wants to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kiln_oci::http::{
    Body, Cancel, Client, Error, Method, Notice, Observer, Patience, Request, Settings, Upload, Url,
};

/// Attempts that the patience of these tests has room for: each waits for so long that two use it up.
const ATTEMPTS: usize = 2;

fn patience() -> Patience {
    Patience {
        connect: Duration::from_millis(200),
        answer: Duration::from_millis(200),
        commit: Duration::from_millis(200),
        stall: Duration::from_millis(200),
        silence: Duration::from_millis(350),
        notice: Duration::from_millis(50),
        retries: 20,
        pause: Duration::from_millis(1),
        ..Patience::default()
    }
}

/// Answers each request with `answer`, then says nothing more; how many connections there were.
fn serve(answer: &'static str) -> (String, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
    let kept = connections.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            kept.lock().unwrap().push(stream.try_clone().unwrap());
            thread::spawn(move || {
                if !answer.is_empty() {
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let head = lines.map_while(Result::ok);
                    head.take_while(|line| !line.is_empty()).for_each(drop);
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (host, connections)
}

/// A way to a server that says nothing.
struct Silence {
    url: String,
    method: Method,
    /// Bytes to send.
    size: u64,
    /// Whose silence it is, and what it should give.
    host: String,
    what: &'static str,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

fn silences() -> Vec<Silence> {
    let silence = |scheme: &str, method, size, answer, what| {
        let (host, connections) = serve(answer);
        let url = format!("{scheme}://{host}/");
        Silence {
            url,
            method,
            size,
            host,
            what,
            connections,
        }
    };
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhe";
    let mut all = vec![
        silence("http", Method::GET, 0, "", "an answer"),
        silence("https", Method::GET, 0, "", "a connection"),
        silence("http", Method::GET, 0, body, "more of a transfer"),
        silence("http", Method::PUT, 1, "", "an answer"),
        silence(
            "http",
            Method::PUT,
            1 << 30,
            "",
            "it to take more of a blob",
        ),
    ];
    let last = silence("http", Method::GET, 0, "", "an answer");
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        last.url
    );
    let (first, _) = serve(redirect.leak());
    all.push(Silence {
        url: format!("http://{first}/"),
        ..last
    });
    all
}

fn ask(client: &Client, silence: &Silence) -> Result<Vec<u8>, Error> {
    let size = silence.size;
    let body = || Upload::new(Box::new(std::io::repeat(0).take(size)), size);
    client.repeat(|| {
        let url = Url::parse(&silence.url).unwrap();
        let mut request = Request::new(client, silence.method.clone(), url);
        if size > 0 {
            request.body = Body::Stream(&body);
        }
        client.send(&request, None)?.bytes(100)
    })
}

#[test]
fn a_silent_server_is_given_up_after_some_time_in_all() {
    for silence in silences() {
        let told = Arc::<Mutex<Vec<Notice>>>::default();
        let hear = told.clone();
        let client = Client::new(Settings {
            patience: patience(),
            observer: Observer::new(move |notice| hear.lock().unwrap().push(notice)),
            ..Settings::default()
        });
        let error = ask(&client, &silence).unwrap_err().to_string();
        let expected = format!(
            "{} stalled: waited 0.2 s for {}",
            silence.host, silence.what
        );
        assert_eq!(error, expected);
        assert_eq!(
            silence.connections.lock().unwrap().len(),
            ATTEMPTS,
            "{error}"
        );
        let told = told.lock().unwrap();
        assert_eq!(told.len(), ATTEMPTS, "{told:?}");
        let waits = |notice: &Notice| matches!(notice, Notice::Waiting { host, .. } if *host == silence.host);
        assert!(told.iter().all(waits), "{told:?}");
    }
}

#[test]
fn every_wait_ends_when_the_user_wants_to() {
    for silence in silences() {
        let begun = Instant::now();
        let client = Client::new(Settings {
            cancel: Cancel::when(move || begun.elapsed() > Duration::from_millis(150)),
            ..Settings::default()
        });
        let error = ask(&client, &silence).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
    }
}
