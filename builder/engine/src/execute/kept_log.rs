//! Keeps what a step has printed in the store, without the values of the build's secrets. Unaware of how the step ran.

use crate::event::LogFile;
use crate::execute::mask::Mask;
use crate::execute::step::Step;
use crate::request::RunOptions;
use kiln_cache::LogOf;
use kiln_oci::Digest;
use kiln_parser::graph::RunOp;
use std::fs::File;

impl Step<'_> {
    /// Keeps the log of a RUN; `key` is that of the result, if the step has one. No build fails because a log is not kept.
    pub fn keep_log(&self, log: &LogFile, key: Option<&Digest>, run: &RunOp, options: &RunOptions) {
        let build = self.session.events.build();
        let printed = log.open().ok().filter(has_content);
        let Some(printed) = printed.filter(|_| !build.is_empty()) else {
            return;
        };
        let of = LogOf {
            build,
            step: self.node.id.0,
            key,
        };
        let secrets = options.secrets.values().map(|secret| &secret[..]);
        let mask = Mask::new(secrets.chain(passwords(&run.proxy_env.0)));
        let logs = self.session.store.logs();
        if let Err(error) = logs.keep(of, |out| mask.copy(&printed, out)) {
            let causes = crate::failure::chain_of_causes(&error);
            tracing::debug!("the output of a step is not kept: {causes}");
        }
    }
}

fn has_content(log: &File) -> bool {
    log.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

/// What only the user and a proxy know: variables are `NAME=http://user:password@host`.
fn passwords(variables: &[String]) -> impl Iterator<Item = &[u8]> {
    variables.iter().filter_map(|variable| {
        let (_, address) = variable.split_once("://")?;
        let (user, _) = address.rsplit_once('@')?;
        let (_, password) = user.split_once(':')?;
        Some(password.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_are_found() {
        let variables = [
            "HTTP_PROXY=http://me:p@ss@proxy:3128/",
            "http_proxy=http://me@proxy",
            "NO_PROXY=a:b@c",
        ];
        let variables = variables.map(str::to_owned);
        let found: Vec<&[u8]> = passwords(&variables).collect();
        assert_eq!(found, [b"p@ss"]);
    }
}
