//! What advice rests on: an image with its classes and history, how long steps took, the build context, and other bases of the store.
//! Unaware of the advice.

use crate::building::{Made, Order};
use crate::failure::{Failure, Kind};
use crate::weigh::{Scale, Weighed};
use kiln_cache::{Entry, EntryKind};
use kiln_engine::event::{Event, EventKind};
use kiln_oci::{Digest, Reference};
use kiln_report::advise::{Base, Context, Finding, Source, Subject, findings};
use kiln_report::stages::{continued, target};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, read_dir};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is known of an image, and of the build that made it.
pub struct Facts {
    /// The image.
    pub weighed: Weighed,
    seconds: BTreeMap<u32, f64>,
    context: Option<Context>,
    bases: Vec<Base>,
    /// The tars of its layers, as far as they are here.
    tars: Vec<Option<PathBuf>>,
}

impl Facts {
    /// Those of an image that a person names.
    ///
    /// # Errors
    /// There is none, or a layer cannot be read.
    pub fn of_image(scale: &Scale<'_>, name: &str) -> Result<Self, Failure> {
        Ok(Facts::of(scale, scale.named(name)?))
    }

    fn of(scale: &Scale<'_>, weighed: Weighed) -> Self {
        let layers = weighed.image.layers.iter();
        let tar = |diff_id: &Digest| {
            let layer = scale.store.layers().get(diff_id).ok()?;
            Some(layer.tar.path().to_owned())
        };
        Facts {
            tars: layers.map(|layer| tar(&layer.index.diff_id)).collect(),
            weighed,
            seconds: BTreeMap::new(),
            context: None,
            bases: Vec::new(),
        }
    }

    /// Those of a build.
    ///
    /// # Errors
    /// As [`Facts::of_image`].
    pub fn of_build(scale: &Scale<'_>, made: &Made, order: &Order) -> Result<Self, Failure> {
        let facts = Facts::of(scale, scale.built(made, order)?);
        let folder = order.request.sources.context.folder();
        let own = made.dockerfile.ignore.as_deref();
        Ok(Facts {
            seconds: seconds(&made.events),
            context: folder.map(|folder| context(folder, own)).transpose()?,
            bases: bases(scale, made, order)?,
            ..facts
        })
    }

    /// All advice; of a Dockerfile its text and the stage that is built.
    pub fn advice(&self, dockerfile: Option<(&str, Option<&str>)>) -> Vec<Finding> {
        let parsed =
            dockerfile.map(|(text, stage)| (text, stage, kiln_parser::parse(text).dockerfile));
        let source = parsed.as_ref().map(|(text, stage, dockerfile)| Source {
            text,
            dockerfile,
            target: target(dockerfile, *stage),
        });
        let image = &self.weighed.image;
        let found = findings(&Subject {
            source,
            image,
            classified: &self.weighed.classified,
            steps: &self.weighed.steps,
            seconds: &self.seconds,
            context: self.context.as_ref(),
            bases: &self.bases,
            platform: image.config.platform(),
            read: &|layer, entry, most| self.read(layer, entry, most),
        });
        let found = found.into_iter();
        found.map(|found| self.compressed(found)).collect()
    }

    /// The finding with compressed bytes, as if the whole image could be compressed equally well.
    fn compressed(&self, finding: Finding) -> Finding {
        let whole = u128::from(self.weighed.image.size().max(1));
        let gzip = u128::from(self.weighed.gzip().bytes);
        let part = |bytes| u64::try_from(u128::from(bytes) * gzip / whole).unwrap_or(bytes);
        Finding {
            compressed: finding.bytes.map(part),
            ..finding
        }
    }

    fn read(&self, layer: usize, entry: &Entry, most: usize) -> Option<Vec<u8>> {
        let EntryKind::File { size, offset, .. } = entry.kind else {
            return None;
        };
        let file = File::open(self.tars.get(layer)?.as_ref()?).ok()?;
        let mut bytes = vec![0; most.min(usize::try_from(size).ok()?)];
        file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }
}

/// How long each line took when it was executed.
fn seconds(events: &[Event]) -> BTreeMap<u32, f64> {
    let mut lines: HashMap<usize, u32> = HashMap::new();
    let mut seconds = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Planned { steps } => {
                lines = steps.iter().map(|step| (step.step, step.line)).collect();
            }
            EventKind::Finished { step, took_us, .. } => {
                if let Some(line) = lines.get(step) {
                    let took = std::time::Duration::from_micros(*took_us);
                    seconds.insert(*line, took.as_secs_f64());
                }
            }
            _ => {}
        }
    }
    seconds
}

/// What is at the top of a folder, and its `.dockerignore` or the one of the Dockerfile.
fn context(folder: &Path, own: Option<&str>) -> Result<Context, Failure> {
    let failed = |error| Failure::new(Kind::Environment, format!("{}: {error}", folder.display()));
    let entries = read_dir(folder).map_err(failed)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ignored = match own {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(folder.join(".dockerignore")).unwrap_or_default(),
    };
    Ok(Context {
        names: names.collect(),
        ignored: ignored.lines().map(str::to_owned).collect(),
    })
}

/// The base that the first stage names, and all other images of the store from the same repository.
fn bases(scale: &Scale<'_>, made: &Made, order: &Order) -> Result<Vec<Base>, Failure> {
    let Some(used) = base(made, order) else {
        return Ok(Vec::new());
    };
    let mut bases = Vec::new();
    for image in scale.store.images().list()? {
        let same = image
            .references
            .iter()
            .filter(|name| name.name() == used.name());
        for name in same {
            let layers = scale.store.images().layer_sizes(&image.manifest)?;
            bases.push(Base {
                name: name.familiar(),
                bytes: layers.iter().map(|layer| layer.bytes).sum(),
                is_used: *name == used,
            });
        }
    }
    Ok(bases)
}

/// The image that the first of the stages names which make the image.
fn base(made: &Made, order: &Order) -> Option<Reference> {
    let dockerfile = kiln_parser::parse(&made.dockerfile.text).dockerfile;
    let target = target(&dockerfile, order.request.language.target.as_deref());
    let first = continued(&dockerfile, target).into_iter().next()?;
    let image = &dockerfile.stages.get(first)?.from.image.text;
    let named = Reference::parse(image).ok()?;
    Some(named.with_default_tag())
}
