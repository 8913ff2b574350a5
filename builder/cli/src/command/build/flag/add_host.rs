//! `--add-host`, `--no-hosts`: `/etc/hosts` in RUN.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct AddHost {
    /// Entry of /etc/hosts in RUN, as HOST:ADDRESS
    #[arg(long, value_name = "HOST:ADDRESS")]
    add_host: Vec<String>,
    /// Let RUN see the image's own /etc/hosts
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_name = "BOOL", action = clap::ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    no_hosts: bool,
}

impl Flag for AddHost {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        let entries = self.add_host.iter().map(|host| host_entry(host));
        if self.no_hosts && !self.add_host.is_empty() {
            return Err(Failure::usage(
                "--add-host and --no-hosts contradict each other",
            ));
        }
        options.no_hosts = self.no_hosts;
        options.extra_hosts = entries.collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn host_entry(entry: &str) -> Result<(String, String), Failure> {
    let (name, address) = entry
        .split_once(['=', ':'])
        .ok_or_else(|| Failure::usage(format!("--add-host {entry}: expected HOST:ADDRESS")))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: std::net::IpAddr = address.parse().map_err(|_| {
        Failure::usage(format!(
            "--add-host {entry}: {address} is not an IP address"
        ))
    })?;
    Ok((name.to_owned(), address.to_string()))
}
