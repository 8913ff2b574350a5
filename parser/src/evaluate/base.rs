//! What the image below a stage says of platforms: which one the stage is for, and whether it is another one than was asked for.

use kiln_oci::{ImageConfig, Platform};

use super::plan::{Base, Plan};
use super::world::World;
use crate::diagnostic::Diagnostic;
use crate::lint::evaluated;

/// The platform of a stage on an image. Nobody named one, and the base is for another one that runs here: it is that of the
/// stage (BuildKit's `autoDetectPlatform`).
pub(super) fn platform(world: &World<'_>, plan: &Plan, index: usize, base: &Platform) -> Platform {
    let (inputs, asked) = (world.inputs, &plan.stages[index].platform);
    let is_named =
        inputs.platform_is_given || world.dockerfile.stages[index].from.platform.is_some();
    let is_same =
        |other: &&Platform| (&other.os, &other.architecture) == (&base.os, &base.architecture);
    if is_named || is_same(&asked) {
        return asked.clone();
    }
    let runs = inputs.runnable.iter().find(is_same);
    runs.unwrap_or(asked).clone()
}

/// Whether an image has files. One without is as good as `scratch`, for every platform.
pub(super) fn has_layers(config: &ImageConfig) -> bool {
    !config.rootfs.diff_ids.is_empty() || config.history.iter().any(|step| !step.empty_layer)
}

/// Images for another platform than was asked for. Named contexts are what the user named.
pub(super) fn warnings(world: &World<'_>, plan: &Plan, reachable: &[usize]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !world
        .lint
        .asks(&evaluated::INVALID_BASE_IMAGE_PLATFORM, &[])
    {
        return found;
    }
    for &index in reachable {
        let stage = &plan.stages[index];
        let Base::Image(reference) = &stage.base else {
            continue;
        };
        let config = world.bases.get(reference, &stage.platform);
        if let Some(config) = config.filter(|config| !stage.is_context && has_layers(config)) {
            let actual = config.platform();
            let expected = platform(world, plan, index, &actual);
            found.extend(evaluated::base_platform(
                reference, &expected, &actual, stage.span,
            ));
        }
    }
    found
}
