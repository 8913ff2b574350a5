//! Credentials: Basic, tokens, and a token service that misbehaves.

use kiln_oci::http;
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::registry::{Client, Credential, Error, Secret, Settings};
use kiln_oci::{Digest, Reference};

use super::registry::{Fault, Guard, Registry};
use super::{app, client, client_of, password};

const TEXT: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn guarded(guard: Guard) -> Registry {
    let registry = Registry::start(guard);
    registry.put_manifest("app:v1", OCI_MANIFEST, TEXT);
    registry
}

#[test]
fn passwords_open_what_they_open() {
    for guard in [Guard::Basic, Guard::Token] {
        let registry = guarded(guard);
        client_of(&registry.host, password("password"))
            .manifest(&app(&registry))
            .unwrap();
        for (client, shown) in [
            (client(), "asked without credentials"),
            (
                client_of(&registry.host, password("hidden")),
                "asked as \"user\"",
            ),
        ] {
            let error = client.manifest(&app(&registry)).unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{error}");
            let message = format!("{error} {error:?} {client:?}");
            assert!(
                message.contains(shown) && !message.contains("hidden"),
                "{message}"
            );
            assert!(error.hint().unwrap().contains("kiln login"));
        }
    }
}

#[test]
fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let registry = guarded(Guard::AnonymousToken);
    let client = client();
    client.manifest(&app(&registry)).unwrap();
    client.manifest(&app(&registry)).unwrap();
    assert_eq!(
        registry.count("GET", "/token?service=test&scope=repository%3Aapp%3Apull"),
        1
    );
    // One refusal, then each with the token.
    assert_eq!(registry.count("GET", "/manifests/"), 3);
    registry.revoke();
    client.manifest(&app(&registry)).unwrap();
    assert_eq!(registry.count("GET", "/token"), 2);
}

#[test]
fn a_mount_asks_for_two_scopes() {
    let registry = guarded(Guard::Token);
    let digest = registry.put_blob(b"blob");
    let from = Reference::parse(&format!("{}/base", registry.host)).unwrap();
    let client = client_of(&registry.host, password("password"));
    assert!(client.mount_blob(&app(&registry), &from, digest).unwrap());
    let scopes = "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull";
    assert_eq!(registry.count("GET", scopes), 1);
}

#[test]
fn identity_tokens_are_traded_in() {
    let registry = guarded(Guard::Token);
    let token = Credential::IdentityToken(Secret::new("identity"));
    client_of(&registry.host, token)
        .manifest(&app(&registry))
        .unwrap();
    let seen = registry.seen();
    let post = seen.iter().find(|seen| seen.method == "POST").unwrap();
    let form = String::from_utf8(post.body.clone()).unwrap();
    assert!(
        form.starts_with("grant_type=refresh_token&client_id=kiln&service=test&"),
        "{form}"
    );
}

#[test]
fn a_token_service_that_misbehaves_is_named() {
    let body = |text: &str| Fault::Answer(200, Vec::new(), text.as_bytes().to_vec());
    let deep = "[".repeat(100_000);
    for (fault, reason, requests) in [
        (body("<html>"), "answers with no token", 1),
        (body("{}"), "answers with no token", 1),
        (body(&deep), "answers with no token", 1),
        (body(r#"{"token":"a\r\nb: c"}"#), "no header may have", 1),
        (body(&" ".repeat(2 << 20)), "larger than 1048576 bytes", 1),
        (Fault::Answer(500, Vec::new(), Vec::new()), "500", 3),
        (
            Fault::Redirect(302, "http://elsewhere.example/".into()),
            "302",
            1,
        ),
    ] {
        let registry = guarded(Guard::Token);
        registry.fault("GET", "/token", 99, fault);
        let client = client_of(&registry.host, password("password"));
        let error = client.manifest(&app(&registry)).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains("/token"),
            "{error}"
        );
        assert_eq!(registry.count("GET", "/token"), requests, "{error}");
    }
}

#[test]
fn logging_in_checks() {
    for guard in [Guard::Basic, Guard::Token] {
        let registry = guarded(guard);
        let client = client();
        client
            .log_in(&registry.host, &password("password"))
            .unwrap();
        let error = client
            .log_in(&registry.host, &password("hidden"))
            .unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(!error.to_string().contains("hidden"));
    }
}

#[test]
fn pushing_shows_what_it_must() {
    let registry = guarded(Guard::Token);
    let client = client_of(&registry.host, password("password"));
    let digest = client
        .push_manifest(&app(&registry), OCI_MANIFEST, TEXT)
        .unwrap();
    assert_eq!(digest, Digest::of(TEXT));
    assert_eq!(
        registry.count("GET", "scope=repository%3Aapp%3Apull%2Cpush"),
        1
    );
}

#[test]
fn a_silent_token_service_is_given_up() {
    let registry = guarded(Guard::Token);
    registry.fault("GET", "/token", 99, Fault::Silence);
    let mut settings = super::settings();
    settings.patience.retries = 20;
    // two attempts of two seconds
    settings.patience.silence = std::time::Duration::from_secs(3);
    let client = Client::new(http::Client::new(settings), Settings::default());
    let error = client.manifest(&app(&registry)).unwrap_err().to_string();
    assert!(
        error.contains("stalled: waited 2 s for an answer"),
        "{error}"
    );
    assert_eq!(registry.count("GET", "/token"), 2);
}
