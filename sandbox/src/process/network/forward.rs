//! Ports of this machine that lead into a network with nothing but its loopback interface: each connection is taken here and made once more
//! in there ([`tcp`]), and packets of UDP are relayed ([`udp`]). It needs no device and no program, so it works where no network stack does;
//! nothing in there reaches anything outside by it. Unaware of what connects, and of what listens.

mod tcp;
mod udp;

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::Builder;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Port;

/// Where programs in the network listen; the first is tried first.
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Sockets that are told at once to be ready.
const EVENTS: usize = 64;

/// Sockets of this machine, each with the port in the network.
type Taken<T> = Vec<(T, u16)>;

/// Forwards on threads of this process, which must not share its network or its limits with anybody who could mind.
///
/// # Errors
/// A port is taken, or the network cannot be entered.
pub fn forward(network: &Path, ports: &[Port]) -> io::Result<()> {
    let network = File::open(network)?;
    let senders = udp::senders(open_files(), ports.len());
    let (mut connections, mut packets) = (Vec::new(), Vec::new());
    for port in ports {
        let failed = |error| io::Error::other(format!("port {}: {error}", port.host));
        let taken = port.take().map_err(failed)?;
        match port.is_udp {
            true => packets.push((UdpSocket::from(taken), port.inside)),
            false => connections.push((TcpListener::from(taken), port.inside)),
        }
    }
    let (say, entered) = channel();
    Builder::new().spawn(move || {
        // a thread may be in another network than its process, and those that it starts are where it is
        let kind = Some(LinkNameSpaceType::Network);
        let moved = move_into_link_name_space(network.as_fd(), kind).map_err(io::Error::from);
        // who waits for it is there until then
        let _ = say.send(moved.and_then(|()| begin(connections, packets, senders)));
    })?;
    entered.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
}

/// Starts what forwards, in the network of this thread. Neither of the two waits for the other.
fn begin(
    connections: Taken<TcpListener>,
    packets: Taken<UdpSocket>,
    senders: usize,
) -> io::Result<()> {
    if !connections.is_empty() {
        let ready = Ready::of(&connections)?;
        Builder::new().spawn(move || tcp::accept(&ready, &connections))?;
    }
    if !packets.is_empty() {
        let relay = udp::Relay::new(packets, senders)?;
        Builder::new().spawn(move || relay.run())?;
    }
    Ok(())
}

/// How many files this process may have open; as many as it may allow itself.
fn open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => most,
        Err(_) => limit.current,
    };
    allowed.unwrap_or(u64::MAX)
}

/// Sockets that are waited for together, each with a number.
#[derive(Debug)]
struct Ready(OwnedFd);

impl Ready {
    /// Waits for these, which have the numbers of their places.
    fn of<T: AsFd>(sockets: &[(T, u16)]) -> io::Result<Self> {
        let ready = Ready(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        for (number, (socket, _)) in (0..).zip(sockets) {
            ready.add(socket, number)?;
        }
        Ok(ready)
    }

    /// From now on for this one too, until it is closed. Who is told that it is ready need not find it so.
    fn add(&self, socket: &impl AsFd, number: u64) -> io::Result<()> {
        rustix::io::ioctl_fionbio(socket, true)?;
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.0, socket, data, epoll::EventFlags::IN)?)
    }

    /// The numbers of some that are ready; none after a while, if there is a limit.
    fn wait(&self, limit: Option<&Timespec>) -> Vec<u64> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        // nothing but a signal ends it early
        let _ = epoll::wait(&self.0, spare_capacity(&mut events), limit);
        events.iter().map(|event| event.data.u64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpStream};
    use std::time::Duration;

    fn local() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn question_and_answer(host: u16, server: &TcpListener) {
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

    #[test]
    fn connections_lead_to_the_loopback_interface() {
        let ((server, inside), (free, host)) = (local(), local());
        let port = Port {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            host,
            inside,
            is_udp: false,
        };
        let taken = forward(Path::new("/proc/self/ns/net"), &[port]).unwrap_err();
        assert!(taken.to_string().contains(&host.to_string()), "{taken}");
        drop(free);
        // only who may enter a network can do more
        if forward(Path::new("/proc/self/ns/net"), &[port]).is_ok() {
            question_and_answer(host, &server);
        }
    }

    #[test]
    fn a_server_that_accepts_nothing_holds_nobody_else_up() {
        let stopped = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&stopped, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&stopped, 0).unwrap();
        let place: SocketAddr = getsockname(&stopped).unwrap().try_into().unwrap();
        let connect = || TcpStream::connect_timeout(&place, Duration::from_millis(200));
        let mut waiting = Vec::new();
        while let Ok(stream) = connect() {
            waiting.push(stream);
        }
        let ((server, inside), (outside, host)) = (local(), local());
        let (blocked, blocks) = local();
        let packets = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let answers = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let sent_to = packets.local_addr().unwrap();
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let connections = vec![(blocked, place.port()), (outside, inside)];
        let packets = vec![(packets, port(&answers))];
        begin(connections, packets, 8).unwrap();
        let _held_up = TcpStream::connect((Ipv4Addr::LOCALHOST, blocks)).unwrap();
        question_and_answer(host, &server);
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.send_to(b"packet", sent_to).unwrap();
        let mut packet = [0; 8];
        assert_eq!(answers.recv(&mut packet).unwrap(), 6);
    }
}
