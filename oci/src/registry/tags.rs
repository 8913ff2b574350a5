//! The tags of a repository, page by page. Unaware of what they name.

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::{Request, same_origin};
use super::session::Session;
use super::transport::without_query;
use crate::document::MAX_DOCUMENT;

/// Pages that are asked for; registries give a hundred tags or more on each.
const MOST_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// Some registries say `null` where there are none.
    tags: Option<Vec<String>>,
}

impl Session {
    /// All tags; see [`Client::tags`](super::Client::tags).
    pub(super) async fn tags(&self, endpoint: &Endpoint) -> Result<Vec<String>> {
        let mut url = self.address(endpoint, &endpoint.path("tags/list")).await?;
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let request = Request::new(Method::GET, url.clone(), endpoint, self);
            let response = self.ask(endpoint, &request, &[StatusCode::OK]).await?;
            let next = next(response.headers(), &url);
            let body = self.body(response, MAX_DOCUMENT).await?;
            let nonsense = |reason: &str| Error::Protocol {
                url: without_query(&url),
                reason: reason.into(),
            };
            let page: Page =
                serde_json::from_slice(&body).map_err(|_| nonsense("it is no list of tags"))?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                None => return Ok(tags),
                Some(next) if next == url => return Err(nonsense("a page is followed by itself")),
                Some(next) => url = next,
            }
        }
        Err(Error::Protocol {
            url: without_query(&url),
            reason: format!("more than {MOST_PAGES} pages of tags"),
        })
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
