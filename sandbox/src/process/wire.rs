//! What the caller and the re-executed binary say to each other over a socket pair, one JSON value a packet, with file descriptors
//! attached. Both ends are the same binary, so the format has no version. Unaware of what the messages cause.
//!
//! The caller sends a [`Request`] with these descriptors: *spec* (an anonymous file that holds the [`RunSpec`](crate::RunSpec) as JSON, since
//! secrets may be larger than a packet), *root*, *upper*, *aside*, *stdin* and *borrowed* if there are any, then the extra *roots* and *sockets*.
//! The answer is [`Reply::Terminal`] with the caller's side of the command's terminal, if it has one, [`Reply::Started`] with a pidfd of the
//! command, then [`Reply::Ended`]; or [`Reply::Failed`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Exit, SpawnError};

/// `SCM_MAX_FD` of the kernel: more descriptors do not fit in one packet.
pub const MAX_FDS: usize = 253;

/// Senders keep messages below this size, which is well below the kernel's limit for a packet.
const MAX_MESSAGE: usize = 64 << 10;

/// The name (`argv[0]`) that makes the re-executed binary the supervisor of one command.
pub const SUPERVISOR: &str = "kiln-init";
/// The same for a run without namespaces.
pub const SUPERVISOR_OF_CALLS: &str = "kiln-calls";

/// Which descriptors come with the first packet.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub upper: bool,
    /// Then nothing is mounted: see [`crate::plain_folder`].
    pub aside: bool,
    pub stdin: bool,
    /// A terminal of a person: see [`crate::Extra`].
    pub borrowed: bool,
    pub roots: usize,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Terminal,
    Started { notes: Vec<String> },
    Failed(SpawnError),
    Ended(Exit),
}

/// What the command's side says before it executes the command, one JSON value a line on a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Note(String),
    Failed(SpawnError),
}

/// A connected pair. A packet arrives whole, and the end of the stream is seen when the other side is gone, however it ended.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message.
pub fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = [IoSlice::new(&bytes)];
    Ok(sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).map(drop)?)
}

/// Receives one message and its descriptors, all close-on-exec. None means that the other side is gone.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut bytes = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            answer => break answer?,
        }
    };
    if got.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let message = serde_json::from_slice(bytes.get(..got.bytes).unwrap_or_default())?;
    Ok(Some((message, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_messages_and_descriptors() {
        let (left, right) = pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(
            &left,
            &Reply::Started {
                notes: vec!["x".to_owned()],
            },
            &[null.as_fd(), left.as_fd()],
        )
        .unwrap();
        let (reply, fds) = receive::<Reply>(&right).unwrap().unwrap();
        assert!(matches!(reply, Reply::Started { notes } if notes == ["x"]));
        assert_eq!(fds.len(), 2);
        drop((left, fds));
        assert!(
            receive::<Reply>(&right).unwrap().is_none(),
            "the end was not seen"
        );
    }
}
