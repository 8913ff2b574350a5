//! Ports of this machine that lead into a network with nothing but its loopback interface: each connection is taken here and made once more
//! in there, and packets of UDP are relayed ([`udp`]). It needs no device and no program, so it works where no network stack does; nothing in
//! there reaches anything outside by it. Unaware of what connects, and of what listens.

mod udp;

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Port;

/// What is to be done in the network, for a port there.
enum Asked {
    /// Make a connection from outside once more.
    Connection(TcpStream, u16),
    /// Make a socket for packets, and give it.
    Socket(Sender<io::Result<UdpSocket>>, u16),
}

/// Forwards on threads of this process, which must not share its network with anybody who could change it.
///
/// # Errors
/// A port is taken, or the network cannot be entered.
pub fn forward(network: &Path, ports: &[Port]) -> io::Result<()> {
    let network = File::open(network)?;
    let (ask, asked) = channel();
    for port in ports {
        take(port, ask.clone())?;
    }
    let (say, entered) = channel();
    Builder::new().spawn(move || {
        // a thread may be in another network than its process
        let kind = Some(LinkNameSpaceType::Network);
        let moved = move_into_link_name_space(network.as_fd(), kind);
        let is_inside = moved.is_ok();
        // who waits for it is there until then
        let _ = say.send(moved.map_err(io::Error::from));
        if is_inside {
            serve(&asked);
        }
    })?;
    entered.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
}

/// Takes what comes at a port, on a thread.
fn take(port: &Port, ask: Sender<Asked>) -> io::Result<()> {
    let address = port.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let (at, inside) = ((address, port.host), port.inside);
    let failed = |error| io::Error::other(format!("port {}: {error}", port.host));
    if port.is_udp {
        let socket = Arc::new(UdpSocket::bind(at).map_err(failed)?);
        let relay = move || udp::relay(&socket, || socket_inside(&ask, inside));
        return Builder::new().spawn(relay).map(drop);
    }
    let listener = TcpListener::bind(at).map_err(failed)?;
    let accept = move || accept(&listener, inside, &ask);
    Builder::new().spawn(accept).map(drop)
}

fn accept(listener: &TcpListener, inside: u16, ask: &Sender<Asked>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // too many are open: some end
            std::thread::sleep(PAUSE);
            continue;
        };
        if ask.send(Asked::Connection(stream, inside)).is_err() {
            return;
        }
    }
}

/// How long nothing is taken after a failure.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

fn socket_inside(ask: &Sender<Asked>, port: u16) -> io::Result<UdpSocket> {
    let (give, given) = channel();
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    ask.send(Asked::Socket(give, port)).map_err(|_| gone())?;
    given.recv().map_err(|_| gone())?
}

/// In the network: connects to whoever listens at its loopback interface. A connection that nobody accepts is closed.
fn serve(asked: &Receiver<Asked>) {
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    while let Ok(asked) = asked.recv() {
        match asked {
            Asked::Connection(outside, port) => {
                let addresses = loopback.map(|address| (address, port).into());
                if let Ok(inside) = TcpStream::connect(&addresses[..]) {
                    // without threads for it, it is closed
                    let _ = join(outside, inside);
                }
            }
            // who has asked waits
            Asked::Socket(give, port) => drop(give.send(packets_to(port))),
        }
    }
}

fn packets_to(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    Ok(socket)
}

/// Copies both ways until both ends are closed.
fn join(outside: TcpStream, inside: TcpStream) -> io::Result<()> {
    let back = (inside.try_clone()?, outside.try_clone()?);
    for (from, to) in [(outside, inside), back] {
        Builder::new().spawn(move || copy(from, to))?;
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // whatever ends it, the other side is told that nothing comes any more
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn connections_lead_to_the_loopback_interface() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = free.local_addr().unwrap().port();
        let port = Port {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            host,
            inside: server.local_addr().unwrap().port(),
            is_udp: false,
        };
        let taken = forward(Path::new("/proc/self/ns/net"), &[port]).unwrap_err();
        assert!(taken.to_string().contains(&host.to_string()), "{taken}");
        drop(free);
        // only who may enter a network can do more
        if forward(Path::new("/proc/self/ns/net"), &[port]).is_err() {
            return;
        }
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, host)).unwrap();
        let (mut served, _) = server.accept().unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        served.read_to_string(&mut text).unwrap();
        served.write_all(b"answer").unwrap();
        drop(served);
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "questionanswer");
    }
}
