//! Sockets whose other end is the caller.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use kiln_sandbox::{Extra, Mount, MountKind, Network, RunSpec, Stdin, Stdio, run};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::harness::{Ground, shell, tree};

/// Also from a network of its own: the socket is a file, not an address.
pub fn connections_arrive(ground: &Ground) {
    ground.add_payload();
    let id = if ground.has_users() { 7 } else { 0 };
    for network in [Network::Host, Network::None] {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let kind = MountKind::Socket {
            index: 0,
            mode: 0o640,
            uid: id,
            gid: id,
        };
        let spec = RunSpec {
            mounts: vec![Mount {
                target: "/run/socket".to_owned(),
                kind,
                read_only: true,
            }],
            network,
            ..shell("stat -c '%F %a %u %g' /run/socket; payload --payload greet")
        };
        let (mut output, writer) = std::io::pipe().unwrap();
        let stderr: OwnedFd = writer.try_clone().unwrap().into();
        let stdio = Stdio {
            stdin: Stdin::Null,
            stdout: writer.into(),
            stderr,
        };
        let extra = Extra {
            sockets: &[socket.as_fd()],
            ..Extra::default()
        };
        let running = run(&ground.root("upper"), &spec, stdio, extra).unwrap();
        let (mut stream, _) = UnixListener::from(socket).accept().unwrap();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        stream
            .write_all(format!("{asked} to you").as_bytes())
            .unwrap();
        drop(stream);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("socket 640 {id} {id}\nhello to you\n"));
        assert_eq!(running.wait().unwrap().code, Some(0));
        assert_eq!(tree(&ground.path("upper")), [""; 0]);
    }
}
