//! The client against the registry that most people run (distribution; Debian's package `docker-registry`): open, with
//! passwords, with TLS and an authority of its own. Where it, or a tool that prepares it, is missing, a case says that it
//! is skipped.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kiln_oci::http::{self, Authorities};
use kiln_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use kiln_oci::registry::{Client, Error, Settings};
use kiln_oci::{Descriptor, Index, Manifest, Reference};

use super::{client, client_of, client_with, content, password, settings};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// A running docker-registry, killed when dropped.
struct Real {
    process: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Whether a program is there; says so when it is not.
fn need(case: &str, programs: &[&str]) -> bool {
    let there = |program: &&&str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        !found.unwrap().status.success()
    };
    let Some(missing) = programs.iter().find(there) else {
        return true;
    };
    let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
    let line = format!("skipped: {case}: no {missing} ({count} skipped so far)\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

impl Real {
    /// Starts one; `more` is added to the `http` section and after it, with the folder's path for `@`.
    fn start(folder: tempfile::TempDir, more: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = port.local_addr().unwrap().to_string();
        drop(port);
        let path = folder.path().to_str().unwrap();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {path}/data\nhttp:\n  addr: {host}\n{}",
            more.replace('@', path)
        );
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", &format!("{path}/config.yml")])
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let real = Real {
            process,
            folder,
            host,
        };
        for _ in 0..600 {
            if TcpStream::connect(&real.host).is_ok() {
                return real;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "{}",
            fs::read_to_string(real.folder.path().join("log")).unwrap()
        );
    }

    fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.host)).unwrap()
    }
}

fn push(client: &Client, to: &Reference, bytes: &[u8], media_type: &str) -> Descriptor {
    let blob = Descriptor::of(media_type, bytes);
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(bytes.to_vec()))) };
    client.push_blob(to, &blob, &open).unwrap();
    blob
}

/// Pushes an image, mounts its layer elsewhere, pulls all of it, resumes a part.
fn round_trip(real: &Real, client: &Client) {
    let (app, other) = (real.reference("app:v1"), real.reference("team/other:v1"));
    let bytes = content(3 << 20);
    let layer = push(client, &app, &bytes, OCI_LAYER);
    let config = push(client, &app, b"{}", OCI_CONFIG);
    assert!(client.has_blob(&app, layer.digest).unwrap());
    assert!(!client.has_blob(&other, layer.digest).unwrap());
    assert!(client.mount_blob(&other, &app, layer.digest).unwrap());
    assert!(client.has_blob(&other, layer.digest).unwrap());
    let manifest = Manifest::for_layers(config, vec![layer.clone()]).to_bytes();
    let digest = client.push_manifest(&app, OCI_MANIFEST, &manifest).unwrap();
    let index = Index::of(vec![Descriptor::of(OCI_MANIFEST, &manifest)]).to_bytes();
    client
        .push_manifest(&real.reference("app:all"), OCI_INDEX, &index)
        .unwrap();
    assert_eq!(client.manifest(&app).unwrap().bytes, manifest);
    assert_eq!(client.manifest_digest(&app).unwrap(), digest);
    let fetched = client.manifest(&real.reference("app:all")).unwrap();
    assert_eq!(
        (fetched.media_type.as_str(), fetched.bytes),
        (OCI_INDEX, index)
    );
    let part = real.folder.path().join("part");
    fs::write(&part, &bytes[..1 << 20]).unwrap();
    client.download(&app, &layer, &part, &|_| {}).unwrap();
    assert!(fs::read(&part).unwrap() == bytes);
    let error = client.manifest(&real.reference("app:none")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn an_open_registry() {
    if !need("an open registry", &["docker-registry"]) {
        return;
    }
    let real = Real::start(tempfile::tempdir().unwrap(), "");
    round_trip(&real, &client());
}

#[test]
fn a_registry_with_passwords() {
    if !need(
        "a registry with passwords",
        &["docker-registry", "htpasswd"],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let users = Command::new("htpasswd")
        .args(["-Bbn", "user", "password"])
        .output()
        .unwrap();
    fs::write(folder.path().join("users"), users.stdout).unwrap();
    let real = Real::start(
        folder,
        "auth:\n  htpasswd:\n    realm: test\n    path: @/users\n",
    );
    let with = |credential| client_of(&real.host, credential);
    round_trip(&real, &with(password("password")));
    for client in [client(), with(password("hidden"))] {
        let error = client.manifest(&real.reference("app:v1")).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
    let client = client();
    client.log_in(&real.host, &password("password")).unwrap();
    assert!(client.log_in(&real.host, &password("hidden")).is_err());
}

/// An authority and a certificate of it for 127.0.0.1; the authority's file.
fn certificates(folder: &Path) -> PathBuf {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 \
        -keyout ca.key -out ca.pem && \
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry -keyout key.pem -out csr.pem && \
        printf 'subjectAltName=IP:127.0.0.1\n' > names && \
        openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem";
    let made = Command::new("sh")
        .current_dir(folder)
        .args(["-c", script])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    folder.join("ca.pem")
}

#[test]
fn a_registry_with_its_own_authority() {
    if !need(
        "a registry with its own authority",
        &["docker-registry", "openssl"],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path());
    let real = Real::start(
        folder,
        "  tls:\n    certificate: @/cert.pem\n    key: @/key.pem\n",
    );
    let trusting = |file: Option<PathBuf>, directory: Option<PathBuf>| {
        let http = http::Client::new(http::Settings {
            authorities: Authorities { file, directory },
            ..settings()
        });
        Client::new(http, Settings::default())
    };
    round_trip(&real, &trusting(Some(authority.clone()), None));
    let trusted = real.folder.path().join("trusted");
    fs::create_dir(&trusted).unwrap();
    fs::copy(&authority, trusted.join("authority.pem")).unwrap();
    let trusts = trusting(None, Some(trusted));
    trusts.manifest(&real.reference("app:v1")).unwrap();
    // Any certificate will do for a registry that the user names.
    let insecure = Settings {
        insecure: vec![real.host.clone()],
        ..Settings::default()
    };
    let app = real.reference("app:v1");
    client_with(insecure).manifest(&app).unwrap();
    let error = client().manifest(&app).unwrap_err();
    let is_untrusted = matches!(error, Error::Http(http::Error::Untrusted { .. }));
    assert!(is_untrusted, "{error}");
    assert!(error.hint().unwrap().contains("SSL_CERT_FILE"));
    let missing = real.folder.path().join("missing.pem");
    let error = trusting(Some(missing), None).manifest(&app);
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot use the certificates in ") && error.contains("missing.pem"),
        "{error}"
    );
}
