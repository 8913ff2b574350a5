//! `--add-host`, `--no-hosts`: `/etc/hosts` in RUN.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;
use kiln_parser::csv;
use std::net::{IpAddr, Ipv4Addr};

#[derive(Debug, clap::Args)]
pub struct AddHost {
    /// Entry of /etc/hosts in RUN, as HOST:ADDRESS, or HOST:host-gateway for this machine
    #[arg(long, value_name = "HOST:ADDRESS")]
    add_host: Vec<String>,
    /// Let RUN see the image's own /etc/hosts
    #[arg(long)]
    no_hosts: bool,
}

impl Flag for AddHost {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.no_hosts && !self.add_host.is_empty() {
            return Err(Failure::usage(
                "--add-host and --no-hosts contradict each other",
            ));
        }
        request.run.no_hosts = self.no_hosts;
        for text in &self.add_host {
            let wrong = |why: String| Failure::usage(format!("--add-host {text}: {why}"));
            for entry in csv::fields(text).map_err(wrong)? {
                request
                    .run
                    .extra_hosts
                    .extend(entries(&entry).map_err(wrong)?);
            }
        }
        Ok(())
    }
}

/// `HOST:ADDRESS`, `HOST=ADDRESS,ADDRESS`: a name and its addresses, which may stand in brackets.
fn entries(entry: &str) -> Result<Vec<(String, String)>, String> {
    let parts = entry.split_once('=').or_else(|| entry.split_once(':'));
    let parts = parts.filter(|(name, addresses)| !name.is_empty() && !addresses.is_empty());
    let (name, addresses) = parts.ok_or("expected HOST:ADDRESS")?;
    let addresses = addresses.split(',').map(|text| match text {
        // RUN is in the network of this machine
        "host-gateway" => Ok(Ipv4Addr::LOCALHOST.into()),
        text => {
            let inner = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            let address = inner.unwrap_or(text).parse::<IpAddr>();
            address.map_err(|_| format!("{text} is not an IP address"))
        }
    });
    addresses
        .map(|address| Ok((name.to_owned(), address?.to_string())))
        .collect()
}
