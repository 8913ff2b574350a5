//! What was probably meant by the name of an image that is not there (a stage, or an image of the store), or of an argument that nothing takes.
//! Unaware of why it is not there.

use crate::failure::MissingImage;
use crate::session::Session;
use kiln_oci::Reference;
use kiln_parser::graph::StageGraph;
use kiln_parser::inputs::ImageRequest;
use kiln_parser::{Dockerfile, suggest};

/// The same with a hint, if another name is near; none for an image that a source policy names.
pub(super) fn hinted(
    session: &Session,
    dockerfile: &Dockerfile,
    missing: MissingImage,
    request: &ImageRequest,
) -> MissingImage {
    let name = request.reference.as_str();
    if missing.reference != name {
        return missing;
    }
    let stage = suggest::nearest(&name.to_lowercase(), dockerfile.stage_names());
    let stage = stage.map(|stage| format!("did you mean the stage {stage}?"));
    let near = stage.or_else(|| image(session, name));
    MissingImage { near, ..missing }
}

/// The `ARG` whose name is near, as the end of a sentence.
pub(super) fn argument(graph: &StageGraph, name: &str) -> String {
    let declared = graph.stages.iter().flat_map(|stage| &stage.arguments);
    let near = suggest::nearest(name, declared.map(|argument| argument.name.as_str()));
    near.map_or(String::new(), |near| format!(": did you mean {near}?"))
}

/// Another tag of the same image, or an image with nearly the same name.
fn image(session: &Session, name: &str) -> Option<String> {
    let wanted = Reference::parse(name).ok()?;
    let images = session.store.images().list().ok()?;
    let known = || images.iter().flat_map(|image| &image.references);
    let tags = known().filter(|known| known.name() == wanted.name());
    let tags: Vec<String> = tags.map(Reference::familiar).collect();
    if !tags.is_empty() {
        return Some(format!("the store has {}", tags.join(", ")));
    }
    let names = known().flat_map(|known| [known.familiar(), known.familiar_name()]);
    let names: Vec<String> = names.collect();
    let near = suggest::nearest(name, names.iter().map(String::as_str))?;
    Some(format!("did you mean {near}, which the store has?"))
}
