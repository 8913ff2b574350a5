//! Ports of this machine that kiln forwards itself: how many there may be, of which family they are, and how many may send to one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::containers::kiln;
use crate::course::{echoes, fetched, image};
use crate::support::processes::{eventually, nothing_left};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    more_ports_than_files_that_may_be_open,
    each_family_has_its_own_ports,
    more_senders_than_files_that_may_be_open,
}

/// `kiln run` where no network stack is, and with a limit of open files.
fn limited(space: &Space, limit: &str, words: &str) -> Kiln {
    let script = format!(
        "kiln=$(command -v kiln); exec prlimit --nofile={limit} env PATH=/nowhere \"$kiln\" run {words}"
    );
    space.shell(&script)
}

/// An address of this machine that no other test has.
fn address() -> String {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("127.77.{}.{number}", process::id() % 250)
}

fn more_ports_than_files_that_may_be_open(space: &Space) {
    image(space);
    let words = |protocol: &str| {
        let ports = format!("{}:20000-22000:20000-22000/{protocol}", address());
        format!("--rm --entrypoint cat -p {ports} course index.html")
    };
    for protocol in ["udp", "tcp"] {
        let ran = limited(space, "1024:", &words(protocol)).ok();
        assert_eq!(ran.stdout, "page\n", "{protocol}");
        // whatever takes them
        let script = format!("exec prlimit --nofile=1024: kiln run {}", words(protocol));
        assert_eq!(space.shell(&script).ok().stdout, "page\n", "{protocol}");
    }
}

fn each_family_has_its_own_ports(space: &Space) {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    image(space);
    let other = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let serve = |ports: &str| {
        let words =
            format!("run -d --name web {ports} --entrypoint busybox course httpd -f -p 8000");
        space.kiln(words.split(' ')).env("PATH", "/nowhere").ok();
    };
    let by_6 = || {
        eventually("nothing answers", || {
            let mut text = String::new();
            TcpStream::connect(("::1", port)).is_ok_and(|mut stream| {
                stream
                    .write_all(b"GET /index.html HTTP/1.0\r\n\r\n")
                    .is_ok()
                    && stream.read_to_string(&mut text).is_ok()
                    && text.contains("page")
            })
        });
    };
    serve(&format!("-p [::]:{port}:8000"));
    by_6();
    kiln(space, &["rm", "-f", "web"]);
    drop(other);
    serve(&format!("-p {port}:8000 -p [::]:{port}:8000"));
    by_6();
    fetched(port);
    kiln(space, &["rm", "-f", "web"]);
    nothing_left(&space.store());
}

fn more_senders_than_files_that_may_be_open(space: &Space) {
    echoes(space);
    let address = address();
    let words = format!("-d --name echo -p {address}:5353:8000/udp echoes");
    limited(space, "256:256", &words).ok();
    for number in 0..400_u16 {
        let client = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        client.connect((&*address, 5353)).unwrap();
        let wait = Some(Duration::from_millis(500));
        client.set_read_timeout(wait).unwrap();
        let mut packet = [0; 2];
        // nobody may listen yet
        eventually("nothing comes back", || {
            let _ = client.send(&number.to_le_bytes());
            client.recv(&mut packet).is_ok()
        });
        assert_eq!(packet, number.to_le_bytes());
    }
    kiln(space, &["rm", "-f", "echo"]);
    nothing_left(&space.store());
}
