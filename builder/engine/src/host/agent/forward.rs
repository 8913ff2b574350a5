//! Passes messages between RUN's socket and an SSH agent: questions for identities and for signatures, nothing else. A step must not
//! add, remove or lock keys of the user's agent, and extensions could do anything. Unaware of where either end comes from.
//!
//! Wire format (draft-ietf-sshm-ssh-agent, section 3): a 32-bit big-endian length, then as many bytes, the first of which is the type.

use super::Agent;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socket_with};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// `SSH_AGENT_FAILURE`.
const FAILURE: u8 = 5;
/// `SSH_AGENTC_REQUEST_IDENTITIES` and `SSH_AGENTC_SIGN_REQUEST`.
const ALLOWED: [u8; 2] = [11, 13];
/// OpenSSH's own limit.
const MAX_MESSAGE: u32 = 256 << 10;
/// Connections at once; a program that opens more sees them close.
const MAX_CONNECTIONS: usize = 32;

/// A socket that is being served. Dropping it ends all connections.
#[derive(Debug)]
pub struct Forward {
    listener: Arc<UnixListener>,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
}

impl Forward {
    /// A socket without a name, to be given one where RUN sees it.
    pub fn socket() -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC;
        Ok(socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            flags,
            None,
        )?)
    }

    /// Serves the socket, which listens by now.
    pub fn start(socket: OwnedFd, agent: Agent) -> io::Result<Self> {
        let listener = Arc::new(UnixListener::from(socket));
        let connections = Arc::new(Connections::default());
        let acceptor = {
            let (listener, connections) = (listener.clone(), connections.clone());
            Builder::new().spawn(move || accept(&listener, &agent, &connections))?
        };
        Ok(Forward {
            listener,
            connections,
            acceptor: Some(acceptor),
        })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.connections.end();
        // Wakes the acceptor.
        let _ = shutdown(&*self.listener, Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &UnixListener, agent: &Agent, connections: &Connections) {
    std::thread::scope(|scope| {
        let mut number = 0_u64;
        loop {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            number += 1;
            let serve = move || {
                // A connection that breaks is RUN's or the agent's business; both see its end.
                let _ = connect(number, &client, agent, connections);
                connections.leave(number);
            };
            // without a thread for it, it is closed
            let _ = Builder::new().spawn_scoped(scope, serve);
        }
    });
}

fn connect(
    number: u64,
    client: &UnixStream,
    agent: &Agent,
    connections: &Connections,
) -> io::Result<()> {
    let server = agent.connect()?;
    if connections.enter(number, [client.try_clone()?, server.try_clone()?]) {
        serve(client, &server)
    } else {
        Ok(())
    }
}

fn serve(mut client: impl Read + Write, mut server: impl Read + Write) -> io::Result<()> {
    while let Some(question) = message(&mut client)? {
        let answer = if question.first().is_some_and(|kind| ALLOWED.contains(kind)) {
            send(&mut server, &question)?;
            message(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?
        } else {
            vec![FAILURE]
        };
        send(&mut client, &answer)?;
    }
    Ok(())
}

/// The next message, without its length; none at the end.
fn message(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        answer => answer?,
    }
    let length = u32::from_be_bytes(length);
    if length == 0 || length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    stream.write_all(&bytes)
}

/// The open connections, so that they can be ended.
#[derive(Debug, Default)]
struct Connections(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ended: bool,
    open: BTreeMap<u64, [UnixStream; 2]>,
}

impl Connections {
    /// False: there are too many, or no more are wanted.
    fn enter(&self, number: u64, ends: [UnixStream; 2]) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended || state.open.len() >= MAX_CONNECTIONS {
            return false;
        }
        state.open.insert(number, ends);
        true
    }

    fn leave(&self, number: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.remove(&number);
    }

    fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        for stream in state.open.values().flatten() {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent that answers every message with its type and 100.
    fn agent() -> (tempfile::TempDir, Agent) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    while let Ok(Some(question)) = message(&mut stream) {
                        send(&mut stream, &[question[0], 100]).unwrap();
                    }
                });
            }
        });
        (folder, Agent::Socket(path))
    }

    fn forward(agent: Agent) -> (tempfile::TempDir, Forward) {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        (folder, Forward::start(listener.into(), agent).unwrap())
    }

    #[test]
    fn only_lists_and_signatures_pass() {
        let (_agent, agent) = agent();
        let (folder, forward) = forward(agent);
        let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
        for kind in 0..=255_u8 {
            send(&mut client, &[kind, 1, 2, 3]).unwrap();
            let answer = message(&mut client).unwrap().unwrap();
            let expected = if kind == 11 || kind == 13 {
                vec![kind, 100]
            } else {
                vec![FAILURE]
            };
            assert_eq!(answer, expected, "type {kind}");
        }
        drop(forward);
        assert_eq!(message(&mut client).unwrap(), None, "the connection ends");
    }

    #[test]
    fn a_length_is_not_believed() {
        let (_agent, agent) = agent();
        let (folder, _forward) = forward(agent);
        for length in [0, MAX_MESSAGE + 1, u32::MAX] {
            let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
            client.write_all(&length.to_be_bytes()).unwrap();
            assert_eq!(message(&mut client).unwrap(), None, "{length}");
        }
    }

    #[test]
    fn connections_are_counted() {
        let (_agent, agent) = agent();
        let (folder, _forward) = forward(agent);
        let open = || UnixStream::connect(folder.path().join("s")).unwrap();
        let ask = |client: &mut UnixStream| {
            // A closed connection may refuse the question already.
            let _ = send(client, &[11]);
            message(client).ok().flatten()
        };
        let mut clients: Vec<UnixStream> = (0..MAX_CONNECTIONS).map(|_| open()).collect();
        assert!(clients.iter_mut().all(|client| ask(client).is_some()));
        assert_eq!(ask(&mut open()), None);
        drop(clients);
        let again = std::iter::from_fn(|| Some(ask(&mut open()))).take(1000);
        assert!(again.into_iter().any(|answer| answer.is_some()));
    }
}
