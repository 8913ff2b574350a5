//! What all stages see from outside: the command line's inputs, the global variables, and which rules are asked. Unaware of the
//! Dockerfile's instructions.

use std::collections::BTreeMap;

use crate::inputs::Inputs;
use crate::lint::config::Config;

/// Variables that processes see although no `ARG` declares them; upper and lower case count.
const PROXIES: &str = "HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY ALL_PROXY";

/// What all stages see.
#[derive(Debug)]
pub(crate) struct Scope<'e> {
    pub(crate) inputs: &'e Inputs,
    /// The escape character of the Dockerfile.
    pub(crate) escape: char,
    /// Platform arguments and `ARG`s before the first `FROM`, with the command line's values.
    pub(crate) globals: BTreeMap<String, String>,
    /// `--build-arg`, and `SOURCE_DATE_EPOCH` if it was given in another way.
    pub(crate) arguments: BTreeMap<String, String>,
    /// Which rules are asked.
    pub(crate) lint: Config,
}

impl Scope<'_> {
    /// The value of a `--build-arg`.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name).map(String::as_str)
    }

    /// `KEY=value` of the proxies that were given, both cases, in a fixed order. An empty one does not count.
    pub(crate) fn proxy_env(&self) -> Vec<String> {
        let mut list = Vec::new();
        for name in PROXIES.split(' ') {
            let given = |(key, _): &(&String, _)| key.eq_ignore_ascii_case(name);
            // Of several spellings the last in order counts.
            let last = self.arguments.iter().rfind(given);
            if let Some((_, value)) = last.filter(|(_, value)| !value.is_empty()) {
                list.push(format!("{name}={value}"));
                list.push(format!("{}={value}", name.to_ascii_lowercase()));
            }
        }
        list
    }
}

pub(crate) fn is_proxy(name: &str) -> bool {
    let mut proxies = PROXIES.split(' ');
    proxies.any(|proxy| name.eq_ignore_ascii_case(proxy))
}
