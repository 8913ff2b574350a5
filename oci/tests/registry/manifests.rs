//! Manifests: kinds of answers, retries, redirects, mirrors.

use std::time::{Duration, Instant};

use kiln_oci::http::{self, Cancel, Proxies};
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::registry::{Client, Configuration, Error, Settings};
use kiln_oci::{Digest, Reference};

use super::registry::{Fault, Registry};
use super::{app, client, client_with, open, settings};

const TEXT: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn with_manifest() -> Registry {
    let registry = open();
    registry.put_manifest("app:v1", OCI_MANIFEST, TEXT);
    registry
}

/// The error of fetching `app:v1`, and how many requests it took.
fn failure(registry: &Registry) -> (Error, usize) {
    let error = client().manifest(&app(registry)).unwrap_err();
    (error, registry.count("GET", "/manifests/"))
}

fn status(code: u16) -> Fault {
    Fault::Answer(
        code,
        Vec::new(),
        br#"{"errors":[{"code":"X","message":"because"}]}"#.to_vec(),
    )
}

fn retry_after(value: &str) -> Fault {
    Fault::Answer(429, vec![("Retry-After", value.into())], Vec::new())
}

#[test]
fn a_manifest_is_fetched_by_tag_and_by_digest() {
    let registry = with_manifest();
    let fetched = client().manifest(&app(&registry)).unwrap();
    assert_eq!(
        (fetched.bytes.as_slice(), fetched.media_type.as_str()),
        (TEXT, OCI_MANIFEST)
    );
    let by_digest = format!("{}/app@{}", registry.host, Digest::of(TEXT));
    let by_digest = Reference::parse(&by_digest).unwrap();
    assert_eq!(client().manifest(&by_digest).unwrap(), fetched);
    assert_eq!(
        client().manifest_digest(&by_digest).unwrap(),
        fetched.digest
    );
    assert_eq!(
        (
            registry.count("GET", "/manifests/"),
            registry.count("HEAD", "/manifests/")
        ),
        (2, 1)
    );
}

#[test]
fn what_is_missing_is_said_at_once() {
    let registry = open();
    let (error, requests) = failure(&registry);
    assert!(error.is_not_found());
    let expected = format!("{0}/app:v1 is not in {0}: manifest unknown", registry.host);
    assert_eq!((error.to_string(), requests), (expected, 1));
}

#[test]
fn server_errors_are_tried_again_a_number_of_times() {
    let registry = with_manifest();
    registry.fault("GET", "/manifests/", 2, status(500));
    client().manifest(&app(&registry)).unwrap();
    assert_eq!(registry.count("GET", "/manifests/"), 3);
    registry.fault("GET", "/manifests/", 99, status(503));
    let (error, requests) = failure(&registry);
    assert_eq!(requests, 6);
    let message = error.to_string();
    assert!(
        message.ends_with("/v2/app/manifests/v1 failed: 503 Service Unavailable: because"),
        "{message}"
    );
}

#[test]
fn retry_after_is_obeyed_but_not_for_days() {
    let registry = with_manifest();
    registry.fault("GET", "/manifests/", 1, retry_after("1"));
    let began = Instant::now();
    client().manifest(&app(&registry)).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    registry.fault("GET", "/manifests/", 1, retry_after("172800"));
    let (error, requests) = failure(&registry);
    assert_eq!(requests, 3);
    assert!(
        error
            .to_string()
            .contains("asks to come back in 172800 s (429 Too Many Requests)"),
        "{error}"
    );
}

#[test]
fn too_large_documents_and_headers_are_refused() {
    let registry = with_manifest();
    let huge = vec![b' '; (4 << 20) + 1];
    registry.fault(
        "GET",
        "/manifests/",
        1,
        Fault::Answer(200, Vec::new(), huge),
    );
    let (error, requests) = failure(&registry);
    assert!(
        matches!(
            error,
            Error::Http(http::Error::TooLarge {
                limit: 4_194_304,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(requests, 1);
    registry.fault("GET", "/manifests/", 99, Fault::Headers(2000));
    let (error, requests) = failure(&registry);
    assert!(
        matches!(error, Error::Http(http::Error::Broken { .. })),
        "{error}"
    );
    assert_eq!(requests, 4);
}

#[test]
fn nonsense_is_no_manifest() {
    let deep = format!(r#"{{"config":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    for (text, reason) in [
        (deep.as_str(), "recursion limit"),
        ("<html>", "web page"),
        ("nonsense", "no manifest"),
        (r#"{"manifests":[],"layers":[]}"#, "at once"),
    ] {
        let registry = open();
        registry.put_manifest("app:v1", OCI_MANIFEST, text.as_bytes());
        let (error, requests) = failure(&registry);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn a_wrong_digest_is_asked_for_again_once() {
    let registry = with_manifest();
    let other = Digest::of(b"other").to_string();
    registry.fault("GET", "/manifests/", 1, Fault::DigestHeader(other.clone()));
    client().manifest(&app(&registry)).unwrap();
    registry.fault("GET", "/manifests/", 9, Fault::DigestHeader(other.clone()));
    let (error, requests) = failure(&registry);
    assert_eq!(requests, 4);
    assert!(
        error
            .to_string()
            .contains(&format!("wrong content for {other}")),
        "{error}"
    );
}

#[test]
fn a_truncated_manifest_is_fetched_again() {
    let registry = with_manifest();
    registry.fault("GET", "/manifests/", 1, Fault::Truncate(5));
    client().manifest(&app(&registry)).unwrap();
    assert_eq!(registry.count("GET", "/manifests/"), 2);
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let registry = with_manifest();
    registry.fault(
        "GET",
        "/app/",
        1,
        Fault::Redirect(307, "/v2/other/manifests/v1".into()),
    );
    registry.put_manifest("other:v1", OCI_MANIFEST, TEXT);
    client().manifest(&app(&registry)).unwrap();
    registry.fault(
        "GET",
        "/app/",
        99,
        Fault::Redirect(302, "/v2/app/manifests/v1".into()),
    );
    let (error, requests) = failure(&registry);
    assert!(error.to_string().contains("more than 10 times"), "{error}");
    assert_eq!(requests, 2 + 11);
    let registry = with_manifest();
    registry.fault(
        "GET",
        "/app/",
        1,
        Fault::Redirect(302, "file:///etc/passwd".into()),
    );
    assert!(
        failure(&registry)
            .0
            .to_string()
            .contains("to a file address")
    );
}

#[test]
fn silence_ends_with_a_message() {
    let registry = with_manifest();
    registry.fault("GET", "/manifests/", 99, Fault::Silence);
    let (error, requests) = failure(&registry);
    assert_eq!(
        error.to_string(),
        format!("{} stalled: waited 2 s for an answer", registry.host)
    );
    assert_eq!(requests, 3);
}

#[test]
fn cancelling_is_prompt() {
    let registry = with_manifest();
    registry.fault("GET", "/manifests/", 99, Fault::Silence);
    let began = Instant::now();
    let http = http::Client::new(http::Settings {
        cancel: Cancel::when(move || began.elapsed() > Duration::from_millis(300)),
        ..settings()
    });
    let client = Client::new(http, Settings::default());
    assert!(client.manifest(&app(&registry)).unwrap_err().is_cancelled());
    assert!(
        began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn mirrors_are_asked_first_and_the_registry_last() {
    let (mirror, origin) = (with_manifest(), with_manifest());
    mirror.put_manifest("hub/app:v1", OCI_MANIFEST, TEXT);
    let json = format!(
        r#"{{"mirrors":{{"{}":["http://{}/hub"]}}}}"#,
        origin.host, mirror.host
    );
    let client = client_with(Settings {
        mirrors: Configuration::parse(json.as_bytes()).unwrap().mirrors,
        ..Settings::default()
    });
    client.manifest(&app(&origin)).unwrap();
    assert_eq!(
        (mirror.count("GET", "/v2/hub/app/"), origin.count("GET", "")),
        (1, 0)
    );
    mirror.fault("GET", "/manifests/", 99, status(500));
    client.manifest(&app(&origin)).unwrap();
    assert_eq!(
        (
            mirror.count("GET", "/manifests/"),
            origin.count("GET", "/manifests/")
        ),
        (3, 1)
    );
}

#[test]
fn a_proxy_is_asked_and_its_password_not_shown() {
    let proxy = with_manifest();
    let through = |address: String| {
        let http = http::Client::new(http::Settings {
            proxies: Proxies {
                http: Some(address),
                ..Proxies::default()
            },
            ..settings()
        });
        let registries = Settings {
            insecure: vec!["registry.invalid".into()],
            ..Settings::default()
        };
        Client::new(http, registries)
            .manifest(&Reference::parse("registry.invalid/app:v1").unwrap())
    };
    through(format!("http://user:hidden@{}", proxy.host)).unwrap();
    let seen = proxy.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.headers["proxy-authorization"] == "Basic dXNlcjpoaWRkZW4=")
    );
    assert!(
        seen.iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
    for address in [
        "http://user:hidden@127.0.0.1:1",
        "http://user:hidden@[",
        "user:hidden",
    ] {
        let error = through(address.into()).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hidden"),
            "{error:?}"
        );
    }
}

#[test]
fn nobody_there_is_said() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = port.local_addr().unwrap().to_string();
    drop(port);
    let reference = Reference::parse(&format!("{host}/app")).unwrap();
    let error = client().manifest(&reference).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("cannot connect to {host}: Connection refused (os error 111)")
    );
}

#[test]
fn a_pushed_manifest_is_what_was_pushed() {
    let registry = open();
    let digest = client()
        .push_manifest(&app(&registry), OCI_MANIFEST, TEXT)
        .unwrap();
    assert_eq!(client().manifest_digest(&app(&registry)).unwrap(), digest);
    registry.fault(
        "PUT",
        "/manifests/",
        1,
        Fault::DigestHeader(Digest::of(b"other").to_string()),
    );
    let error = client()
        .push_manifest(&app(&registry), OCI_MANIFEST, TEXT)
        .unwrap_err();
    assert!(
        error.to_string().contains("it says that it stored"),
        "{error}"
    );
}

#[test]
fn tags_come_page_by_page() {
    let registry = open();
    for tag in ["a", "b", "c", "d", "e"] {
        registry.put_manifest(&format!("app:{tag}"), OCI_MANIFEST, TEXT);
    }
    let tags = client().tags(&app(&registry)).unwrap();
    assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    assert_eq!(registry.count("GET", "/tags/list"), 3);
    let missing = Reference::parse(&format!("{}/missing", registry.host)).unwrap();
    assert!(client().tags(&missing).unwrap_err().is_not_found());
    let body = |text: &str| Fault::Answer(200, Vec::new(), text.as_bytes().to_vec());
    let itself = Fault::Answer(
        200,
        vec![("Link", r#"</v2/app/tags/list>; rel="next""#.into())],
        b"{}".to_vec(),
    );
    for (fault, says) in [
        (body("<html>"), "no list of tags"),
        (body(&"[".repeat(100_000)), "no list of tags"),
        (itself, "followed by itself"),
    ] {
        registry.fault("GET", "/tags/list", 1, fault);
        let error = client().tags(&app(&registry)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
