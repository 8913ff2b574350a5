//! How registries are reached by one build: whether they are asked for base images (`--pull`: docker has it as a switch, buildah and podman
//! with a word), how often (`--retry`, as in buildah), without security or by way of mirrors (as kaniko says it). Unaware of requests.

use super::{Flag, Setup};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::{self, Takes};
use crate::retry::Retry;
use kiln_engine::{Pull, Request, check_cache_from, check_cache_to};

/// All words, as buildah has them.
const WORDS: [(&str, Pull); 7] = [
    ("always", Pull::Always),
    ("missing", Pull::Missing),
    ("ifmissing", Pull::Missing),
    ("notpresent", Pull::Missing),
    ("newer", Pull::Newer),
    ("ifnewer", Pull::Newer),
    ("never", Pull::Never),
];

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// When to ask registries for base images: always, which is the same as --pull alone; missing, only for images that
    /// are not in the store; newer, like always, but use the image in the store if the registry does not answer; or
    /// never [default: missing]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "always", add = Takes::Optional)]
    pull: Option<String>,
    /// The same as --pull=always
    #[arg(long, hide = true, add = Takes::Switch)]
    pull_always: bool,
    /// The same as --pull=never
    #[arg(long, hide = true, add = Takes::Switch)]
    pull_never: bool,
    #[command(flatten)]
    retry: Retry,
    /// Allow plain http and any certificate for the registries of the image's names, of outputs and of caches
    #[arg(long, add = Takes::Switch)]
    insecure: bool,
    /// The same as --insecure
    #[arg(long, add = Takes::Switch)]
    skip_tls_verify: bool,
    /// Allow plain http and any certificate for all registries that images are pulled from
    #[arg(long, add = Takes::Switch)]
    insecure_pull: bool,
    /// The same as --insecure-pull
    #[arg(long, add = Takes::Switch)]
    skip_tls_verify_pull: bool,
    /// The same as --insecure-registry (may be repeated)
    #[arg(long, value_name = "HOST[:PORT]", add = Takes::List)]
    skip_tls_verify_registry: Vec<String>,
    /// Mirror to try before docker.io itself (may be repeated)
    #[arg(long, value_name = "MIRROR", add = Takes::List)]
    registry_mirror: Vec<String>,
    /// Mirror to try before another registry, as REGISTRY=MIRROR;… (may be repeated)
    #[arg(long, value_name = "REGISTRY=MIRROR", add = Takes::List)]
    registry_map: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let said = self.pull.as_deref().map(when).transpose()?;
        let always = self.pull_always.then_some(Pull::Always);
        let never = self.pull_never.then_some(Pull::Never);
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

    fn set_up(&self, setup: &mut Setup, request: &Request) -> Result<(), Failure> {
        let Globals {
            patience,
            insecure_registry,
            insecure_pulls,
            mirrors,
            ..
        } = &mut setup.globals;
        self.retry.change(patience);
        insecure_registry.extend(self.skip_tls_verify_registry.iter().cloned());
        if self.insecure || self.skip_tls_verify {
            insecure_registry.extend(named(request));
        }
        *insecure_pulls |= self.insecure_pull || self.skip_tls_verify_pull;
        for text in self.registry_map.iter().flat_map(|map| map.split(';')) {
            let wrong =
                || Failure::usage(format!("--registry-map {text}: expected REGISTRY=MIRROR"));
            let (registry, mirror) = text.split_once('=').ok_or_else(wrong)?;
            mirrors.push((registry.trim().to_owned(), mirror.trim().to_owned()));
        }
        let of_hub = |mirror: &String| ("docker.io".to_owned(), mirror.clone());
        mirrors.extend(self.registry_mirror.iter().map(of_hub));
        Ok(())
    }
}

fn when(text: &str) -> Result<Pull, Failure> {
    match pflag::boolean(text) {
        Some(true) => return Ok(Pull::Always),
        Some(false) => return Ok(Pull::Missing),
        None => {}
    }
    let text = text.to_lowercase();
    let known = WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, when)| *when).ok_or_else(|| {
        Failure::usage(format!("--pull={text}: unknown policy"))
            .hint("use always, missing, newer or never; true means always, false means missing")
    })
}

/// The registries of all that the build names: the image, what outputs push, shared caches.
fn named(request: &Request) -> Vec<String> {
    let mut names = request.goal.names();
    for output in &request.goal.outputs {
        names.extend(
            output
                .names()
                .into_iter()
                .filter(|name| output.pushes(name)),
        );
    }
    let imports = request.reuse.cache_from.iter().map(check_cache_from);
    let exports = request.goal.cache_to.iter().map(check_cache_to);
    let origins = imports.chain(exports).flatten();
    names.extend(origins.filter_map(|origin| origin.as_registry().cloned()));
    names.into_iter().map(|name| name.registry).collect()
}
