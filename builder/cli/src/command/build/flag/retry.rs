//! `--retry`, `--retry-delay`: how often registries are asked again when they fail, as in buildah; `pull` and `push` take them too.
//! Unaware of what is asked.

use super::Flag;
use crate::environment::Globals;
use jiff::SignedDuration;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Retry {
    /// Attempts after the first when a registry fails or does not answer
    #[arg(long, env = "KILN_RETRY", hide_env = true, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    retry: Option<u32>,
    /// Pause before the first of them, such as 2s; it doubles each time
    #[arg(long, env = "KILN_RETRY_DELAY", hide_env = true, value_name = "DURATION", value_parser = pause)]
    retry_delay: Option<Duration>,
}

impl Retry {
    /// The globals with this patience.
    pub fn globals(&self, globals: &Globals) -> Globals {
        let mut globals = globals.clone();
        let patience = &mut globals.patience;
        patience.retries = self.retry.unwrap_or(patience.retries);
        patience.pause = self.retry_delay.unwrap_or(patience.pause);
        patience.longest_pause = patience.longest_pause.max(patience.pause);
        globals
    }
}

impl Flag for Retry {}

fn pause(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    let pause = duration.and_then(|duration| Duration::try_from(duration).ok());
    // what registries may ask for themselves has a limit too
    let pause = pause.filter(|pause| *pause <= Duration::from_secs(3600));
    pause.ok_or_else(|| "expected a duration of at most an hour, such as 2s".to_owned())
}
