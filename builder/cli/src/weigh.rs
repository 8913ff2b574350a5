//! Images with all that reports know of them: what became of their bytes, how large they are compressed, which lines they come from.
//! Unaware of what is asked about them.

use crate::building::{Made, Order};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::source;
use kiln_cache::{BuildRecord, Store};
use kiln_oci::Digest;
use kiln_report::classify::{Classified, classify};
use kiln_report::compare::measure::{Measured, Place};
use kiln_report::compare::page::Picture;
use kiln_report::compare::{Estimate, Variant};
use kiln_report::compressed::Effort;
use kiln_report::image::{self, Image, compressed};
use kiln_report::page::tree::tree;
use kiln_report::stages;
use std::collections::{BTreeMap, BTreeSet};

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
pub struct Weighed {
    /// Its layers.
    pub image: Image,
    /// What became of their bytes.
    pub classified: Classified,
    /// Each layer compressed, with gzip and with zstd.
    pub compressed: Vec<(Estimate, Estimate)>,
    /// Where the entries of its history come from, but for those of its base.
    pub places: BTreeMap<usize, Place>,
}

impl Weighed {
    fn new(image: Image, store: Option<&Store>, effort: Effort) -> Result<Self, Failure> {
        let sizes = image.layers.iter().map(|layer| {
            let sizes = compressed(layer, store, effort)?;
            Ok((sizes.gzip.into(), sizes.zstd.into()))
        });
        let sizes = sizes.collect::<Result<_, kiln_cache::StoreError>>()?;
        let record = store
            .map(|store| store.builds().get(&image.id))
            .transpose()?;
        let record = record
            .flatten()
            .or_else(|| BuildRecord::of_label(&image.config));
        let mut weighed = Weighed {
            classified: classify(&image.layers),
            compressed: sizes,
            places: places(record.unwrap_or_default()),
            image,
        };
        weighed.forget_before(stages::entries_of(&weighed.image, weighed.image.base));
        Ok(weighed)
    }

    /// Lines of a base that was built here are lines of another file.
    fn forget_before(&mut self, entry: usize) {
        self.places.retain(|position, _| *position >= entry);
    }

    /// The image as a variant, called `name`.
    pub fn variant(&self, name: &str) -> Variant {
        let measured = Measured {
            image: &self.image,
            classified: &self.classified,
            compressed: &self.compressed,
            places: &self.places,
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
        self.compressed.iter().map(|(gzip, _)| *gzip).sum()
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
        Weighed::new(found.image, found.store.as_ref(), self.effort)
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
        weighed.forget_before(first);
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
        let image = image::stored(self.store, &found)?;
        Weighed::new(image, Some(self.store), self.effort)
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

/// Where the entries of a history come from, by position.
fn places(record: BuildRecord) -> BTreeMap<usize, Place> {
    let place = |line, text| Place { line, text };
    let steps = record.steps.into_iter();
    steps
        .map(|step| (step.at, place(step.line, step.text)))
        .collect()
}
