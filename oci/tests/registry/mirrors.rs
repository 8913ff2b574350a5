//! Mirrors that are down, overloaded, or have something else: the registry itself is asked, at once and once and for all.

use std::fs;
use std::time::{Duration, Instant};

use kiln_oci::Descriptor;
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::registry::{Client, Configuration, Settings};

use super::registry::{Fault, Registry};
use super::{app, blob, client_with, content, open};

const TEXT: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

/// A client that asks the mirrors before `origin`.
fn through(mirrors: &[&str], origin: &Registry) -> Client {
    let json = format!(r#"{{"mirrors":{{"{}":{mirrors:?}}}}}"#, origin.host);
    client_with(Settings {
        mirrors: Configuration::parse(json.as_bytes()).unwrap().mirrors,
        ..Settings::default()
    })
}

fn with_blob(bytes: &[u8]) -> (Registry, Descriptor) {
    let registry = open();
    registry.put_manifest("app:v1", OCI_MANIFEST, TEXT);
    let digest = registry.put_blob(bytes);
    (registry, blob(digest, bytes))
}

/// An address where nobody listens.
fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    port.local_addr().unwrap().to_string()
}

#[test]
fn what_a_mirror_has_wrong_comes_from_the_registry() {
    let bytes = content(300_000);
    for fault in [
        Fault::Corrupt,
        Fault::Length(5),
        Fault::Answer(404, Vec::new(), Vec::new()),
        Fault::Answer(500, Vec::new(), Vec::new()),
        Fault::Truncate(1000),
    ] {
        let ((mirror, described), (origin, _)) = (with_blob(&bytes), with_blob(&bytes));
        mirror.fault("GET", "/blobs/", 99, fault.clone());
        let client = through(&[&mirror.host], &origin);
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let downloaded = client.download(&app(&origin), &described, &part, &|_| {});
        downloaded.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(fs::read(&part).unwrap() == bytes);
        assert_eq!(origin.count("GET", "/blobs/"), 1, "{fault:?}");
        let document = client.document(&app(&origin), &described);
        assert!(document.unwrap() == bytes, "{fault:?}");
    }
}

#[test]
fn both_may_be_wrong() {
    let bytes = content(1000);
    let ((mirror, described), (origin, _)) = (with_blob(&bytes), with_blob(&bytes));
    for registry in [&mirror, &origin] {
        registry.fault("GET", "/blobs/", 99, Fault::Corrupt);
    }
    let client = through(&[&mirror.host], &origin);
    let error = client.document(&app(&origin), &described).unwrap_err();
    assert!(error.to_string().starts_with(&origin.host), "{error}");
    let asked = |registry: &Registry| registry.count("GET", "/blobs/");
    assert_eq!((asked(&mirror), asked(&origin)), (1, 2));
}

#[test]
fn a_mirror_that_is_down_is_asked_no_more() {
    let (silent, _) = with_blob(b"x");
    silent.fault("GET", "", 99, Fault::Silence);
    let (origin, described) = with_blob(b"x");
    let (nobody, url) = (nobody(), format!("http://{}", silent.host));
    let client = through(&[&nobody, &url], &origin);
    for _ in 0..3 {
        client.manifest(&app(&origin)).unwrap();
        client.document(&app(&origin), &described).unwrap();
    }
    assert_eq!(silent.seen().len(), 2, "a first try and a second one");
}

#[test]
fn a_mirror_that_is_overloaded_is_not_waited_for() {
    let ((mirror, _), (origin, _)) = (with_blob(b"x"), with_blob(b"x"));
    let wait = vec![("Retry-After", "2".to_owned())];
    mirror.fault(
        "GET",
        "/manifests/",
        99,
        Fault::Answer(429, wait, Vec::new()),
    );
    let begun = Instant::now();
    through(&[&mirror.host], &origin)
        .manifest(&app(&origin))
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(mirror.count("GET", "/manifests/"), 1);
}
