//! The same for UDP, which has no connections: all that one sender sends goes through one socket in the network, and what comes back by that
//! is for this sender. Unaware of how sockets come into a network.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// A sender to whom nothing has come back for so long is forgotten.
const SILENCE: Duration = Duration::from_secs(90);
/// Senders that are known at once; what others send is lost, as UDP may.
const SENDERS: usize = 1024;
/// Bytes of the longest packet.
const LONGEST: usize = 1 << 16;

/// Who has sent something, and the socket for it.
type Senders = Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>;

/// Relays what comes at a socket to sockets that `inside` makes, and back, as long as this process lives.
pub fn relay(outside: &Arc<UdpSocket>, inside: impl Fn() -> io::Result<UdpSocket>) {
    let senders = Arc::<Senders>::default();
    let mut packet = vec![0; LONGEST];
    loop {
        // an error is about what was sent before, to somebody who is gone
        let Ok((length, from)) = outside.recv_from(&mut packet) else {
            continue;
        };
        let known = locked(&senders).get(&from).cloned();
        let socket = known.map_or_else(|| begin(outside, (from, &senders), &inside), Ok);
        if let Ok(socket) = socket {
            // nobody may listen there yet
            let _ = socket.send(&packet[..length]);
        }
    }
}

/// A socket for a new sender.
fn begin(
    outside: &Arc<UdpSocket>,
    (from, senders): (SocketAddr, &Arc<Senders>),
    inside: impl Fn() -> io::Result<UdpSocket>,
) -> io::Result<Arc<UdpSocket>> {
    if locked(senders).len() >= SENDERS {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let socket = Arc::new(inside()?);
    socket.set_read_timeout(Some(SILENCE))?;
    let (back, outside, known) = (socket.clone(), outside.clone(), senders.clone());
    Builder::new().spawn(move || {
        answer(&back, &outside, from);
        locked(&known).remove(&from);
    })?;
    locked(senders).insert(from, socket.clone());
    Ok(socket)
}

/// Sends back what comes back, until there is silence.
fn answer(back: &UdpSocket, outside: &UdpSocket, to: SocketAddr) {
    let mut packet = vec![0; LONGEST];
    loop {
        match back.recv(&mut packet) {
            // who has gone gets nothing
            Ok(length) => drop(outside.send_to(&packet[..length], to)),
            // nobody listened there
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

fn locked(senders: &Senders) -> MutexGuard<'_, HashMap<SocketAddr, Arc<UdpSocket>>> {
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn each_sender_gets_its_own_answers() {
        let here = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (outside, server) = (Arc::new(here()), here());
        let (place, serves) = (outside.local_addr().unwrap(), server.local_addr().unwrap());
        std::thread::spawn(move || {
            relay(&outside, || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.connect(serves)?;
                Ok(socket)
            });
        });
        let clients = [here(), here()];
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
}
