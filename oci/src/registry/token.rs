//! Tokens from a token service: with a password (GET), with an identity token (POST, OAuth2), or anonymously. Unaware of where they are
//! used.

use serde::Deserialize;

use super::Client;
use super::answer::text;
use super::authorize::{Token, basic, check_realm};
use super::challenge::TokenService;
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use crate::http::header::{CONTENT_TYPE, HeaderValue};
use crate::http::{
    self, Answer, Body, Method, Redirects, Request, StatusCode, Url, host_of, without_query,
};

/// The largest answer of a token service, in bytes.
const LARGEST: usize = 1 << 20;
/// How long a token lives that does not say so, in seconds (by the specification).
const DEFAULT_LIFE: u64 = 60;

#[derive(Deserialize)]
struct Reply {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Client {
    /// A token for `scopes`.
    pub(super) fn fetch_token(
        &self,
        endpoint: &Endpoint,
        service: &TokenService,
        scopes: &[String],
        credential: Option<&Credential>,
    ) -> Result<Token> {
        check_realm(&self.address(endpoint, "")?, &service.realm)?;
        let all = scopes.iter().chain(&service.scopes);
        let mut all: Vec<&str> = all.map(String::as_str).collect();
        all.dedup();
        let mut request = self.token_request(service, &all, credential);
        request.unchecked = endpoint.unchecked();
        let password = match credential {
            Some(Credential::Password { user, password }) => Some(basic(user, password.expose())?),
            _ => None,
        };
        // The request that needs the token is repeated, and this one with it.
        let answer = self.0.http.send(&request, password.as_ref())?;
        if answer.status() != StatusCode::OK {
            return Err(self.token_refused(endpoint, &service.realm, answer)?);
        }
        read(&answer.bytes(LARGEST)?).map_err(|reason| refused(endpoint, &service.realm, reason))
    }

    fn token_request(
        &self,
        service: &TokenService,
        scopes: &[&str],
        credential: Option<&Credential>,
    ) -> Request<'static> {
        let (mut url, name) = (service.realm.clone(), service.name.as_deref());
        let mut request = match credential {
            Some(Credential::IdentityToken(token)) => {
                let mut request = Request::new(&self.0.http, Method::POST, url);
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers.insert(CONTENT_TYPE, kind);
                request.body = Body::Bytes(form(name, scopes, token.expose()).into());
                request
            }
            _ => {
                url.query_pairs_mut()
                    .extend_pairs(name.map(|name| ("service", name)))
                    .extend_pairs(scopes.iter().map(|scope| ("scope", *scope)));
                Request::new(&self.0.http, Method::GET, url)
            }
        };
        request.redirects = Redirects::Return;
        request
    }

    fn token_refused(&self, endpoint: &Endpoint, realm: &Url, answer: Answer) -> Result<Error> {
        Ok(match answer.refused(text)? {
            error if error.is_passing() => error.into(),
            http::Error::Status {
                code,
                status,
                message,
                ..
            } => {
                let said = format!("{status}{}", http::after_colon(&message));
                if !matches!(code, 401 | 403) {
                    return Ok(refused(endpoint, realm, said));
                }
                let (service, shown) = (host_of(realm), self.shown_credentials(endpoint));
                Error::Denied {
                    host: endpoint.registry.clone(),
                    what: endpoint.repository.clone(),
                    reason: format!("its token service {service} answers {said}, {shown}"),
                }
            }
            error => error.into(),
        })
    }
}

fn refused(endpoint: &Endpoint, realm: &Url, reason: String) -> Error {
    Error::Token {
        host: endpoint.host.clone(),
        realm: without_query(realm),
        reason,
    }
}

/// The OAuth2 form that trades an identity token in.
fn form(service: Option<&str>, scopes: &[&str], token: &str) -> String {
    // A form is encoded as a query is.
    let Ok(mut form) = Url::parse("form:") else {
        return String::new();
    };
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "kiln")
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", token);
    form.query().unwrap_or_default().into()
}

fn read(body: &[u8]) -> std::result::Result<Token, String> {
    let answer: Reply =
        serde_json::from_slice(body).map_err(|_| "it answers with no token".to_owned())?;
    let text = answer.token.filter(|token| !token.is_empty());
    let text = text.or(answer.access_token);
    let text = text.ok_or("it answers with no token")?;
    let life = answer.expires_in.filter(|seconds| *seconds > 0);
    Token::new(&text, life.unwrap_or(DEFAULT_LIFE)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_nonsense_is_refused() {
        assert_eq!(read(br#"{"token":"a"}"#).unwrap().header, "Bearer a");
        let both = br#"{"token":"","access_token":"b","expires_in":99999999999}"#;
        assert_eq!(read(both).unwrap().header, "Bearer b");
        for body in [
            "".to_owned(),
            "{}".into(),
            "<html>".into(),
            r#"{"token":"a\nb"}"#.into(),
            r#"{"token":7}"#.into(),
            "[".repeat(100_000),
        ] {
            assert!(read(body.as_bytes()).is_err());
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(
            form(Some("a b"), &["x:y", "z"], "t&="),
            "grant_type=refresh_token&client_id=kiln&service=a+b&scope=x%3Ay+z&refresh_token=t%26%3D"
        );
    }
}
