//! The steps of an image that was found, with their lines where the store or the image knows them. Unaware of what is asked about it.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::render::clip;
use crate::session;
use crate::sheet::plain;
use crate::source::Found;
use kiln_cache::BuildRecord;
use kiln_report::history::{Step, record};

/// Characters of an instruction that are shown unless all are wanted.
const WIDTH: usize = 60;

/// All steps, the oldest first. An image of a registry or an archive may have been built here too.
///
/// # Errors
/// The store fails.
pub fn steps(globals: &Globals, found: &Found) -> Result<Vec<Step>, Failure> {
    let image = &found.image;
    let store = match &found.store {
        Some(store) => Some(store.clone()),
        // what is in no store is looked at without one too
        None => session::existing_store(globals).ok().flatten(),
    };
    let record = match store {
        Some(store) => record(&store, &image.id, &image.config)?,
        None => BuildRecord::of_label(&image.config).unwrap_or_default(),
    };
    Ok(image.history(&record))
}

/// For each layer of the image, the step that made it.
pub fn of_layers(steps: &[Step]) -> Vec<&Step> {
    let steps = steps.iter();
    steps.filter(|step| step.layer.is_some()).collect()
}

/// The instruction on one line, all of it or its beginning.
pub fn instruction(step: &Step, whole: bool) -> String {
    let text = plain(step.text());
    match whole {
        true => text,
        false => clip(&text, WIDTH),
    }
}

/// File and line, or nothing.
pub fn place(step: &Step) -> String {
    step.place().unwrap_or_default()
}
