//! `--retry`, `--retry-delay` of `build`, `pull` and `push`: how often a server is asked again when it fails, as in
//! buildah: a registry, the server of a file that is added, a cache in object storage. Unaware of what is asked.

use crate::pflag::Takes;
use jiff::SignedDuration;
use kiln_oci::http::Patience;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Retry {
    /// How often to try again when a registry or another server fails
    #[arg(
        long,
        env = "KILN_RETRY",
        hide_env = true,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=1000),
        add = Takes::Number
    )]
    retry: Option<u32>,
    /// Pause before the first retry, such as 2s; it doubles each time
    #[arg(
        long,
        env = "KILN_RETRY_DELAY",
        hide_env = true,
        value_name = "DURATION",
        value_parser = pause,
        add = Takes::Single
    )]
    retry_delay: Option<Duration>,
}

impl Retry {
    /// Changes how long registries are waited for.
    pub fn change(&self, patience: &mut Patience) {
        patience.retries = self.retry.unwrap_or(patience.retries);
        patience.pause = self.retry_delay.unwrap_or(patience.pause);
        patience.longest_pause = patience.longest_pause.max(patience.pause);
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    let pause = duration.and_then(|duration| Duration::try_from(duration).ok());
    // what registries may ask for themselves has a limit too
    let pause = pause.filter(|pause| *pause <= Duration::from_secs(3600));
    pause.ok_or_else(|| "expected a duration of at most an hour, such as 2s".to_owned())
}
