//! The header in which a registry says what it demands, `WWW-Authenticate` (RFC 9110, 11.6.1; split
//! by the crate http-auth). Unaware of credentials.

use crate::http::Url;
use crate::http::header::HeaderValue;

/// What a registry demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token.
    Bearer(TokenService),
}

/// Who hands tokens out, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenService {
    /// Its address.
    pub realm: Url,
    /// What it knows the registry as.
    pub name: Option<String>,
    /// Scopes that the registry names, in addition to what the client knows that it needs.
    pub scopes: Vec<String>,
}

impl Challenge {
    /// The one of several challenges that is answered: a token rather than the password.
    pub(super) fn strongest<'h>(
        headers: impl IntoIterator<Item = &'h HeaderValue>,
    ) -> Option<Self> {
        let parsed = headers
            .into_iter()
            .filter_map(|header| header.to_str().ok());
        let all: Vec<Self> = parsed.flat_map(Self::parse).collect();
        let bearer = all.iter().find(|challenge| **challenge != Self::Basic);
        bearer.or(all.first()).cloned()
    }

    /// All that can be answered.
    fn parse(text: &str) -> Vec<Self> {
        let parsed = http_auth::parse_challenges(text).unwrap_or_default();
        parsed.iter().filter_map(Self::of).collect()
    }

    fn of(challenge: &http_auth::ChallengeRef<'_>) -> Option<Self> {
        let parameter = |name: &str| {
            let mut all = challenge.params.iter();
            let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let realm = Url::parse(&parameter("realm")?).ok()?;
        let usable = matches!(realm.scheme(), "http" | "https") && realm.host_str().is_some();
        let scopes = parameter("scope").unwrap_or_default();
        let service = TokenService {
            realm,
            name: parameter("service"),
            scopes: scopes.split_ascii_whitespace().map(Into::into).collect(),
        };
        usable.then_some(Self::Bearer(service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strongest(headers: &[&str]) -> Option<Challenge> {
        let headers: Vec<HeaderValue> = headers.iter().map(|h| h.parse().unwrap()).collect();
        Challenge::strongest(&headers)
    }

    #[test]
    fn a_token_is_preferred_to_the_password() {
        let bearer =
            r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull""#;
        let Some(Challenge::Bearer(service)) = strongest(&[r#"Basic realm="x""#, bearer]) else {
            panic!("no bearer");
        };
        assert_eq!(service.realm.as_str(), "https://auth.example/token");
        assert_eq!(service.name.as_deref(), Some("reg"));
        assert_eq!(service.scopes, ["repository:a:pull"]);
        assert_eq!(strongest(&[r#"bAsIc realm="x""#]), Some(Challenge::Basic));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for text in [
            "",
            "Bearer",
            r#"Bearer realm="file:///etc/passwd""#,
            r#"Bearer realm="nowhere""#,
            r#"Digest realm="x""#,
            "=,=,=",
        ] {
            assert_eq!(strongest(&[text]), None, "{text}");
        }
    }
}
