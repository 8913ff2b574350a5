//! A variant of an image's layers: sums of what is known about each. Unaware of where the image is and of how it was built.

use super::{Estimate, LayerWeight, StepWeight, Variant, Weight};
use crate::classify::{Class, Classes, Classified};
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
    /// Each layer compressed, with gzip and with zstd.
    pub compressed: &'a [(Estimate, Estimate)],
    /// Where entries of its history come from, by position.
    pub places: &'a BTreeMap<usize, Place>,
}

/// Where an entry of the history comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 1-based line of the instruction.
    pub line: u32,
    /// The instruction as it is written.
    pub text: String,
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
        let unknown = (Estimate::default(), Estimate::default());
        let compressed = self.compressed.iter().copied();
        let compressed = compressed.chain(std::iter::repeat(unknown));
        let layers = self.image.layers.iter().zip(compressed);
        let weight = layers.map(|(layer, (gzip, zstd))| LayerWeight {
            diff_id: layer.index.diff_id,
            uncompressed: layer.index.tar_size,
            gzip,
            zstd,
        });
        weight.collect()
    }

    /// The steps that made a layer.
    fn steps(&self) -> Vec<StepWeight> {
        steps(self.image, self.places)
            .into_iter()
            .filter_map(|step| {
                let layer = step.layer?;
                let classes = &self.classified.layers.get(layer)?.classes;
                Some(StepWeight {
                    text: step.text,
                    line: step.line,
                    of_base: self.image.is_of_base(layer),
                    classes: by_name(classes),
                })
            })
            .collect()
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

/// One step of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 1-based line of its instruction, where that is known.
    pub line: Option<u32>,
    /// The instruction as it is written, else as the history tells it.
    pub text: String,
    /// Position of its layer.
    pub layer: Option<usize>,
}

/// The steps of an image's history, the oldest first. Layers without an entry come first, without a text.
#[must_use]
pub fn steps(image: &Image, places: &BTreeMap<usize, Place>) -> Vec<Step> {
    let unaccounted = image
        .steps()
        .take_while(|(entry, _)| entry.is_none())
        .count();
    let steps = image.steps().enumerate().map(|(at, (entry, layer))| {
        let place = at
            .checked_sub(unaccounted)
            .and_then(|position| places.get(&position));
        let told = entry.and_then(|entry| entry.created_by.as_deref());
        Step {
            line: place.map(|place| place.line),
            text: place.map_or_else(
                || readable(told.unwrap_or_default()),
                |place| place.text.clone(),
            ),
            layer,
        }
    });
    steps.collect()
}

/// The text of a history without what builders put around it.
fn readable(text: &str) -> String {
    let text = text.trim_end_matches(" # buildkit");
    match text.strip_prefix("/bin/sh -c ") {
        Some(command) => match command.strip_prefix("#(nop) ") {
            Some(instruction) => instruction.trim().to_owned(),
            None => format!("RUN {command}"),
        },
        None => text.replacen("RUN /bin/sh -c ", "RUN ", 1),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builders_put_around_an_instruction_is_left_out() {
        let told = [
            "RUN /bin/sh -c make # buildkit",
            "/bin/sh -c make",
            "/bin/sh -c #(nop)  CMD [\"sh\"]",
            "COPY a b # buildkit",
        ];
        let read = ["RUN make", "RUN make", "CMD [\"sh\"]", "COPY a b"];
        assert_eq!(told.map(readable), read);
    }
}
