//! Uploads: whole, in pieces, continued, mounted.

use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln_oci::registry::{Client, Error};
use kiln_oci::{Descriptor, Digest, Reference};

use super::registry::{Fault, Registry};
use super::{app, blob, client, content, open};

fn push(client: &Client, registry: &Registry, bytes: &[u8]) -> Result<Digest, Error> {
    let digest = Digest::of(bytes);
    let owned = bytes.to_vec();
    let open =
        move || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(owned.clone()))) };
    client.push_blob(&app(registry), &blob(digest, bytes), &open)?;
    Ok(digest)
}

#[test]
fn a_blob_goes_in_one_request() {
    let registry = open();
    for length in [0, 1, 700_000] {
        let digest = push(&client(), &registry, &content(length)).unwrap();
        assert!(registry.has_blob(digest));
        assert!(client().has_blob(&app(&registry), digest).unwrap());
    }
    assert_eq!(registry.count("PUT", "/blobs/uploads/"), 3);
    assert_eq!(registry.count("PATCH", ""), 0);
    let absent = Digest::of(b"absent");
    assert!(!client().has_blob(&app(&registry), absent).unwrap());
}

#[test]
fn a_reset_upload_goes_on_where_it_was() {
    let registry = open();
    registry.fault("PUT", "/blobs/uploads/", 1, Fault::Reset(100_000));
    let digest = push(&client(), &registry, &content(5_000_000)).unwrap();
    assert!(registry.has_blob(digest));
    let seen = registry.seen();
    let patch = seen.iter().find(|seen| seen.method == "PATCH").unwrap();
    assert_eq!(patch.headers["content-range"], "100000-4999999");
    assert_eq!(registry.count("POST", ""), 1);
}

#[test]
fn a_forgotten_upload_begins_anew_a_number_of_times() {
    let registry = open();
    registry.fault("PUT", "/blobs/uploads/", 1, Fault::Reset(0));
    push(&client(), &registry, &content(5_000_000)).unwrap();
    assert_eq!(registry.count("POST", ""), 2);
    let registry = open();
    registry.fault(
        "PUT",
        "/blobs/uploads/",
        99,
        Fault::Answer(503, Vec::new(), Vec::new()),
    );
    let error = push(&client(), &registry, &content(1000))
        .unwrap_err()
        .to_string();
    assert!(error.contains("PUT") && error.contains("503"), "{error}");
    assert_eq!(registry.count("PUT", ""), 3);
}

#[test]
fn a_blob_that_is_too_much_at_once_goes_in_pieces() {
    let registry = open();
    registry.fault(
        "PUT",
        "/blobs/uploads/",
        1,
        Fault::Answer(413, Vec::new(), Vec::new()),
    );
    let digest = push(&client(), &registry, &content(17 << 20)).unwrap();
    assert!(registry.has_blob(digest));
    assert_eq!(
        (registry.count("PATCH", ""), registry.count("PUT", "")),
        (2, 2)
    );
}

#[test]
fn a_proxy_that_hangs_up_gets_pieces_and_the_blob_is_read_once_for_them() {
    let registry = open();
    registry.fault("PUT", "/blobs/uploads/", 2, Fault::Reset(0));
    let bytes = content(40 << 20);
    let opened = AtomicUsize::new(0);
    let open = || -> io::Result<Box<dyn Read + Send>> {
        opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Cursor::new(content(40 << 20))))
    };
    let descriptor = blob(Digest::of(&bytes), &bytes);
    client()
        .push_blob(&app(&registry), &descriptor, &open)
        .unwrap();
    assert!(registry.has_blob(descriptor.digest));
    assert_eq!(
        (registry.count("PUT", ""), registry.count("PATCH", "")),
        (3, 3)
    );
    assert_eq!(opened.into_inner(), 3);
}

#[test]
fn a_blob_that_changes_is_not_pushed() {
    let registry = open();
    let bytes = content(1000);
    let wrong = Descriptor {
        size: 2000,
        ..blob(Digest::of(&bytes), &bytes)
    };
    let opened = AtomicUsize::new(0);
    let open = || -> io::Result<Box<dyn Read + Send>> {
        opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Cursor::new(content(1000))))
    };
    let error = client()
        .push_blob(&app(&registry), &wrong, &open)
        .unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
    assert_eq!(opened.into_inner(), 1);
    assert!(!registry.has_blob(wrong.digest));
}

#[test]
fn a_slow_registry_is_not_waited_for_without_end() {
    let registry = open();
    registry.fault("PUT", "/blobs/uploads/", 99, Fault::Silence);
    let error = push(&client(), &registry, b"x").unwrap_err().to_string();
    assert!(
        error.contains("stalled: waited 3 s for an answer"),
        "{error}"
    );
}

#[test]
fn blobs_are_mounted_where_the_registry_does_it() {
    let registry = open();
    let digest = registry.put_blob(b"blob");
    let from = Reference::parse(&format!("{}/base", registry.host)).unwrap();
    assert!(client().mount_blob(&app(&registry), &from, digest).unwrap());
    let mount = format!(
        "/v2/app/blobs/uploads/?mount=sha256%3A{}&from=base",
        &digest.to_string()[7..]
    );
    assert_eq!(registry.count("POST", &mount), 1);
    assert!(
        !client()
            .mount_blob(&app(&registry), &from, Digest::of(b"absent"))
            .unwrap()
    );
    assert_eq!(registry.open_uploads(), 0);
    let elsewhere = Reference::parse("other.example/base").unwrap();
    assert!(
        !client()
            .mount_blob(&app(&registry), &elsewhere, digest)
            .unwrap()
    );
    assert_eq!(registry.count("POST", ""), 2);
}
