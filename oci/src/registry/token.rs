//! Tokens from a token service: with a password (GET), with an identity token (POST, OAuth2), or
//! anonymously. Unaware of where they are used.

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::answer::text;
use super::authorize::{Token, basic, check_realm};
use super::challenge::Challenge;
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::{Payload, Request};
use super::retry::retry_after;
use super::session::Session;
use super::transport::{host_of, without_query};

/// The largest answer of a token service, in bytes.
const LARGEST: usize = 1 << 20;
/// How long a token lives that does not say so, in seconds (by the specification).
const DEFAULT_LIFE: u64 = 60;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Session {
    /// A token for `scopes`.
    pub(super) async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        challenge: &Challenge,
        scopes: &[String],
        credential: Option<&Credential>,
    ) -> Result<Token> {
        let Challenge::Bearer {
            realm,
            service,
            scopes: named,
        } = challenge
        else {
            return Err(Error::Token {
                host: endpoint.host.clone(),
                realm: String::new(),
                reason: "it hands out none".into(),
            });
        };
        check_realm(&self.address(endpoint, "").await?, realm)?;
        let mut all: Vec<&str> = scopes.iter().map(String::as_str).collect();
        all.extend(named.iter().map(String::as_str));
        all.dedup();
        let request = request(self, endpoint, realm, service.as_deref(), &all, credential)?;
        // Whoever needs the token tries again.
        let body = self.ask_for_token(endpoint, &request, realm).await?;
        read(&body).map_err(|reason| refused(endpoint, realm, reason))
    }

    async fn ask_for_token(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        realm: &Url,
    ) -> Result<Vec<u8>> {
        let response = self.hop(endpoint, request, &request.url, None).await?;
        if response.status() == StatusCode::OK {
            return self.body(response, LARGEST).await;
        }
        Err(self.token_refused(endpoint, realm, response).await?)
    }

    async fn token_refused(
        &self,
        endpoint: &Endpoint,
        realm: &Url,
        response: Response,
    ) -> Result<Error> {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = self.body(response, LARGEST).await.unwrap_or_default();
        let message = match text(&body) {
            said if said.is_empty() => said,
            said => format!(": {said}"),
        };
        Ok(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied {
                host: endpoint.registry.clone(),
                what: endpoint.repository.clone(),
                reason: format!(
                    "its token service {} answers {status}{message}, {}",
                    host_of(realm),
                    self.shown_credentials(endpoint)
                ),
            },
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Error::Status {
                    method: "GET",
                    url: without_query(realm),
                    code: status.as_u16(),
                    status: status.to_string(),
                    message,
                    retry_after,
                }
            }
            _ => refused(endpoint, realm, format!("{status}{message}")),
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

fn request(
    session: &Session,
    endpoint: &Endpoint,
    realm: &Url,
    service: Option<&str>,
    scopes: &[&str],
    credential: Option<&Credential>,
) -> Result<Request<'static>> {
    let mut url = realm.clone();
    if let Some(Credential::IdentityToken(token)) = credential {
        let mut request = Request::new(Method::POST, url, endpoint, session);
        let form = form(service, scopes, token.expose());
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, kind);
        request.payload = Payload::Bytes(Bytes::from(form));
        return Ok(request);
    }
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scopes.iter().map(|scope| ("scope", *scope)));
    }
    let mut request = Request::new(Method::GET, url, endpoint, session);
    if let Some(Credential::Password { user, password }) = credential {
        let shown = basic(user, password.expose())?;
        request.headers.insert(AUTHORIZATION, shown);
    }
    Ok(request)
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
    let answer: Answer =
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
