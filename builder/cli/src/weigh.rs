//! Images with all that reports know of them: what became of their bytes, how large they are compressed, which lines they come from.
//! Unaware of what is asked about them.

use crate::building::{Made, Order};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::source::{self, Found};
use crate::steps::steps;
use kiln_cache::{Store, try_parallel};
use kiln_oci::Digest;
use kiln_report::classify::{Classified, classify};
use kiln_report::compare::measure::Measured;
use kiln_report::compare::page::Picture;
use kiln_report::compare::{Estimate, Variant};
use kiln_report::compressed::{Compressed, Effort};
use kiln_report::history::Step;
use kiln_report::image::{self, Image, compressed};
use kiln_report::page::tree::tree;
use kiln_report::stages;
use std::collections::BTreeSet;

/// Weighs images.
pub struct Scale<'a> {
    /// How images elsewhere are reached.
    pub globals: &'a Globals,
    /// Where built images are.
    pub store: &'a Store,
    /// Whether compressed bytes are counted instead of estimated.
    pub effort: Effort,
}

/// What is known of an image.
#[derive(Debug)]
pub struct Weighed {
    /// How it is called.
    pub name: String,
    /// Its layers.
    pub image: Image,
    /// What became of their bytes.
    pub classified: Classified,
    /// Each layer compressed.
    pub compressed: Vec<Compressed>,
    /// The steps of its history, the oldest first.
    pub steps: Vec<Step>,
}

impl Weighed {
    /// All that is known of an image that was found.
    ///
    /// # Errors
    /// The store fails.
    pub fn new(globals: &Globals, mut found: Found, effort: Effort) -> Result<Self, Failure> {
        let steps = steps(globals, &found)?;
        if let Some(store) = &found.store {
            image::find_programs(&mut found.image, store);
        }
        let Found { name, image, store } = found;
        // one that is compressed whole has all cores
        let at_once = match effort {
            Effort::Estimate => std::thread::available_parallelism().map_or(1, usize::from),
            Effort::Exact => 1,
        };
        let compressed = try_parallel(&image.layers, at_once, |layer| {
            compressed(layer, store.as_ref(), effort)
        })?;
        Ok(Weighed {
            classified: classify(&image.layers),
            name,
            image,
            compressed,
            steps,
        })
    }

    /// The steps that are not the base's.
    pub fn own_steps(&self) -> &[Step] {
        let first = self.step_at(stages::entries_of(&self.image, self.image.base));
        self.steps.get(first..).unwrap_or_default()
    }

    /// The step of an entry of the history: layers that no entry accounts for come first.
    fn step_at(&self, entry: usize) -> usize {
        let unaccounted = self.image.steps().filter(|(entry, _)| entry.is_none());
        unaccounted.count() + entry
    }

    /// Lines of a base that was built here are lines of another file.
    fn forget_lines_before(&mut self, entry: usize) {
        let first = self.step_at(entry);
        for step in self.steps.iter_mut().take(first) {
            step.origin = None;
        }
    }

    /// The image as a variant, called `name`.
    pub fn variant(&self, name: &str) -> Variant {
        let measured = Measured {
            image: &self.image,
            classified: &self.classified,
            compressed: &self.compressed,
            steps: &self.steps,
        };
        measured.variant(name)
    }

    /// What a page shows of it besides.
    pub fn picture(&self, dockerfile: Option<&str>) -> Picture {
        Picture {
            tree: Some(tree(&self.image, &self.classified)),
            dockerfile: dockerfile.map(str::to_owned),
        }
    }

    /// All layers compressed with gzip.
    pub fn gzip(&self) -> Estimate {
        let layers = self.compressed.iter();
        layers.map(|layer| Estimate::from(layer.gzip)).sum()
    }
}

impl Scale<'_> {
    /// An image that a person names, wherever it is.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn named(&self, name: &str) -> Result<Weighed, Failure> {
        let wanted = source::Wanted {
            name,
            platform: None,
            effort: self.effort,
        };
        let found = source::find(self.globals, wanted)?;
        let mut weighed = Weighed::new(self.globals, found, self.effort)?;
        weighed.forget_lines_before(stages::entries_of(&weighed.image, weighed.image.base));
        Ok(weighed)
    }

    /// All that is known of the image of a build, whose own layers are apart from the base's.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn built(&self, made: &Made, order: &Order) -> Result<Weighed, Failure> {
        let mut weighed = self.weighed(&made.built.manifest)?;
        let dockerfile = kiln_parser::parse(&made.dockerfile.text).dockerfile;
        let target = stages::target(&dockerfile, order.request.language.target.as_deref());
        let first = stages::first_own(&dockerfile, target, &weighed.image);
        weighed.image.base = stages::layers_before(&weighed.image, first);
        weighed.forget_lines_before(first);
        Ok(weighed)
    }

    /// All that is known of an image of the store, of several platforms of the first one; its base is not looked for.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn weighed(&self, manifest: &Digest) -> Result<Weighed, Failure> {
        let images = self.store.indexes().images_of(manifest)?;
        let one = images.first().map_or(*manifest, |(_, image)| *image);
        let found = self.store.images().get(&one)?;
        self.store.fetch().layers(&found.diff_ids)?;
        let found = Found {
            name: manifest.to_string(),
            image: image::stored(self.store, &found)?,
            store: Some(self.store.clone()),
        };
        Weighed::new(self.globals, found, self.effort)
    }

    /// The manifests of all images.
    ///
    /// # Errors
    /// The store fails.
    pub fn images(&self) -> Result<BTreeSet<Digest>, Failure> {
        let images = self.store.images().list()?.into_iter();
        Ok(images.map(|image| image.manifest).collect())
    }

    /// Removes those of `images` that nobody had before, `kept`, and that have no name: builds left them that were only measured.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove(&self, images: &[Digest], kept: &BTreeSet<Digest>) -> Result<(), Failure> {
        for image in images.iter().filter(|image| !kept.contains(image)) {
            let is_there = self.images()?.contains(image);
            if is_there && self.store.images().names_of(image)?.is_empty() {
                self.store.images().remove(image)?;
            }
        }
        Ok(())
    }
}
