//! What the image below a stage says of platforms: which one the stage is for, and whether that differs from what was asked for.
//! Unaware of instructions.

use kiln_oci::{ImageConfig, Platform};

use super::plan::{Base, Plan};
use super::world::World;
use crate::diagnostic::Diagnostic;
use crate::lint::evaluated;
use crate::stage::State;

/// The platform of a stage on an image. If nobody named one and the base is for another one that runs here, the stage is for that one
/// (BuildKit's `autoDetectPlatform`).
pub(super) fn platform(world: &World<'_>, plan: &Plan, index: usize, base: &Platform) -> Platform {
    let (inputs, asked) = (world.inputs, &plan.stages[index].platform);
    let is_named =
        inputs.platform_is_given || world.dockerfile.stages[index].from.platform.is_some();
    let is_same = (&asked.os, &asked.architecture) == (&base.os, &base.architecture);
    let other = Platform::new(&base.os, &base.architecture);
    match is_named || is_same || !(inputs.can_run)(&other) {
        true => asked.clone(),
        false => other,
    }
}

/// The platform that an image of this stage names: what the user named, else what its base says. If both have one processor, a variant
/// that only the base names stays.
pub(super) fn image_platform(world: &World<'_>, state: &State) -> Platform {
    let base = state.base_image.as_ref().map(ImageConfig::platform);
    let mut platform = base.unwrap_or_else(|| state.platform.clone());
    if world.inputs.platform_is_given {
        let given = &world.inputs.platform;
        let is_same = (&platform.os, &platform.architecture) == (&given.os, &given.architecture);
        let kept =
            |own: &Option<String>, base: Option<String>| own.clone().or(base.filter(|_| is_same));
        platform = Platform {
            os: given.os.clone(),
            architecture: given.architecture.clone(),
            variant: kept(&given.variant, platform.variant),
            os_version: kept(&given.os_version, platform.os_version),
            os_features: platform.os_features,
        };
    }
    platform.normalized()
}

/// Whether an image has files. One without files is like `scratch`, for every platform.
pub(super) fn has_layers(config: &ImageConfig) -> bool {
    !config.rootfs.diff_ids.is_empty() || config.history.iter().any(|step| !step.empty_layer)
}

/// Images for another platform than was asked for. Named contexts are not among them: the user named these.
pub(super) fn warnings(world: &World<'_>, plan: &Plan, reachable: &[usize]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let lint = &world.scope.lint;
    if !lint.asks(&evaluated::INVALID_BASE_IMAGE_PLATFORM, &[]) {
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
            let warning = evaluated::base_platform(reference, &expected, &actual, stage.span);
            found.extend(warning);
        }
    }
    found
}
