//! What every process may use, and how it is kept apart: `--shm-size`, `--ulimit`, `--isolation`. Unaware of commands.

use super::{Flag, Setup};
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::units;
use kiln_engine::{IsolationChoice, Request};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Size of /dev/shm in RUN
    #[arg(long, value_name = "BYTES", add = Takes::Single)]
    shm_size: Option<String>,
    /// Limit of RUN, such as nofile=1024:4096; -1 means no limit (may be repeated)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", add = Takes::StrictList)]
    ulimit: Vec<String>,
    /// Isolation of RUN: auto (namespaces; in a container that forbids them, supervised), namespaces (nothing weaker runs, and no result of
    /// anything weaker is used), supervised (a chroot whose calls kiln answers)
    #[arg(long, env = "KILN_ISOLATION", value_name = "KIND", default_value = "auto", hide_env_values = true, add = Takes::Single)]
    isolation: String,
}

impl Flag for Flags {
    fn set_up(&self, setup: &mut Setup, _request: &Request) -> Result<(), Failure> {
        let wrong = || {
            let why = format!("--isolation {}: kiln has no such isolation", self.isolation);
            Failure::usage(why).hint("choose auto, namespaces or supervised")
        };
        setup.globals.isolation = IsolationChoice::named(&self.isolation).ok_or_else(wrong)?;
        Ok(())
    }

    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if let Some(size) = &self.shm_size {
            let size = units::parse_memory(size);
            request.run.shm_size =
                Some(size.map_err(|error| Failure::usage(format!("--shm-size: {error}")))?);
        }
        for argument in &self.ulimit {
            let limit = limit(argument)
                .map_err(|why| Failure::usage(format!("--ulimit {argument}: {why}")))?;
            request.run.ulimits.retain(|(name, ..)| *name != limit.0);
            request.run.ulimits.push(limit);
        }
        request.run.ulimits.sort();
        Ok(())
    }
}

fn limit(argument: &str) -> Result<(String, u64, u64), String> {
    let (name, values) = argument
        .split_once('=')
        .ok_or("expected NAME=SOFT[:HARD], such as nofile=1024:4096")?;
    if !kiln_sandbox::is_limit(name) {
        return Err(format!("there is no limit {name:?}"));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(soft)?, value(hard)?);
    if soft > hard {
        return Err("the soft limit is above the hard limit".to_owned());
    }
    Ok((name.to_owned(), soft, hard))
}

fn value(text: &str) -> Result<u64, String> {
    if text == "-1" {
        return Ok(u64::MAX);
    }
    text.parse()
        .map_err(|_| format!("{text:?} is neither a number nor -1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_dockers() {
        let is = |text: &str, name: &str, soft, hard| {
            assert_eq!(
                limit(text).unwrap(),
                (name.to_owned(), soft, hard),
                "{text}"
            );
        };
        is("nofile=1024:4096", "nofile", 1024, 4096);
        is("nproc=65535", "nproc", 65535, 65535);
        is("core=-1", "core", u64::MAX, u64::MAX);
        is("core=0:-1", "core", 0, u64::MAX);
        for bad in [
            "nofile",
            "moon=1",
            "nofile=x",
            "nofile=2:1",
            "core=-1:0",
            "nofile=-2",
            "nofile=",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
