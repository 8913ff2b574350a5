//! `--pull`: whether registries are asked for base images. docker has it as a switch, buildah and podman with a word; both are taken.

use super::Flag;
use crate::failure::Failure;
use crate::pflag;
use kiln_engine::{Pull as When, Request};

/// All words, as buildah has them.
const WORDS: [(&str, When); 7] = [
    ("always", When::Always),
    ("missing", When::Missing),
    ("ifmissing", When::Missing),
    ("notpresent", When::Missing),
    ("newer", When::Newer),
    ("ifnewer", When::Newer),
    ("never", When::Never),
];

#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Ask registries for base images: always, which is --pull alone; missing, only for those that the store lacks; newer, as always, but
    /// use what the store has if they do not answer; or never [default: missing]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pull: Option<String>,
    /// The same as --pull=always
    #[arg(long, hide = true)]
    pull_always: bool,
    /// The same as --pull=never
    #[arg(long, hide = true)]
    pull_never: bool,
}

impl Flag for Pull {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let said = self.pull.as_deref().map(when).transpose()?;
        let always = self.pull_always.then_some(When::Always);
        let never = self.pull_never.then_some(When::Never);
        let mut all = [said, always, never].into_iter().flatten();
        let Some(when) = all.next() else {
            return Ok(());
        };
        if all.any(|other| other != when) {
            let why = "--pull, --pull-always and --pull-never contradict each other";
            return Err(Failure::usage(why));
        }
        request.reuse.pull = when;
        Ok(())
    }
}

fn when(text: &str) -> Result<When, Failure> {
    match pflag::boolean(text) {
        Some(true) => return Ok(When::Always),
        Some(false) => return Ok(When::Missing),
        None => {}
    }
    let text = text.to_lowercase();
    let known = WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, when)| *when).ok_or_else(|| {
        Failure::usage(format!("--pull={text}: there is no such policy"))
            .hint("write always, missing, newer or never; true is always, false is missing")
    })
}
