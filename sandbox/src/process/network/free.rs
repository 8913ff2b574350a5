//! Ports of the host that nobody has yet. Unaware of where they lead.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use crate::{Port, SpawnError};

/// That all of them can be taken: whoever takes them says less clearly why one cannot.
///
/// # Errors
/// The first that cannot.
pub fn check(ports: &[Port]) -> Result<(), SpawnError> {
    // one that is asked for twice is taken the second time
    let taken = ports.iter().map(take).collect::<Result<Vec<_>, _>>();
    taken.map(drop)
}

fn take(port: &Port) -> Result<OwnedFd, SpawnError> {
    let address = port.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let at = SocketAddr::new(address, port.host);
    let taken = match port.is_udp {
        true => UdpSocket::bind(at).map(OwnedFd::from),
        false => TcpListener::bind(at).map(OwnedFd::from),
    };
    taken.map_err(|source| SpawnError::Port {
        port: format!("{at}/{}", port.protocol()),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once() {
        let port = |host, is_udp| Port {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            host,
            inside: 80,
            is_udp,
        };
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = taken.local_addr().unwrap().port();
        let error = check(&[port(host, false)]).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{host}/tcp")), "{error}");
        drop(taken);
        assert!(check(&[port(host, false), port(host, false)]).is_err());
        assert!(check(&[port(host, false), port(host, true)]).is_ok());
    }
}
