//! Connections: each is taken from outside and made once more in the network. Unaware of what goes over them.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{Builder, sleep};
use std::time::Duration;

use super::{LOOPBACK, Ready};

/// How long nothing is taken after a failure.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes what comes at all ports, as long as this process lives. A connection is made once more on a thread of its own: a server may let it
/// wait for minutes.
pub fn accept(ready: &Ready, ports: &[(TcpListener, u16)]) {
    loop {
        for number in ready.wait(None) {
            let Some((listener, inside)) =
                usize::try_from(number).ok().and_then(|at| ports.get(at))
            else {
                continue;
            };
            match listener.accept() {
                Ok((outside, _)) => {
                    let inside = *inside;
                    // without a thread for it, it is closed
                    let _ = Builder::new().spawn(move || join(outside, inside));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // too many are open: some end
                Err(_) => sleep(PAUSE),
            }
        }
    }
}

/// Connects to the server, and copies both ways until both ends are closed. A connection that nobody accepts is closed.
fn join(outside: TcpStream, port: u16) -> io::Result<()> {
    let addresses = LOOPBACK.map(|address| SocketAddr::new(address, port));
    let inside = Arc::new(TcpStream::connect(&addresses[..])?);
    let outside = Arc::new(outside);
    let (from, to) = (inside.clone(), outside.clone());
    Builder::new().spawn(move || copy(&from, &to))?;
    copy(&outside, &inside);
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // whatever ends it, the other side is told that nothing comes any more
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
