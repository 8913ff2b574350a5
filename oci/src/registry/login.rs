//! Whether a registry accepts credentials. Unaware of where they are kept.

use reqwest::{Method, StatusCode};

use super::endpoint::Endpoint;
use super::error::Result;
use super::exchange::Request;
use super::session::Session;

impl Session {
    /// Asks for the API's root, which demands what the registry demands.
    pub(super) async fn log_in(&self, endpoint: &Endpoint) -> Result<()> {
        let url = self.address(endpoint, "").await?;
        let mut request = Request::new(Method::GET, url, endpoint, self).called("the registry");
        request.scopes.clear();
        self.ask(endpoint, &request, &[StatusCode::OK]).await?;
        Ok(())
    }
}
