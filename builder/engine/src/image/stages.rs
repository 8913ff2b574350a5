//! `--save-stages`: the stages that the target needs stay in the store as images without a name, with the labels that buildah gives
//! them. A stage that only names its base is that base and needs no image. Unaware of how stages are executed.

use crate::event::EventKind;
use crate::exchange;
use crate::failure::BuildError;
use crate::image::assemble::{Image, assemble, with_config, without_history};
use crate::image::origin;
use crate::plan::Plan;
use crate::plan::output::Done;
use crate::session::Session;
use crate::source::open::Build;
use kiln_cache::StoreError;
use kiln_oci::Digest;
use kiln_parser::graph::StageBase;
use std::collections::BTreeMap;
use std::sync::Arc;

/// buildah's labels: the stage's name, or its number; and what it is based on.
const NAME: &str = "io.buildah.stage.name";
const BASE: &str = "io.buildah.stage.base";

/// The IDs of the stages that are kept, by their position in the graph.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<usize, Digest>);

/// Keeps all stages but the targets, if that is asked for.
///
/// # Errors
/// When an image cannot be stored.
pub(crate) fn keep(
    session: &Session,
    build: &Build,
    plan: &Plan,
    results: &BTreeMap<usize, Arc<Done>>,
) -> Result<Kept, BuildError> {
    let mut kept = Kept::default();
    if !build.form.save_stages {
        return Ok(kept);
    }
    for (position, stage) in plan.graph.stages.iter().enumerate() {
        let is_target = plan.targets.iter().any(|target| target.stage == position);
        if is_target || !plan.wanted[stage.output.0] || adds_nothing(plan, position) {
            continue;
        }
        let now = session.host.seconds();
        let image = assemble(&session.store, plan, position, results, now)?;
        let image = kept.formed(build, plan, position, image)?;
        origin::remember(session, build, plan, position, &image, results)?;
        let (manifest, id) = session.store.images().put(&image.manifest, &image.config)?;
        exchange::secure(&session.store, &session.remote, &manifest)?;
        session.events.send(EventKind::StageKept {
            stage: plan.stage_name(Some(position)),
            id: id.to_string(),
            digest: manifest.to_string(),
        });
        kept.0.insert(position, id);
    }
    Ok(kept)
}

impl Kept {
    /// The image of a stage that is kept, in the form that is asked for.
    fn formed(
        &self,
        build: &Build,
        plan: &Plan,
        position: usize,
        image: Image,
    ) -> Result<Image, StoreError> {
        let image = self.labelled(build, plan, position, image)?;
        let given = build.form.layer_labels.clone();
        let image = with_config(image, |config| config.config.labels.extend(given))?;
        match build.form.omit_history {
            true => without_history(image),
            false => Ok(image),
        }
    }

    /// The image of a stage with buildah's labels, if they are asked for.
    ///
    /// # Errors
    /// When it is no image.
    pub(crate) fn labelled(
        &self,
        build: &Build,
        plan: &Plan,
        position: usize,
        image: Image,
    ) -> Result<Image, StoreError> {
        if !build.form.stage_labels {
            return Ok(image);
        }
        let stage = &plan.graph.stages[position];
        let name = stage
            .name
            .clone()
            .unwrap_or_else(|| stage.index.to_string());
        let labels = [(NAME, name), (BASE, self.base(plan, position))];
        let is_wanted = |(name, _): &(&str, String)| !build.language.unset_labels.contains(*name);
        let labels = labels.into_iter().filter(is_wanted);
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        with_config(image, |config| config.config.labels.extend(labels))
    }

    /// The base as its FROM names it; the ID of a stage that is kept.
    fn base(&self, plan: &Plan, position: usize) -> String {
        match &plan.graph.stages[position].from {
            StageBase::Scratch => "scratch".to_owned(),
            StageBase::Image(name) | StageBase::Context(name) => name.clone(),
            StageBase::Stage(_) => match plan.parent(position) {
                Some(parent) => match self.0.get(&parent) {
                    Some(id) => id.to_string(),
                    None => self.base(plan, parent),
                },
                None => String::new(),
            },
        }
    }
}

/// Whether a stage has no instructions but its FROM.
fn adds_nothing(plan: &Plan, position: usize) -> bool {
    let steps = |position: usize| plan.graph.stages[position].history.len();
    let before = plan.parent(position).map_or(0, steps);
    let is_files = matches!(plan.graph.stages[position].from, StageBase::Context(_));
    steps(position) == before && !is_files
}
