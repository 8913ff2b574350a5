//! Tests of credential files and helpers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("config.json");
    fs::write(&path, text).unwrap();
    path
}

fn find(
    text: &str,
    registry: &str,
    repository: &str,
) -> Result<Option<Credential>, CredentialsError> {
    let folder = tempfile::tempdir().unwrap();
    let keychain = Keychain {
        files: vec![folder.path().join("missing"), file(folder.path(), text)],
        ..Keychain::default()
    };
    keychain.find(registry, repository, &Cancel::default())
}

fn password(user: &str, password: &str) -> Credential {
    Credential::Password {
        user: user.into(),
        password: Secret::new(password),
    }
}

#[test]
fn all_spellings_of_a_registry_are_found() {
    for (key, registry) in [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v1/", "ghcr.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("localhost:5000", "localhost:5000"),
    ] {
        // dTpwOnc is u:p:w, without its padding.
        let text = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpwOnc"}}}}}}"#);
        let found = find(&text, registry, "a/b").unwrap();
        assert_eq!(found, Some(password("u", "p:w")), "{key}");
        assert_eq!(find(&text, "other.example", "a/b").unwrap(), None);
    }
}

#[test]
fn the_longest_name_wins() {
    let text = r#"{"auths":{
        "quay.io":{"username":"all","password":"1"},
        "quay.io/team":{"username":"team","password":"2"},
        "quay.io/team/app":{"username":"app","password":"3"}}}"#;
    let found = |repository| find(text, "quay.io", repository).unwrap();
    assert_eq!(found("team/app"), Some(password("app", "3")));
    assert_eq!(found("team/app2"), Some(password("team", "2")));
    assert_eq!(found("other/app"), Some(password("all", "1")));
}

#[test]
fn tokens_are_found_and_nothing_shows_a_secret() {
    let text = r#"{"auths":{"a.example":{"auth":"dTo=","identitytoken":"hidden"}}}"#;
    let found = find(text, "a.example", "x").unwrap().unwrap();
    assert_eq!(found, Credential::IdentityToken(Secret::new("hidden")));
    let shown = format!("{found:?} {:?}", password("u", "hidden"));
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn malformed_files_are_named_and_not_quoted() {
    for text in [
        "hidden",
        "[]",
        r#"{"auths":{"a":{"auth":"hidden!"}}}"#,
        r#"{"auths":{"a":{"auth":"hidden"}}}"#,
    ] {
        let error = find(text, "a", "x").unwrap_err().to_string();
        assert!(
            error.contains("config.json") && !error.contains("hidden"),
            "{error}"
        );
    }
}

#[test]
fn storing_keeps_what_else_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        r#"{"HttpHeaders":{"x":"y"},"auths":{"a":{"auth":"dTpw","email":"e"}},"z":1}"#,
    );
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let cancel = Cancel::default();
    store(&link, "docker.io", &password("user", "pass"), &cancel).unwrap();
    store(
        &link,
        "a",
        &Credential::IdentityToken(Secret::new("t")),
        &cancel,
    )
    .unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let expected = serde_json::json!({
        "HttpHeaders": {"x": "y"},
        "auths": {
            "a": {"email": "e", "identitytoken": "t"},
            "https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNz"},
        },
        "z": 1,
    });
    assert_eq!(text, expected);
    assert!(erase(&path, "docker.io", &cancel).unwrap());
    assert!(!erase(&path, "docker.io", &cancel).unwrap());
    assert!(!erase(&folder.path().join("none"), "a", &cancel).unwrap());
    assert!(fs::read_to_string(&path).unwrap().contains("HttpHeaders"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_new_file_is_private_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker/config.json");
    store(&path, "a", &password("u", "p"), &Cancel::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn a_helper_that_is_not_there_is_named() {
    let text = r#"{"credHelpers":{"a":"kiln-test-missing"},"credsStore":"../evil"}"#;
    let error = find(text, "a", "x").unwrap_err().to_string();
    assert_eq!(
        error,
        "the credential helper docker-credential-kiln-test-missing is not installed"
    );
    let error = find(text, "b", "x").unwrap_err().to_string();
    assert!(error.contains("no name of a program"), "{error}");
}
