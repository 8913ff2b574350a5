//! Ports of the host that nobody has yet. Unaware of where they lead.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::{Port, SpawnError};

/// Connections that wait to be accepted; the kernel allows fewer.
const WAITING: i32 = 4096;

/// Makes sure that all of them can be taken: a network stack says less clearly why one cannot. One after the other, since there may be more of them
/// than this process may have open.
///
/// # Errors
/// The first that cannot.
pub fn check(ports: &[Port]) -> Result<(), SpawnError> {
    let mut asked = HashMap::<_, Vec<IpAddr>>::new();
    for port in ports {
        let address = port.at().ip();
        let same = (port.is_udp, port.host, address.is_ipv4());
        let others = asked.entry(same).or_default();
        let meets = |other: &IpAddr| {
            *other == address || other.is_unspecified() || address.is_unspecified()
        };
        if others.iter().any(meets) {
            return Err(refused(port, Errno::ADDRINUSE.into()));
        }
        others.push(address);
        match port.take() {
            Err(error) if is_of_port(&error) => return Err(refused(port, error)),
            // what this process lacks, the one that takes them may have
            _ => {}
        }
    }
    Ok(())
}

fn is_of_port(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(
        error.kind(),
        AddrInUse | AddrNotAvailable | PermissionDenied
    )
}

fn refused(port: &Port, source: io::Error) -> SpawnError {
    SpawnError::Port {
        port: format!("{}/{}", port.at(), port.protocol()),
        source,
    }
}

impl Port {
    fn at(&self) -> SocketAddr {
        let address = self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        SocketAddr::new(address, self.host)
    }

    /// Takes it: a socket for packets, or one that connections wait at. A socket for all addresses of IPv6 takes none of IPv4, as with pasta.
    ///
    /// # Errors
    /// Somebody has it, it is not for this user, or this machine has no such address.
    pub fn take(&self) -> io::Result<OwnedFd> {
        let at = self.at();
        let family = match at {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let kind = match self.is_udp {
            true => SocketType::DGRAM,
            false => SocketType::STREAM,
        };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        if at.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        if !self.is_udp {
            // connections that have ended may still be known
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        bind(&socket, &at)?;
        if !self.is_udp {
            listen(&socket, WAITING)?;
        }
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener};

    fn port(address: impl Into<IpAddr>, host: u16, is_udp: bool) -> Port {
        Port {
            address: Some(address.into()),
            host,
            inside: 80,
            is_udp,
        }
    }

    #[test]
    fn a_port_is_taken_once() {
        let here = |host, is_udp| port(Ipv4Addr::LOCALHOST, host, is_udp);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = taken.local_addr().unwrap().port();
        let error = check(&[here(host, false)]).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{host}/tcp")), "{error}");
        drop(taken);
        assert!(check(&[here(host, false), here(host, false)]).is_err());
        assert!(check(&[here(host, false), here(host, true)]).is_ok());
        let all = port(Ipv4Addr::UNSPECIFIED, host, false);
        assert!(check(&[here(host, false), all]).is_err());
        assert!(check(&[all, here(host, false)]).is_err());
        let other = port(Ipv4Addr::new(127, 0, 0, 2), host, false);
        assert!(check(&[here(host, false), other]).is_ok());
    }

    #[test]
    fn both_families_have_each_port() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let host = taken.local_addr().unwrap().port();
        let of_6 = port(Ipv6Addr::UNSPECIFIED, host, false);
        assert!(check(&[of_6]).is_ok());
        drop(taken);
        assert!(check(&[port(Ipv4Addr::UNSPECIFIED, host, false), of_6]).is_ok());
    }
}
