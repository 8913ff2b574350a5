//! The tags of a repository, page by page. Unaware of what they name.

use serde::Deserialize;

use super::Client;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use crate::document::MAX_DOCUMENT;
use crate::http::header::{HeaderMap, LINK};
use crate::http::{Method, StatusCode, Url, same_origin, without_query};
use crate::reference::Reference;

/// Pages that are asked for; registries give a hundred tags or more on each.
const MOST_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// Some registries say `null` where there are none.
    tags: Option<Vec<String>>,
}

impl Client {
    /// The tags of the repository of `reference`, in the order of the registry.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such repository; [`Error`] otherwise.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        self.ask_places(reference, |endpoint| self.tags_at(endpoint))
    }

    fn tags_at(&self, endpoint: &Endpoint) -> Result<Vec<String>> {
        let mut url = self.address(endpoint, &endpoint.path("tags/list"))?;
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let request = self.request_at(Method::GET, endpoint, url.clone())?;
            let answer = self.ask(endpoint, &request, &[StatusCode::OK])?;
            let next = next(answer.headers(), &url);
            let body = answer.bytes(MAX_DOCUMENT)?;
            let page = serde_json::from_slice::<Page>(&body);
            let page = page.map_err(|_| nonsense(&url, "it is no list of tags"))?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                None => return Ok(tags),
                Some(next) if next == url => {
                    return Err(nonsense(&url, "a page is followed by itself"));
                }
                Some(next) => url = next,
            }
        }
        Err(nonsense(
            &url,
            &format!("more than {MOST_PAGES} pages of tags"),
        ))
    }
}

fn nonsense(url: &Url, reason: &str) -> Error {
    Error::Protocol {
        url: without_query(url),
        reason: reason.into(),
    }
}

/// The next page, of the same host: `Link: </v2/app/tags/list?last=b&n=100>; rel="next"`.
fn next(headers: &HeaderMap, url: &Url) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.replace([' ', '"'], "").contains("rel=next");
    let next = url.join(target).ok()?;
    (is_next && same_origin(&next, url)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_of_the_same_host() {
        let url = Url::parse("https://a.example/v2/app/tags/list").unwrap();
        let next = |link: &str| {
            let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            next(&headers, &url).map(String::from)
        };
        assert_eq!(
            next(r#"</v2/app/tags/list?last=b&n=2>; rel="next""#).as_deref(),
            Some("https://a.example/v2/app/tags/list?last=b&n=2")
        );
        for link in [
            r#"<https://b.example/v2/app/tags/list>; rel="next""#,
            r#"</v2/app/tags/list>; rel="prev""#,
            "nonsense",
        ] {
            assert_eq!(next(link), None, "{link}");
        }
    }
}
