//! The grammar, docker's normalisation and the two text forms.

use proptest::prelude::*;

use super::*;

fn full(text: &str) -> String {
    Reference::parse(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .to_string()
}

#[test]
fn normalises_as_docker_does() {
    let digest = Digest::of(b"x");
    for (given, canonical, familiar) in [
        ("app", "docker.io/library/app", "app"),
        ("app:v1", "docker.io/library/app:v1", "app:v1"),
        ("org/app", "docker.io/org/app", "org/app"),
        ("docker.io/app", "docker.io/library/app", "app"),
        ("index.docker.io/app:1", "docker.io/library/app:1", "app:1"),
        (
            "index.docker.io/library/app",
            "docker.io/library/app",
            "app",
        ),
        ("localhost/app", "localhost/app", "localhost/app"),
        (
            "localhost:5000/app:v1",
            "localhost:5000/app:v1",
            "localhost:5000/app:v1",
        ),
        ("host:5000/a/b", "host:5000/a/b", "host:5000/a/b"),
        (
            "[::1]:5000/app:v1",
            "[::1]:5000/app:v1",
            "[::1]:5000/app:v1",
        ),
        ("GHCR.io/org/app", "GHCR.io/org/app", "GHCR.io/org/app"),
        ("Host/app", "Host/app", "Host/app"),
        ("a__b/c--d.e", "docker.io/a__b/c--d.e", "a__b/c--d.e"),
        (
            "docker.io/localhost/app",
            "docker.io/localhost/app",
            "docker.io/localhost/app",
        ),
    ] {
        let reference = Reference::parse(given).unwrap();
        assert_eq!(
            (
                reference.to_string().as_str(),
                reference.familiar().as_str()
            ),
            (canonical, familiar)
        );
    }
    assert_eq!(
        full(&format!("app:v1@{digest}")),
        format!("docker.io/library/app:v1@{digest}")
    );
    assert_eq!(
        full(&format!("app@{digest}")),
        format!("docker.io/library/app@{digest}")
    );
}

#[test]
fn refuses_what_breaks_the_grammar() {
    for bad in [
        "",
        ":v1",
        "@",
        "app:",
        "app:-x",
        "app:.x",
        "app:a/b:",
        "app/",
        "/app",
        "a//b",
        "a/./b",
        "a/../b",
        "-a",
        "a-",
        "a___b",
        "a..b",
        "a._b",
        "app@sha256:00",
        "app@",
        "app:v1:v2",
        "ho_st:5000/app",
        "host:/app",
        "host:x/app",
        "[::1/app",
        "[]/app",
        "-h.io/app",
        "app name",
        "app\n",
        "äpp",
        "docker.io/",
        "docker.io",
        "host.io/",
    ] {
        let parsed = Reference::parse(bad);
        // A lone `docker.io` is a repository of that name, as it is for docker.
        assert_eq!(
            parsed.is_err(),
            bad != "docker.io",
            "{bad:?} gave {parsed:?}"
        );
    }
}

#[test]
fn explains_the_common_mistakes() {
    let upper = Reference::parse("MyApp:v1").unwrap_err().to_string();
    assert_eq!(
        upper,
        "repository name \"MyApp\" must be lower-case: did you mean \"myapp\"?"
    );
    let id = "0123456789abcdef".repeat(4);
    assert!(matches!(
        Reference::parse(&id),
        Err(ReferenceError::ImageId(_))
    ));
}

#[test]
fn limits_lengths() {
    assert!(Reference::parse(&format!("org/{}", "a".repeat(251))).is_ok());
    assert_eq!(
        Reference::parse(&format!("org/{}", "a".repeat(252))),
        Err(ReferenceError::TooLong(256))
    );
    assert!(Reference::parse(&format!("app:{}", "a".repeat(128))).is_ok());
    assert!(matches!(
        Reference::parse(&format!("app:{}", "a".repeat(129))),
        Err(ReferenceError::Tag { .. })
    ));
}

#[test]
fn default_tag_is_latest_unless_a_digest_names_the_image() {
    let app = Reference::parse("app").unwrap();
    assert_eq!(app.tag_or_latest(), "latest");
    assert_eq!(
        app.with_default_tag().to_string(),
        "docker.io/library/app:latest"
    );
    let pinned = Reference::parse(&format!("app@{}", Digest::of(b""))).unwrap();
    assert_eq!(pinned.clone().with_default_tag(), pinned);
}

#[test]
fn a_new_name_reads_as_no_digest() {
    let name = |text: &str| Reference::parse_new(text).map(|name| name.familiar());
    let hex = "ab".repeat(32);
    for text in [
        "sha256".to_owned(),
        format!("sha256:{hex}"),
        "sha512:v1".to_owned(),
        format!("docker.io/library/sha256:{hex}"),
        format!("app@sha256:{hex}"),
        format!("app:v1@sha256:{hex}"),
    ] {
        assert_eq!(name(&text), Err(ReferenceError::LikeDigest(text)));
    }
    for text in [
        "app:latest",
        "org/sha256:v1",
        "lan:5000/sha256:v1",
        "sha256sum:v1",
    ] {
        assert_eq!(name(text).as_deref(), Ok(text));
    }
}

proptest! {
    #[test]
    fn both_text_forms_parse_back(
        registry in "(docker\\.io|localhost|localhost:[0-9]{1,5}|[a-z0-9]{1,5}\\.[a-z]{2,3}(:[0-9]{1,4})?)/|",
        path in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,4}(\\.[a-z0-9]{1,3})?){0,3}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        pinned in any::<bool>(),
    ) {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = if pinned { format!("@{}", Digest::of(path.as_bytes())) } else { String::new() };
        // Without a registry, a first component with a dot would be taken for one.
        let path = if registry.is_empty() { path.replace('.', "_") } else { path };
        let text = format!("{registry}{path}{tag}{digest}");
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
        prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
    }

    #[test]
    fn whatever_parses_displays_as_itself(text in "[a-zA-Z0-9:/@._-]{0,40}|\\PC{0,20}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
    }
}
