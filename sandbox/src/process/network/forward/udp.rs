//! The same for UDP, which has no connections: all that one sender sends to a port goes through one socket in the network, and what comes
//! back by that is for this sender. One thread does so for all ports. Unaware of how sockets come into a network.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::Timespec;

use super::{LOOPBACK, Ready, Taken};

/// A sender is forgotten that was silent for so long, and to whom nothing has come back.
const SILENCE: Duration = Duration::from_secs(90);
/// How often it is looked for such senders, in seconds.
const LOOK: u64 = 10;
/// Senders that are known at once, of all ports; the one that was silent longest is forgotten for another.
const SENDERS: usize = 4096;
/// Bytes of the longest packet.
const LONGEST: usize = 1 << 16;

/// How many senders may be known where so many files may be open, besides so many ports. Most of the files are for connections.
pub fn senders(files: u64, ports: usize) -> usize {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    (files.saturating_sub(ports) / 4).clamp(1, SENDERS)
}

/// Who has sent something.
#[derive(Debug)]
struct Sender {
    /// The place of the port, and the address.
    who: (usize, SocketAddr),
    /// Its socket in the network.
    inside: UdpSocket,
    /// The last time that something came from it, or for it.
    heard: Instant,
}

/// What is relayed.
#[derive(Debug)]
pub struct Relay {
    ready: Ready,
    ports: Taken<UdpSocket>,
    /// By the numbers under which their sockets are waited for, which begin after the ports'.
    senders: HashMap<u64, Sender>,
    numbers: HashMap<(usize, SocketAddr), u64>,
    next: u64,
    most: usize,
}

impl Relay {
    /// Relays what comes at these, of at most so many senders at once.
    ///
    /// # Errors
    /// They cannot be waited for.
    pub fn new(ports: Taken<UdpSocket>, most: usize) -> io::Result<Self> {
        Ok(Self {
            ready: Ready::of(&ports)?,
            next: ports.len() as u64,
            ports,
            senders: HashMap::new(),
            numbers: HashMap::new(),
            most,
        })
    }

    /// Goes on as long as this process lives.
    pub fn run(mut self) {
        let mut packet = vec![0; LONGEST];
        let limit = Timespec {
            tv_sec: LOOK.cast_signed(),
            tv_nsec: 0,
        };
        let mut looked = Instant::now();
        loop {
            let limit = (!self.senders.is_empty()).then_some(&limit);
            for number in self.ready.wait(limit) {
                match usize::try_from(number) {
                    // a packet that cannot go on is lost, as UDP may
                    Ok(at) if at < self.ports.len() => drop(self.pass(at, &mut packet)),
                    _ => self.answer(number, &mut packet),
                }
            }
            if looked.elapsed() >= Duration::from_secs(LOOK) {
                looked = Instant::now();
                self.forget_silent();
            }
        }
    }

    /// Passes on what has come at a port.
    fn pass(&mut self, at: usize, packet: &mut [u8]) -> io::Result<()> {
        // an error is about what was sent before, to somebody who is gone
        let (length, from) = self.ports[at].0.recv_from(packet)?;
        let number = self.number((at, from))?;
        let Some(sender) = self.senders.get_mut(&number) else {
            return Ok(());
        };
        sender.heard = Instant::now();
        // one who listens at one of two addresses refuses nothing
        for _ in LOOPBACK {
            let sent = sender.inside.send(&packet[..length]);
            if sent.is_ok() && sender.inside.take_error()?.is_none() {
                break;
            }
            let to = sender.inside.peer_addr()?;
            let other = LOOPBACK.into_iter().find(|address| *address != to.ip());
            let other = SocketAddr::new(other.unwrap_or(to.ip()), to.port());
            sender.inside = connected(&self.ready, number, other)?;
        }
        Ok(())
    }

    /// Sends back what has come back.
    fn answer(&mut self, number: u64, packet: &mut [u8]) {
        let Some(sender) = self.senders.get_mut(&number) else {
            return;
        };
        // an error is that nobody listens there
        if let Ok(length) = sender.inside.recv(packet) {
            sender.heard = Instant::now();
            let (at, to) = sender.who;
            // who has gone gets nothing
            let _ = self.ports[at].0.send_to(&packet[..length], to);
        }
    }

    /// The number of a sender, who may be new.
    fn number(&mut self, who: (usize, SocketAddr)) -> io::Result<u64> {
        if let Some(number) = self.numbers.get(&who) {
            return Ok(*number);
        }
        if self.senders.len() >= self.most {
            self.forget_one();
        }
        let to = SocketAddr::new(LOOPBACK[0], self.ports[who.0].1);
        let number = self.next;
        let inside = connected(&self.ready, number, to).or_else(|_| {
            // too many files are open
            self.forget_one();
            connected(&self.ready, number, to)
        })?;
        self.next += 1;
        let heard = Instant::now();
        self.senders.insert(number, Sender { who, inside, heard });
        self.numbers.insert(who, number);
        Ok(number)
    }

    /// Forgets the sender that was silent longest.
    fn forget_one(&mut self) {
        let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.heard);
        if let Some(sender) = oldest
            .map(|(number, _)| *number)
            .and_then(|number| self.senders.remove(&number))
        {
            self.numbers.remove(&sender.who);
        }
    }

    fn forget_silent(&mut self) {
        self.senders
            .retain(|_, sender| sender.heard.elapsed() < SILENCE);
        self.numbers
            .retain(|_, number| self.senders.contains_key(number));
    }
}

/// A socket in the network for what goes to this address.
fn connected(ready: &Ready, number: u64, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((to.ip(), 0))?;
    socket.connect(to)?;
    ready.add(&socket, number)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn at(address: impl Into<IpAddr>) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((address.into(), 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let place = socket.local_addr().unwrap();
        (socket, place)
    }

    /// Relays to a server; where it is reached.
    fn relayed(server: SocketAddr, most: usize) -> SocketAddr {
        let (outside, place) = at(Ipv4Addr::LOCALHOST);
        let relay = Relay::new(vec![(outside, server.port())], most).unwrap();
        std::thread::spawn(move || relay.run());
        place
    }

    /// Sends something by way of a relay, and lets the server send it back.
    fn asks(client: &UdpSocket, place: SocketAddr, server: &UdpSocket, text: &[u8]) -> SocketAddr {
        let mut packet = [0; 8];
        client.send_to(text, place).unwrap();
        let (length, from) = server.recv_from(&mut packet).unwrap();
        server.send_to(&packet[..length], from).unwrap();
        let (length, _) = client.recv_from(&mut packet).unwrap();
        assert_eq!(packet[..length], *text);
        from
    }

    #[test]
    fn each_sender_gets_its_own_answers() {
        let (server, serves) = at(Ipv4Addr::LOCALHOST);
        let place = relayed(serves, 8);
        let clients = [(); 2].map(|()| at(Ipv4Addr::LOCALHOST).0);
        for turn in 0..2_u8 {
            for (number, client) in (0..).zip(&clients) {
                client.send_to(&[turn, number], place).unwrap();
            }
            for _ in &clients {
                let mut packet = [0; 8];
                let (length, from) = server.recv_from(&mut packet).unwrap();
                server.send_to(&packet[..length], from).unwrap();
            }
            for (number, client) in (0..).zip(&clients) {
                let mut packet = [0; 8];
                let (length, _) = client.recv_from(&mut packet).unwrap();
                assert_eq!(packet[..length], [turn, number]);
            }
        }
    }

    #[test]
    fn a_new_sender_takes_the_place_of_the_one_that_was_silent_longest() {
        let (server, serves) = at(Ipv4Addr::LOCALHOST);
        let place = relayed(serves, 3);
        let (busy, _) = at(Ipv4Addr::LOCALHOST);
        let socket = asks(&busy, place, &server, b"busy");
        for number in 0..20 {
            let (client, _) = at(Ipv4Addr::LOCALHOST);
            asks(&client, place, &server, &[number]);
            assert_eq!(asks(&busy, place, &server, b"busy"), socket);
        }
    }

    #[test]
    fn who_listens_at_the_other_address_is_found() {
        let (server, serves) = at(Ipv6Addr::LOCALHOST);
        let place = relayed(serves, 8);
        let (client, _) = at(Ipv4Addr::LOCALHOST);
        let socket = asks(&client, place, &server, b"one");
        assert_eq!(asks(&client, place, &server, b"two"), socket);
        drop(server);
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, serves.port())).unwrap();
        assert!(asks(&client, place, &server, b"three").is_ipv4());
    }

    #[test]
    fn most_files_are_left_for_connections() {
        for (files, ports, expected) in [
            (1024, 1, 255),
            (1_048_576, 1, SENDERS),
            (u64::MAX, 1, SENDERS),
            (1024, 1021, 1),
            (4, 10, 1),
        ] {
            assert_eq!(senders(files, ports), expected, "{files} {ports}");
        }
    }
}
