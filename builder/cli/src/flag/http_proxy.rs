//! `--http-proxy` and the `proxies` of docker's `config.json`: proxies that RUN sees without a `--build-arg` for each. As build
//! arguments they are in no key and in no image.

use super::Flag;
use crate::environment::variable;
use crate::failure::Failure;
use crate::network;
use crate::pflag::Takes;
use kiln_engine::Request;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What buildah passes on, in both cases.
const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Whether RUN sees the proxies of the environment, as in podman; =false also hides those of docker's config.json
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Switch)]
    http_proxy: Option<bool>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        match self.http_proxy {
            Some(false) => return Ok(()),
            Some(true) => add(request, of_environment()),
            None => {}
        }
        if let Some(file) = network::docker_config() {
            match of_docker(&file) {
                Ok(found) => add(request, found),
                Err(error) => request.notices.push(format!(
                    "ignoring the proxies in {}: {error}",
                    file.display()
                )),
            }
        }
        Ok(())
    }
}

/// What was given before counts, in whichever case: RUN sees one value in both.
fn add(request: &mut Request, found: Vec<(String, String)>) {
    let arguments = &mut request.language.build_args;
    let given: Vec<String> = arguments.keys().map(|name| name.to_lowercase()).collect();
    let is_new = |(name, _): &(String, String)| !given.contains(&name.to_lowercase());
    arguments.extend(found.into_iter().filter(is_new));
}

fn of_environment() -> Vec<(String, String)> {
    let both = NAMES.map(|name| [name.to_owned(), name.to_uppercase()]);
    let names = both.into_iter().flatten();
    names
        .filter_map(|name| Some((name.clone(), variable(&name)?)))
        .collect()
}

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    proxies: BTreeMap<String, Proxies>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Proxies {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    ftp_proxy: String,
    all_proxy: String,
}

/// Those for any daemon, which is what kiln is instead of; under upper and lower case names, as docker gives them.
fn of_docker(file: &Path) -> Result<Vec<(String, String)>, String> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let read = serde_json::from_slice(&bytes);
    let mut read: Configuration = read.map_err(|error| error.to_string())?;
    let proxies = read.proxies.remove("default").unwrap_or_default();
    let named = [
        ("HTTP_PROXY", proxies.http_proxy),
        ("HTTPS_PROXY", proxies.https_proxy),
        ("NO_PROXY", proxies.no_proxy),
        ("FTP_PROXY", proxies.ftp_proxy),
        ("ALL_PROXY", proxies.all_proxy),
    ];
    let given = named.into_iter().filter(|(_, value)| !value.is_empty());
    let both = |(name, value): (&str, String)| {
        [
            (name.to_owned(), value.clone()),
            (name.to_lowercase(), value),
        ]
    };
    Ok(given.flat_map(both).collect())
}
