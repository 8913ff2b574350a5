//! A variant of an image's layers: sums of what is known about each. Unaware of where the image is and of how it was built.

use super::{LayerWeight, StepWeight, Variant, Weight};
use crate::classify::{Class, Classes, Classified};
use crate::compressed::Compressed;
use crate::history::Step;
use crate::image::Image;
use crate::waste;
use kiln_cache::Entry;
use std::collections::BTreeMap;

/// Folders are told so deep.
const DEPTH: usize = 2;

/// What is known of an image.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// Its layers.
    pub image: &'a Image,
    /// What became of their bytes.
    pub classified: &'a Classified,
    /// Each layer compressed.
    pub compressed: &'a [Compressed],
    /// The steps of its history.
    pub steps: &'a [Step],
}

impl Measured<'_> {
    /// The variant, called `name`. Times and what clients fetch besides the base are not known here.
    #[must_use]
    pub fn variant(&self, name: &str) -> Variant {
        let image = self.image;
        let layers = self.layers();
        let own = layers.iter().skip(image.base);
        let mut variant = Variant {
            name: name.to_owned(),
            id: image.id.to_string(),
            weight: Weight {
                uncompressed: image.size(),
                own: own.map(|layer| layer.uncompressed).sum(),
                gzip: layers.iter().map(|layer| layer.gzip).sum(),
                zstd: layers.iter().map(|layer| layer.zstd).sum(),
            },
            base_layers: image.base,
            classes: by_name(&self.classified.total()),
            known_waste: self.known_waste(),
            steps: self.steps(),
            layers,
            ..Variant::default()
        };
        self.add_files(&mut variant);
        let base: Vec<_> = variant.diff_ids().take(image.base).copied().collect();
        variant.pulls.with_base = (image.base > 0).then(|| variant.lacking(&base));
        variant
    }

    fn known_waste(&self) -> BTreeMap<String, u64> {
        let known = waste::known(self.image, self.classified).into_iter();
        let own = known.filter(|waste| waste.own > 0);
        own.map(|waste| (waste.name.to_owned(), waste.own))
            .collect()
    }

    fn layers(&self) -> Vec<LayerWeight> {
        let layers = self.image.layers.iter().zip(self.compressed);
        let weight = layers.map(|(layer, compressed)| LayerWeight {
            diff_id: layer.index.diff_id,
            uncompressed: layer.index.tar_size,
            gzip: compressed.gzip.into(),
            zstd: compressed.zstd.into(),
        });
        weight.collect()
    }

    /// The steps that made a layer.
    fn steps(&self) -> Vec<StepWeight> {
        let weights = self.steps.iter().filter_map(|step| {
            let layer = step.position?;
            let classes = &self.classified.layers.get(layer)?.classes;
            Some(StepWeight::of(step, self.image.is_of_base(layer), classes))
        });
        weights.collect()
    }

    /// Counts the files that show, and their bytes by folder.
    fn add_files(&self, variant: &mut Variant) {
        let layers = self.image.layers.iter().zip(&self.classified.layers);
        for (layer, classified) in layers {
            for (entry, fate) in layer.entries().iter().zip(&classified.fates) {
                if fate.hidden_by.is_none() && entry.is_file() {
                    variant.files += 1;
                    *variant.folders.entry(folder(entry)).or_default() += fate.bytes;
                }
            }
        }
    }
}

impl StepWeight {
    /// What a step weighs that made a layer.
    #[must_use]
    pub fn of(step: &Step, of_base: bool, classes: &Classes) -> Self {
        StepWeight {
            text: step.on_one_line(),
            line: step.line(),
            of_base,
            classes: by_name(classes),
        }
    }
}

/// Bytes by the name of their class.
fn by_name(classes: &Classes) -> BTreeMap<String, u64> {
    let all = Class::ALL.into_iter();
    let all = all.map(|class| (class.name().to_owned(), classes.get(class)));
    all.filter(|(_, bytes)| *bytes > 0).collect()
}

/// The folder of an entry, [`DEPTH`] levels deep at most.
fn folder(entry: &Entry) -> String {
    let path = String::from_utf8_lossy(&entry.path);
    let folders = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let parts: Vec<&str> = folders.split('/').take(DEPTH).collect();
    parts.join("/")
}
