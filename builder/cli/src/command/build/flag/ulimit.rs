//! `--ulimit`: resource limits of RUN.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Ulimit {
    /// Limit of RUN, such as nofile=1024:4096 (-1 for none)
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
}

impl Flag for Ulimit {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
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
