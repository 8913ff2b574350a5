//! Blobs: breaks, ranges, wrong content, slowness.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use kiln_oci::Descriptor;
use kiln_oci::registry::Error;

use super::registry::{Fault, Guard, Registry};
use super::{app, blob, client, client_of, content, open, password};

const LENGTH: usize = 300_000;

struct Case {
    registry: Registry,
    content: Vec<u8>,
    blob: Descriptor,
    folder: tempfile::TempDir,
}

impl Case {
    fn new(faults: &[(usize, Fault)]) -> Self {
        let registry = open();
        let content = content(LENGTH);
        let digest = registry.put_blob(&content);
        for (times, fault) in faults {
            registry.fault("GET", "/blobs/", *times, fault.clone());
        }
        Case {
            blob: blob(digest, &content),
            registry,
            content,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("part")
    }

    fn download(&self) -> Result<(), Error> {
        client().download(&app(&self.registry), &self.blob, &self.part(), &|_| {})
    }

    /// It succeeds, after so many requests.
    fn succeeds(&self, requests: usize) {
        self.download().unwrap();
        assert!(fs::read(self.part()).unwrap() == self.content);
        assert_eq!(self.registry.count("GET", "/blobs/"), requests);
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 1);
    }

    /// The ranges that were asked for.
    fn ranges(&self) -> Vec<String> {
        let seen = self.registry.seen();
        let blobs = seen.iter().filter(|seen| seen.path.contains("/blobs/"));
        blobs
            .map(|seen| seen.headers.get("range").cloned().unwrap_or_default())
            .collect()
    }
}

#[test]
fn a_break_is_continued() {
    let case = Case::new(&[(1, Fault::Truncate(100_000))]);
    case.succeeds(2);
    assert_eq!(case.ranges(), ["", "bytes=100000-"]);
}

#[test]
fn a_part_file_is_continued_and_progress_told() {
    let case = Case::new(&[]);
    fs::write(case.part(), &case.content[..200_000]).unwrap();
    let told = Mutex::new(Vec::new());
    let tell = |bytes| told.lock().unwrap().push(bytes);
    client()
        .download(&app(&case.registry), &case.blob, &case.part(), &tell)
        .unwrap();
    assert!(fs::read(case.part()).unwrap() == case.content);
    let told = told.into_inner().unwrap();
    assert_eq!((told[0], *told.last().unwrap()), (200_000, LENGTH as u64));
    assert!(told.is_sorted());
    assert_eq!(case.ranges(), ["bytes=200000-"]);
    // All there: nothing is asked.
    case.succeeds(1);
}

#[test]
fn a_wrong_part_file_is_dropped() {
    let case = Case::new(&[]);
    fs::write(case.part(), vec![7; 200_000]).unwrap();
    case.succeeds(2);
    assert_eq!(case.ranges(), ["bytes=200000-", ""]);
    let case = Case::new(&[]);
    fs::write(case.part(), vec![7; LENGTH + 1]).unwrap();
    case.succeeds(1);
}

#[test]
fn a_server_that_ignores_or_refuses_ranges_sends_it_all() {
    let case = Case::new(&[(1, Fault::Truncate(100_000)), (1, Fault::IgnoreRange)]);
    case.succeeds(2);
    let case = Case::new(&[(1, Fault::Truncate(100_000)), (1, Fault::RefuseRange)]);
    case.succeeds(3);
    assert_eq!(case.ranges(), ["", "bytes=100000-", ""]);
}

#[test]
fn wrong_content_is_fetched_again_once() {
    Case::new(&[(1, Fault::Corrupt)]).succeeds(2);
    let case = Case::new(&[(9, Fault::Corrupt)]);
    let error = case.download().unwrap_err().to_string();
    let expected = format!(
        "wrong content for {}: its digest is sha256:",
        case.blob.digest
    );
    assert!(error.contains(&expected), "{error}");
    assert_eq!(case.registry.count("GET", "/blobs/"), 2);
    assert!(!case.part().exists());
}

#[test]
fn a_wrong_length_is_refused_before_the_content() {
    for length in [10, u64::MAX / 2] {
        let case = Case::new(&[(9, Fault::Length(length))]);
        let error = case.download().unwrap_err().to_string();
        assert!(
            error.contains(&format!("{length} bytes are announced instead of {LENGTH}")),
            "{error}"
        );
        assert_eq!(case.registry.count("GET", "/blobs/"), 2);
        assert!(!case.part().exists());
    }
}

#[test]
fn stalls_and_drips_end_and_keep_what_came() {
    for fault in [
        Fault::Stall(1000),
        Fault::Drip(1000, Duration::from_millis(50)),
    ] {
        let case = Case::new(&[(99, fault.clone())]);
        let error = case.download().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("stalled: waited 1 s for more of a transfer"),
            "{error}"
        );
        assert_eq!(case.registry.count("GET", "/blobs/"), 3);
        assert!(fs::metadata(case.part()).unwrap().len() >= 1000);
    }
    Case::new(&[(1, Fault::Stall(1000))]).succeeds(2);
}

#[test]
fn a_missing_blob_is_said_at_once() {
    let case = Case::new(&[(9, Fault::Answer(404, Vec::new(), Vec::new()))]);
    let error = case.download().unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        format!("{} is not in {}", case.blob.digest, case.registry.host)
    );
    assert_eq!(case.registry.count("GET", "/blobs/"), 1);
}

#[test]
fn a_document_with_wrong_content_is_fetched_again() {
    for (times, requests) in [(1, 2), (9, 2)] {
        let case = Case::new(&[(times, Fault::Corrupt)]);
        let read = client().document(&app(&case.registry), &case.blob);
        assert_eq!(case.registry.count("GET", "/blobs/"), requests);
        match read {
            Ok(read) => assert!(times == 1 && read == case.content),
            Err(error) => assert!(times == 9, "{error}"),
        }
    }
    let huge = Descriptor {
        size: u64::MAX / 2,
        ..Case::new(&[]).blob
    };
    let error = client().document(&app(&open()), &huge).unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let (registry, elsewhere) = (Registry::start(Guard::Basic), open());
    let content = content(1000);
    let digest = elsewhere.put_blob(&content);
    let there = format!(
        "http://{}/v2/x/blobs/{digest}?signature=hidden",
        elsewhere.host
    );
    registry.fault("GET", "/blobs/", 9, Fault::Redirect(307, there));
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let client = client_of(&registry.host, password("password"));
    // The first request learns what is demanded.
    client.has_blob(&app(&registry), digest).unwrap();
    client
        .download(&app(&registry), &blob(digest, &content), &part, &|_| {})
        .unwrap();
    let asked = registry
        .seen()
        .into_iter()
        .rfind(|seen| seen.method == "GET")
        .unwrap();
    assert!(asked.headers.contains_key("authorization"));
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("authorization"));
    // What a signed address holds is not shown either.
    elsewhere.fault(
        "GET",
        "/blobs/",
        9,
        Fault::Answer(400, Vec::new(), Vec::new()),
    );
    fs::remove_file(&part).unwrap();
    let error = client.download(&app(&registry), &blob(digest, &content), &part, &|_| {});
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(&elsewhere.host) && !error.contains("hidden"),
        "{error}"
    );
}
