//! What the caller and the re-executed binary say to each other over a socket pair, one JSON value a packet, file descriptors
//! attached. Both ends are the same binary, so the format has no version. Unaware of what the messages cause.
//!
//! Caller: [`Request`] with the descriptors *spec* (an anonymous file that holds the [`RunSpec`](crate::RunSpec) as JSON, since secrets may be
//! larger than a packet), *root*, *upper* and *stdin* where there are, then the extra *roots* and *sockets*.
//! Answers: [`Reply::Started`] with a pidfd of the command, then [`Reply::Ended`]; or [`Reply::Failed`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::SpawnError;

/// `SCM_MAX_FD` of the kernel: more descriptors do not fit in one packet.
pub const MAX_FDS: usize = 253;

/// Longer messages are cut by their maker; a packet of this size is well below the kernel's limit.
const MAX_MESSAGE: usize = 64 << 10;

/// What the first packet's descriptors are.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub upper: bool,
    pub stdin: bool,
    pub roots: usize,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Started {
        notes: Vec<String>,
    },
    Failed(Failure),
    Ended {
        status: i32,
        user_us: u64,
        system_us: u64,
        max_rss_kib: u64,
        out_of_memory: bool,
    },
}

/// A [`SpawnError`] that can travel.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failure {
    Invalid(String),
    NoSuchId {
        uid: u32,
        gid: u32,
    },
    Step {
        step: String,
        path: Option<String>,
        errno: i32,
        hint: Option<String>,
    },
}

impl Failure {
    /// A failed step about `path`.
    pub fn at(step: impl Into<String>, path: &str) -> impl FnOnce(io::Error) -> Self {
        let (step, path) = (step.into(), (!path.is_empty()).then(|| path.to_owned()));
        move |error| Self::Step {
            step,
            path,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            hint: None,
        }
    }

    /// A failed step about nothing in particular.
    pub fn of(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        Self::at(step, "")
    }

    /// What the kernel answered.
    pub fn cause(&self) -> io::Error {
        match self {
            Self::Step { errno, .. } => io::Error::from_raw_os_error(*errno),
            Self::Invalid(_) | Self::NoSuchId { .. } => io::ErrorKind::InvalidInput.into(),
        }
    }

    /// With advice, where it is a step.
    pub fn with_hint(mut self, advice: &str) -> Self {
        if let Self::Step { hint, .. } = &mut self {
            *hint = Some(advice.to_owned());
        }
        self
    }
}

impl From<Failure> for SpawnError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::NoSuchId { uid, gid } => Self::NoSuchId { uid, gid },
            Failure::Step {
                step,
                path,
                errno,
                hint,
            } => {
                let source = io::Error::from_raw_os_error(errno);
                Self::Step {
                    step,
                    path: path.map(Into::into),
                    source,
                    hint,
                }
            }
        }
    }
}

/// A connected pair; a packet arrives whole, and the end is seen when the other side is gone, however it went.
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
    sendmsg(
        socket,
        &[IoSlice::new(&bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives one message and its descriptors, all close-on-exec. None: the other side is gone.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
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
