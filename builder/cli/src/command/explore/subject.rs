//! What is browsed: an image with all that is known of it. Nothing of it changes while it is browsed. Unaware of keys and screens.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::sheet::plain;
use crate::source::Found;
use crate::steps::{of_layers, steps};
use kiln_report::classify::{Class, Classified, classify};
use kiln_report::history::Step;
use kiln_report::image::{Image, find_programs};
use kiln_report::lifetimes::{Lifetimes, Scope};

/// An image.
#[derive(Debug)]
pub struct Subject {
    /// How it is called; printable.
    pub name: String,
    /// Its layers.
    pub image: Image,
    /// What became of their bytes.
    pub classified: Classified,
    /// Its paths.
    pub paths: Lifetimes,
    /// What made each layer.
    pub made: Vec<Made>,
}

/// What made a layer; printable.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// The instruction, on one line.
    pub text: String,
    /// The Dockerfile and the line in it, where they are known.
    pub place: Option<(String, u32)>,
}

impl Subject {
    /// Of an image that was found.
    ///
    /// # Errors
    /// The store fails.
    pub fn new(globals: &Globals, mut found: Found) -> Result<Self, Failure> {
        if let Some(store) = &found.store {
            find_programs(&mut found.image, store);
        }
        let steps = steps(globals, &found)?;
        let made = of_layers(&steps).into_iter().map(Made::of).collect();
        Ok(Subject::of(&found.name, found.image, made))
    }

    /// Of an image of which it is known what made its layers.
    pub fn of(name: &str, image: Image, mut made: Vec<Made>) -> Self {
        made.resize(image.layers.len(), Made::default());
        Subject {
            name: plain(name),
            classified: classify(&image.layers),
            paths: Lifetimes::new(&image.layers),
            image,
            made,
        }
    }

    /// The classes that a file can have.
    pub fn classes() -> impl Iterator<Item = Class> {
        let all = Class::ALL.into_iter();
        all.filter(|class| *class != Class::Headers)
    }

    /// The scope of all layers, or of all but the base's.
    pub fn whole(&self, without_base: bool) -> Scope {
        let count = self.image.layers.len();
        let from = if without_base { self.image.base } else { 0 };
        Scope {
            from: from.min(count.saturating_sub(1)),
            to: count.saturating_sub(1),
        }
    }
}

impl Made {
    fn of(step: &Step) -> Self {
        let origin = step.origin.as_ref();
        Made {
            text: plain(&step.on_one_line()),
            place: origin.map(|origin| (plain(&origin.file), origin.line)),
        }
    }
}
