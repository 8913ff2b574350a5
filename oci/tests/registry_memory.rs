//! Memory does not depend on the size of a blob. A process of its own, so that nothing else is counted; the registry
//! (Debian's `docker-registry`) is another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use kiln_oci::http;
use kiln_oci::registry::{Client, Settings};
use kiln_oci::{Descriptor, Digest, Hasher, Reference};

/// Bytes of the blob.
const SIZE: u64 = 256 << 20;
/// Kilobytes that one transfer may add to what the process has.
const MOST: u64 = 16 << 10;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn zeros() -> io::Take<io::Repeat> {
    io::repeat(0).take(SIZE)
}

/// The most memory that the process had so far, in kilobytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn serve(folder: &str, host: &str) -> Killed {
    let config = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\nhttp:\n  addr: {host}\n"
    );
    fs::write(format!("{folder}/config.yml"), config).unwrap();
    let mut command = Command::new("docker-registry");
    command.args(["serve", &format!("{folder}/config.yml")]);
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = Killed(process.unwrap());
    for _ in 0..600 {
        if TcpStream::connect(host).is_ok() {
            return process;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("docker-registry does not answer");
}

#[test]
fn a_large_blob_takes_little_memory() {
    if Command::new("docker-registry")
        .arg("help")
        .output()
        .is_err()
    {
        let line = b"skipped: memory of a large blob: no docker-registry\n";
        io::stderr().write_all(line).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = port.local_addr().unwrap().to_string();
    drop(port);
    let _server = serve(folder.path().to_str().unwrap(), &host);
    let mut hasher = Hasher::new();
    io::copy(&mut zeros(), &mut hasher).unwrap();
    let blob = Descriptor {
        digest: hasher.finish(),
        size: SIZE,
        ..Descriptor::of("application/octet-stream", b"")
    };
    let client = Client::new(http::Client::default(), Settings::default());
    let app = Reference::parse(&format!("{host}/app")).unwrap();
    // Threads, certificates and connections are there from here on.
    assert!(!client.has_blob(&app, Digest::of(b"absent")).unwrap());
    let before = peak();
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(zeros())) };
    client.push_blob(&app, &blob, &open).unwrap();
    let pushed = peak();
    client
        .download(&app, &blob, &folder.path().join("part"), &|_| {})
        .unwrap();
    let pulled = peak();
    assert!(
        pushed - before < MOST,
        "{before} kB before, {pushed} kB after the push"
    );
    assert!(
        pulled - pushed < MOST,
        "{pushed} kB before, {pulled} kB after the pull"
    );
    writeln!(io::stderr(), "peak: {before} kB, {pushed} kB, {pulled} kB").unwrap();
}
