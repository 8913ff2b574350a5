//! One request: to its address, and on to where redirects lead. Unaware of what is asked; repetition after failures is `retry`'s.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::patience::Window;
use super::{Answer, Client, Error, Result, Upload, host_of};

/// Redirects that are followed, as browsers do.
const MOST_REDIRECTS: usize = 10;

/// Content comes as it is, unless the caller asks for another encoding.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// What is asked.
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body<'a>,
    /// The server that is meant: only its scheme, host and port get the `Authorization`, and if it speaks https, so must all others.
    pub origin: Url,
    /// Where the server may send the client.
    pub redirects: Redirects<'a>,
    /// Host and port that may show any certificate.
    pub unchecked: Option<String>,
    /// Until the answer begins.
    pub limit: Duration,
}

/// The body of a request, which can be made again.
pub enum Body<'a> {
    /// None.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// What this opens.
    Stream(&'a dyn Fn() -> io::Result<Upload>),
}

/// What is done about an answer that leads elsewhere.
pub enum Redirects<'a> {
    /// It is the answer.
    Return,
    /// The other address is asked.
    Follow,
    /// The other address is asked unless this says why not.
    Judge(&'a dyn Fn(&Url) -> std::result::Result<(), String>),
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, super::without_query(&self.url))
    }
}

impl Request<'_> {
    /// A request without a body, whose redirects are followed.
    pub fn new(client: &Client, method: Method, url: Url) -> Self {
        Self {
            method,
            headers: HeaderMap::from_iter([(ACCEPT_ENCODING, IDENTITY)]),
            body: Body::Empty,
            origin: url.clone(),
            url,
            redirects: Redirects::Follow,
            unchecked: None,
            limit: client.settings().patience.answer,
        }
    }

    /// Where an answer leads; `None` when it is the last one.
    fn next(&self, answer: &Answer) -> Result<Option<Url>> {
        if matches!(self.redirects, Redirects::Return)
            || !is_redirect(answer.status(), &self.method)
        {
            return Ok(None);
        }
        let next = answer.location()?;
        refuse_downgrade(answer.url(), &next)?;
        if let Redirects::Judge(judge) = &self.redirects {
            judge(&next)
                .map_err(|why| answer.misleads(&format!("to {}: {why}", host_of(&next))))?;
        }
        tracing::debug!(
            from = host_of(answer.url()),
            to = host_of(&next),
            "redirect"
        );
        Ok(Some(next))
    }
}

impl Client {
    /// The answer to a request, whatever its status is.
    ///
    /// # Errors
    /// No answer came.
    pub fn send(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let mut url = request.url.clone();
        refuse_downgrade(&request.origin, &url)?;
        for _ in 0..=MOST_REDIRECTS {
            let shown = authorization.filter(|_| same_origin(&request.origin, &url));
            let response = self.hop(request, &url, shown)?;
            let answer = Answer::new(self, request, response);
            match request.next(&answer)? {
                None => return Ok(answer),
                Some(next) => url = next,
            }
        }
        Err(Error::Redirect {
            host: host_of(&request.url),
            reason: format!("more than {MOST_REDIRECTS} times"),
        })
    }

    /// One request to one address.
    fn hop(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let checked = request.unchecked.as_ref() != Some(&host_of(url));
        let transport = self.0.transports.get(checked, self.settings())?;
        let built = transport.request(request.method.clone(), url.clone());
        let built = built.headers(request.headers.clone());
        let shown = authorization.into_iter();
        let built = shown.fold(built, |built, shown| built.header(AUTHORIZATION, shown));
        let built = match &request.body {
            Body::Empty if matches!(request.method, Method::POST | Method::PUT) => {
                built.header(CONTENT_LENGTH, 0)
            }
            Body::Empty => built,
            Body::Bytes(bytes) => built.body(bytes.clone()),
            Body::Stream(open) => {
                return self.upload(request, url, built, open().map_err(Error::Source)?);
            }
        };
        let answer = self.expect(&host_of(url), "an answer", request.limit, built.send())?;
        answer.map_err(|error| self.settings().patience.explain(&error, url))
    }

    /// Sends a body that is read while it is sent: it must move, and the answer comes in its time.
    fn upload(
        &self,
        request: &Request<'_>,
        url: &Url,
        built: RequestBuilder,
        upload: Upload,
    ) -> Result<Response> {
        let (sent, host, what) = (
            upload.sent.clone(),
            host_of(url),
            "it to take more of a blob",
        );
        let patience = &self.settings().patience;
        let mut answer = std::pin::pin!(built.body(upload.into_body()).send());
        let (mut window, mut before, mut told) = (Window::default(), 0, false);
        while !sent.is_complete() {
            let step = patience.stall / 8;
            if let Some(answer) = self.within(step, &mut answer)? {
                return sent.explain(answer, url, patience);
            }
            window.moved(sent.bytes() - before, step);
            before = sent.bytes();
            if !told && window.moved == 0 && window.waited >= patience.notice {
                self.tell_waiting(&host, what);
                told = true;
            }
            window.check(patience, &host, what)?;
        }
        let answer = self.expect(&host, "an answer", request.limit, answer)?;
        sent.explain(answer, url, patience)
    }
}

/// Whether an answer sends `method` elsewhere. A body is only sent on where it must not change.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        307 | 308 => true,
        _ => false,
    }
}

impl Answer {
    /// The address in `Location`, which may be relative.
    ///
    /// # Errors
    /// [`Error::Redirect`] when there is none.
    pub fn location(&self) -> Result<Url> {
        let location = self.headers().get(LOCATION);
        let location = location.ok_or_else(|| self.misleads("without saying where to"))?;
        let url = location
            .to_str()
            .ok()
            .and_then(|text| self.url().join(text).ok());
        let url = url.ok_or_else(|| self.misleads("to no address"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(self.misleads(&format!("to a {} address", url.scheme())));
        }
        Ok(url)
    }

    fn misleads(&self, reason: &str) -> Error {
        Error::Redirect {
            host: self.host(),
            reason: reason.into(),
        }
    }
}

fn refuse_downgrade(from: &Url, to: &Url) -> Result<()> {
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Error::Redirect {
            host: host_of(from),
            reason: format!("from https to plain http, at {}", host_of(to)),
        });
    }
    Ok(())
}

/// Whether two addresses have the same scheme, host and port.
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_from_https_to_http() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (secure, plain) = (
            url("https://a.example/v2/"),
            url("http://a.example/token?x=hidden"),
        );
        let error = refuse_downgrade(&secure, &plain).unwrap_err().to_string();
        assert_eq!(
            error,
            "a.example redirects from https to plain http, at a.example"
        );
        assert!(refuse_downgrade(&plain, &secure).is_ok());
        assert!(
            !same_origin(&secure, &plain) && !same_origin(&secure, &url("https://a.example:444/"))
        );
    }

    #[test]
    fn a_body_is_only_sent_on_where_it_must_not_change() {
        assert!(is_redirect(StatusCode::FOUND, &Method::GET));
        assert!(!is_redirect(StatusCode::FOUND, &Method::PUT));
        assert!(is_redirect(StatusCode::TEMPORARY_REDIRECT, &Method::PUT));
        assert!(!is_redirect(StatusCode::NOT_MODIFIED, &Method::GET));
    }
}
