//! `--http-proxy` and the `proxies` of docker's `config.json`: proxies that RUN sees without a `--build-arg` for each. As build
//! arguments they are in no key and in no image.

use super::Flag;
use crate::environment::variable;
use crate::failure::Failure;
use crate::network;
use kiln_engine::Request;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What buildah passes on, in both cases.
const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];

#[derive(Debug, clap::Args)]
pub struct HttpProxy {
    /// Whether RUN sees the proxies of the environment, as podman has it; =false also leaves out those of docker's config.json
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    http_proxy: Option<bool>,
}

impl Flag for HttpProxy {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.http_proxy == Some(false) {
            return Ok(());
        }
        if self.http_proxy == Some(true) {
            for name in NAMES {
                for name in [name.to_owned(), name.to_uppercase()] {
                    if let Some(value) = variable(&name) {
                        request.language.build_args.entry(name).or_insert(value);
                    }
                }
            }
        }
        let Some(file) = network::docker_config() else {
            return Ok(());
        };
        match of_docker(&file) {
            Ok(found) => found.into_iter().for_each(|(name, value)| {
                request.language.build_args.entry(name).or_insert(value);
            }),
            Err(error) => request.notices.push(format!(
                "the proxies in {} are not used: {error}",
                file.display()
            )),
        }
        Ok(())
    }
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
    let mut read: Configuration =
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let proxies = read.proxies.remove("default").unwrap_or_default();
    let named = [
        ("HTTP_PROXY", proxies.http_proxy),
        ("HTTPS_PROXY", proxies.https_proxy),
        ("NO_PROXY", proxies.no_proxy),
        ("FTP_PROXY", proxies.ftp_proxy),
        ("ALL_PROXY", proxies.all_proxy),
    ];
    let given = named.into_iter().filter(|(_, value)| !value.is_empty());
    let both = given.flat_map(|(name, value)| {
        [
            (name.to_owned(), value.clone()),
            (name.to_lowercase(), value),
        ]
    });
    Ok(both.collect())
}
