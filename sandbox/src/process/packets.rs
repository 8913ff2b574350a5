//! Messages between processes over a socket that keeps them apart: one JSON value a packet, with file descriptors attached. Unaware of what
//! they say.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `SCM_MAX_FD` of the kernel: more descriptors do not fit in one packet.
pub const MAX_FDS: usize = 253;

/// Senders keep messages below this size, which is well below the kernel's limit for a packet.
const MAX_MESSAGE: usize = 64 << 10;

/// A connected pair. A packet arrives whole, and the end of the stream is seen when the other side is gone, however it ended.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message, which must be small.
///
/// # Errors
/// The other side is gone, or the message is too large.
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
///
/// # Errors
/// The socket fails, or the message is not understood.
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
        send(&left, &vec!["x"], &[null.as_fd(), left.as_fd()]).unwrap();
        let (text, fds) = receive::<Vec<String>>(&right).unwrap().unwrap();
        assert_eq!(text, ["x"]);
        assert_eq!(fds.len(), 2);
        drop((left, fds));
        assert!(
            receive::<Vec<String>>(&right).unwrap().is_none(),
            "the end was not seen"
        );
    }
}
