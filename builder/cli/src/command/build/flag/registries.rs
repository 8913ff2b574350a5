//! How registries are reached, as kaniko says it for one build: without security, by way of mirrors. Unaware of requests.

use super::Flag;
use crate::environment::Globals;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Registries {
    /// Let registries of the image's own names, of outputs and of caches speak plain http or show any certificate
    #[arg(long)]
    insecure: bool,
    /// The same as --insecure
    #[arg(long)]
    skip_tls_verify: bool,
    /// Let any registry that is pulled from speak plain http or show any certificate
    #[arg(long)]
    insecure_pull: bool,
    /// The same as --insecure-pull
    #[arg(long)]
    skip_tls_verify_pull: bool,
    /// The same as --insecure-registry (may be repeated)
    #[arg(long, value_name = "HOST[:PORT]")]
    skip_tls_verify_registry: Vec<String>,
    /// Registry that is asked for images of docker.io before docker.io itself (may be repeated)
    #[arg(long, value_name = "MIRROR")]
    registry_mirror: Vec<String>,
    /// The same for another registry, as REGISTRY=MIRROR;… (may be repeated)
    #[arg(long, value_name = "REGISTRY=MIRROR")]
    registry_map: Vec<String>,
}

impl Registries {
    /// The globals with what these say.
    ///
    /// # Errors
    /// When a mirror is for no registry.
    pub fn globals(&self, globals: &Globals, request: &Request) -> Result<Globals, Failure> {
        let mut globals = globals.clone();
        let insecure = &mut globals.insecure_registry;
        insecure.extend(self.skip_tls_verify_registry.iter().cloned());
        if self.insecure || self.skip_tls_verify {
            insecure.extend(named(request));
        }
        globals.insecure_pulls |= self.insecure_pull || self.skip_tls_verify_pull;
        for text in self.registry_map.iter().flat_map(|map| map.split(';')) {
            let wrong =
                || Failure::usage(format!("--registry-map {text}: expected REGISTRY=MIRROR"));
            let (registry, mirror) = text.split_once('=').ok_or_else(wrong)?;
            globals
                .mirrors
                .push((registry.trim().to_owned(), mirror.trim().to_owned()));
        }
        let of_hub = |mirror: &String| ("docker.io".to_owned(), mirror.clone());
        globals
            .mirrors
            .extend(self.registry_mirror.iter().map(of_hub));
        Ok(globals)
    }
}

impl Flag for Registries {}

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
    let from = request.reuse.cache_from.iter().map(|cache| &cache.backend);
    let backends = from.chain(request.goal.cache_to.iter().map(|cache| &cache.backend));
    let origins = backends.map(|backend| backend.origin());
    names.extend(origins.filter_map(|origin| origin.as_registry().cloned()));
    names.into_iter().map(|name| name.registry).collect()
}
