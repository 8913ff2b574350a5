//! Credential helpers, the programs `docker-credential-NAME` (docker's protocol: a verb as argument,
//! the server or JSON on standard input, JSON on standard output). Unaware of files.
//!
//! They get a limited time and a limited output, and end when they are not waited for any more. What
//! they print on standard output is never shown: it may be the secret.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::{Cancel, Credential, CredentialsError, Secret};

/// How long a helper may take: it may ask its user, or a cloud.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is looked at.
const TICK: Duration = Duration::from_millis(10);
/// How long the end of its output is waited for once it has ended: a child of its own may hold it open.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes of its output that are read.
const MOST: u64 = 1 << 20;
/// The user that stands for "the secret is an identity token".
const TOKEN: &str = "<token>";
/// What helpers print when they have nothing (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

type Result<T> = std::result::Result<T, CredentialsError>;

/// What a helper has for a server.
pub(super) fn get(name: &str, server: &str, cancel: &Cancel) -> Result<Option<Credential>> {
    let Some(output) = run(name, "get", server.as_bytes(), cancel)? else {
        return Ok(None);
    };
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| failed(name, "answered no credentials"))?;
    if answer.username.is_empty() && answer.secret.is_empty() {
        return Ok(None);
    }
    let secret = Secret::new(answer.secret);
    Ok(Some(match answer.username.as_str() {
        TOKEN => Credential::IdentityToken(secret),
        _ => Credential::Password {
            user: answer.username,
            password: secret,
        },
    }))
}

/// Has a helper keep a credential.
pub(super) fn store(
    name: &str,
    server: &str,
    credential: &Credential,
    cancel: &Cancel,
) -> Result<()> {
    let (user, secret) = match credential {
        Credential::Password { user, password } => (user.as_str(), password),
        Credential::IdentityToken(token) => (TOKEN, token),
        Credential::RegistryToken(_) => {
            return Err(failed(name, "cannot keep a registry's token"));
        }
    };
    let document = json!({ "ServerURL": server, "Username": user, "Secret": secret.expose() });
    run(name, "store", document.to_string().as_bytes(), cancel).map(drop)
}

/// Has a helper forget a server.
pub(super) fn erase(name: &str, server: &str, cancel: &Cancel) -> Result<()> {
    run(name, "erase", server.as_bytes(), cancel).map(drop)
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

fn failed(name: &str, reason: impl Into<String>) -> CredentialsError {
    CredentialsError::Helper {
        program: program(name),
        reason: reason.into(),
    }
}

/// The output of a helper; `None` when it has nothing for the server.
fn run(name: &str, verb: &str, input: &[u8], cancel: &Cancel) -> Result<Option<Vec<u8>>> {
    if name.contains(['/', '\0']) {
        return Err(failed(name, "is no name of a program"));
    }
    let mut child = start(name, verb)?;
    let finished = talk(&mut child, input, LONGEST, cancel);
    if !matches!(finished, Ok(Some(_))) {
        // Its end is not waited for otherwise; that it has ended already is fine.
        let _ = child.kill();
        let _ = child.wait();
    }
    let finished = finished.map_err(|error| failed(name, format!("cannot be used: {error}")))?;
    let Some((succeeded, output, complaint)) = finished else {
        return Err(match cancel.requested() {
            true => CredentialsError::Cancelled,
            false => failed(name, format!("took longer than {} s", LONGEST.as_secs())),
        });
    };
    if succeeded {
        return Ok(Some(output));
    }
    if String::from_utf8_lossy(&output).contains(NOT_FOUND) || complaint.contains(NOT_FOUND) {
        return Ok(None);
    }
    let complaint: String = complaint.trim().chars().take(200).collect();
    Err(failed(name, format!("failed: {complaint}")))
}

fn start(name: &str, verb: &str) -> Result<Child> {
    Command::new(program(name))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failed(name, "is not installed"),
            _ => failed(name, format!("cannot be started: {error}")),
        })
}

/// Whether it succeeded, its output and its complaints; `None` when it took too long.
fn talk(
    child: &mut Child,
    input: &[u8],
    longest: Duration,
    cancel: &Cancel,
) -> io::Result<Option<(bool, Vec<u8>, String)>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read is told by its answer, not by this pipe.
        let _ = stdin.write_all(input);
    }
    let output = child.stdout.take().map(collect).transpose()?;
    let complaint = child.stderr.take().map(collect).transpose()?;
    let end = Instant::now() + longest;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if cancel.requested() || Instant::now() > end {
            return Ok(None);
        }
        thread::sleep(TICK);
    };
    let text = |pipe: Option<Receiver<Vec<u8>>>| {
        pipe.and_then(|pipe| pipe.recv_timeout(LINGER).ok())
            .unwrap_or_default()
    };
    let complaint = String::from_utf8_lossy(&text(complaint)).into_owned();
    Ok(Some((status.success(), text(output), complaint)))
}

fn collect(pipe: impl Read + Send + 'static) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::Builder::new().spawn(move || {
        let mut text = Vec::new();
        // What could be read counts; the receiver may be gone.
        let _ = pipe.take(MOST).read_to_end(&mut text);
        let _ = sender.send(text);
    })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hanging() -> Child {
        let mut command = Command::new("sleep");
        let command = command.arg("60").stdin(Stdio::piped());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_helper_that_hangs_is_not_waited_for() {
        let never = Duration::from_secs(3600);
        let stopped = Cancel::when(|| true);
        for (longest, cancel) in [(Duration::ZERO, Cancel::default()), (never, stopped)] {
            let begun = Instant::now();
            let mut child = hanging();
            let talked = talk(&mut child, b"registry.example", longest, &cancel);
            assert_eq!(talked.unwrap(), None);
            assert!(begun.elapsed() < Duration::from_secs(20));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
