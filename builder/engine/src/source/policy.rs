//! Asks the policies about all that a build takes from outside: base images and images that lend files, what `ADD` fetches, contexts
//! and Dockerfiles by address. What a rule converts is replaced before anything is planned, so that keys are made of
//! the new source. Policies say nothing of folders and archives of the machine. Unaware of how rules decide.

mod identifier;

use crate::failure::{BuildError, Refusal, RefusedSource};
use crate::request::policy::{Converted, Policy, Source, evaluate};
use crate::request::{ContextSource, DockerfileSource, MainSource, Sources};
use crate::source::fetch::address;
use kiln_cache::Store;
use kiln_parser::graph::{CopySource, GitSource, Op, StageGraph};
use kiln_parser::inputs::ImageRequest;
use std::collections::BTreeMap;

/// The images that are used instead of those that are asked for, in the same order.
///
/// # Errors
/// All that are refused.
pub(crate) fn images(
    store: &Store,
    policies: &[Policy],
    contexts: &BTreeMap<String, ContextSource>,
    requests: &[ImageRequest],
) -> Result<Vec<ImageRequest>, BuildError> {
    let mut refused = Vec::new();
    let mut used = Vec::new();
    for request in requests {
        match image(store, policies, contexts, &request.reference) {
            Ok(reference) => used.push(ImageRequest {
                reference,
                ..request.clone()
            }),
            Err(refusal) => refused.push(RefusedSource {
                refusal,
                span: Some(request.span),
            }),
        }
    }
    all_or(refused, used)
}

fn image(
    store: &Store,
    policies: &[Policy],
    contexts: &BTreeMap<String, ContextSource>,
    reference: &str,
) -> Result<String, Refusal> {
    if policies.is_empty() {
        return Ok(reference.to_owned());
    }
    let is_layout = |source: &ContextSource| *source == ContextSource::Image(reference.to_owned());
    let is_layout = reference.starts_with("sha256:") && contexts.values().any(is_layout);
    let source = match store.images().meant_by_id(reference) {
        _ if is_layout => Source::layout(reference),
        Ok(Some(meant)) => {
            // an ID is no way round what is said of a name
            for name in &meant.names {
                evaluate(policies, &Source::image(&name.to_string()))?;
            }
            Source::image_by_id(&meant.id)
        }
        _ => Source::image(reference),
    };
    let converted = convert(policies, &source, Source::into_image)?;
    Ok(converted.unwrap_or_else(|| reference.to_owned()))
}

/// Changes what `ADD` fetches.
///
/// # Errors
/// All that are refused.
pub(crate) fn graph(
    policies: &[Policy],
    graph: &mut StageGraph,
    wanted: &[bool],
) -> Result<(), BuildError> {
    let mut refused = Vec::new();
    for node in graph.nodes.iter_mut().filter(|node| wanted[node.id.0]) {
        let Op::Copy(copy) = &mut node.op else {
            continue;
        };
        for source in &mut copy.sources {
            if let Err(refusal) = copied(policies, source) {
                refused.push(RefusedSource {
                    refusal,
                    span: node.span,
                });
            }
        }
    }
    all_or(refused, ())
}

/// The same for one source that something else than `ADD` asks for.
///
/// # Errors
/// When it is refused.
pub(crate) fn source(policies: &[Policy], source: &mut CopySource) -> Result<(), BuildError> {
    let copied = copied(policies, source);
    let refused = copied.map_err(|refusal| RefusedSource {
        refusal,
        span: None,
    });
    all_or(refused.err().into_iter().collect(), ())
}

fn copied(policies: &[Policy], source: &mut CopySource) -> Result<(), Refusal> {
    match source {
        CopySource::Url { url, checksum, .. } => file(policies, url, checksum),
        CopySource::Git(git) => repository(policies, git),
        CopySource::Files { .. } | CopySource::Inline { .. } => Ok(()),
    }
}

fn file(
    policies: &[Policy],
    url: &mut String,
    checksum: &mut Option<String>,
) -> Result<(), Refusal> {
    if policies.is_empty() {
        return Ok(());
    }
    let source = Source::file(url, checksum.as_deref()).map_err(|problem| unclear(url, problem))?;
    if let Some(made) = convert(policies, &source, |made| made.into_file(url))? {
        (*url, *checksum) = made;
    }
    Ok(())
}

fn repository(policies: &[Policy], git: &mut GitSource) -> Result<(), Refusal> {
    if policies.is_empty() {
        return Ok(());
    }
    let remote = address::repository(&git.remote);
    git.remote = remote.map_err(|problem| unclear(&git.remote, problem))?;
    let converted = convert(policies, &Source::git(git), |made| made.into_git(git))?;
    converted.into_iter().for_each(|made| *git = made);
    Ok(())
}

/// Whether a download may go on at another address.
///
/// # Errors
/// When that is denied.
pub(crate) fn redirect(policies: &[Policy], url: &kiln_oci::http::Url) -> Result<(), Refusal> {
    if policies.is_empty() {
        return Ok(());
    }
    let source = Source::file(url.as_str(), None);
    let source = source.map_err(|problem| unclear(url.as_str(), problem))?;
    evaluate(policies, &source).map(drop)
}

fn unclear(address: &str, problem: String) -> Refusal {
    let identifier = address::redacted(address);
    Refusal::Unclear {
        identifier,
        problem,
    }
}

/// Changes contexts and the Dockerfile where they come from outside.
///
/// # Errors
/// All that are refused.
pub(crate) fn sources(sources: &mut Sources) -> Result<(), BuildError> {
    let Sources {
        dockerfile,
        context,
        contexts,
        policies,
        ..
    } = sources;
    if policies.is_empty() {
        return Ok(());
    }
    let mut outcomes = Vec::new();
    if let MainSource::Named(context) = context {
        outcomes.push(context_source(policies, context));
    }
    outcomes.extend(
        contexts
            .values_mut()
            .map(|named| context_source(policies, named)),
    );
    if let DockerfileSource::File { url, checksum } = dockerfile {
        outcomes.push(file(policies, url, checksum));
    }
    let refused = outcomes.into_iter().filter_map(Result::err);
    let refused = refused.map(|refusal| RefusedSource {
        refusal,
        span: None,
    });
    all_or(refused.collect(), ())
}

fn context_source(policies: &[Policy], context: &mut ContextSource) -> Result<(), Refusal> {
    match context {
        ContextSource::File { url, checksum } => file(policies, url, checksum),
        ContextSource::Git(git) => repository(policies, git),
        // images are asked about when a stage names them
        _ => Ok(()),
    }
}

/// What the policies make of a source, in the form that its user needs; nothing when it stays.
fn convert<T>(
    policies: &[Policy],
    source: &Source,
    form: impl FnOnce(Source) -> Result<T, String>,
) -> Result<Option<T>, Refusal> {
    let Some(Converted { source: made, rule }) = evaluate(policies, source)? else {
        return Ok(None);
    };
    let unusable = |problem| Refusal::Unusable {
        identifier: source.identifier.clone(),
        made: made.identifier.clone(),
        rule,
        problem,
    };
    form(made.clone()).map(Some).map_err(unusable)
}

fn all_or<T>(refused: Vec<RefusedSource>, value: T) -> Result<T, BuildError> {
    if refused.is_empty() {
        Ok(value)
    } else {
        Err(BuildError::Refused(refused))
    }
}
