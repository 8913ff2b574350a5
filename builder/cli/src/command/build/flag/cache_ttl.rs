//! `--cache-ttl`: how old a result may be that is used again, as in buildah and kaniko. Unaware of what results are.

use super::Flag;
use crate::failure::Failure;
use jiff::SignedDuration;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct CacheTtl {
    /// Execute steps anew whose result is older, such as 24h; 0 is --no-cache
    #[arg(long, value_name = "DURATION")]
    cache_ttl: Option<String>,
}

impl Flag for CacheTtl {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let Some(text) = &self.cache_ttl else {
            return Ok(());
        };
        match seconds(text) {
            None => {
                let wrong =
                    format!("--cache-ttl {text}: expected a duration such as 336h, 30m or 90s");
                return Err(Failure::usage(wrong));
            }
            Some(0) => request.reuse.no_cache = true,
            some => request.reuse.cache_ttl = some,
        }
        Ok(())
    }
}

/// Whole seconds; a part of one counts as one.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "0" {
        return Some(0);
    }
    let duration: SignedDuration = text.parse().ok()?;
    let part = i64::from(duration.subsec_nanos() > 0);
    let seconds = duration.as_secs().checked_add(part)?;
    (!duration.is_negative()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_gos() {
        let read = ["0", "0s", "336h", "1h30m", "500ms", "-1h", "5", "soon", ""].map(seconds);
        let expected = [
            Some(0),
            Some(0),
            Some(1_209_600),
            Some(5400),
            Some(1),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(read, expected);
    }
}
