//! From the results of steps to an image or an index in the store, with its memo. Unaware of names and outputs.

use super::{Job, Made};
use crate::exchange;
use crate::execute::{Executed, Results, memo};
use crate::failure::BuildError;
use crate::image::assemble::{Image, assemble, without_history};
use crate::image::squash::squash;
use crate::image::{index, origin, stages};
use crate::plan::output::Basis;
use crate::plan::platforms::Target;
use crate::request::{Squash, annotations};
use kiln_cache::MemoBundle;
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Digest, ImageConfig};

impl Job<'_> {
    /// Makes the image of what the steps gave.
    pub(super) fn make(self, executed: Executed) -> Result<Made, BuildError> {
        let Job { session, build, .. } = self;
        let now = executed.now.unwrap_or_else(|| session.host.seconds());
        let images = self.images(&executed.results, now)?;
        let turn = index::turn(session, build.goal.manifest.as_ref())?;
        let (manifest, config) = self.result(images)?;
        let rested_on = executed.results.values().map(|done| &done.stack.basis);
        let basis = rested_on.fold(Basis::default(), Basis::with);
        let bundle = MemoBundle {
            manifest,
            config,
            records: executed.records,
            created: now,
            caches: basis.caches,
            isolation: basis.isolation,
        };
        exchange::secure(&session.store, &session.remote, &manifest)?;
        if let Some(key) = memo::key(build, self.plan) {
            session.store.records().put_memo(&key, &bundle)?;
        }
        Ok(Made::new(bundle, turn))
    }

    /// The images of all targets, in the store: what points to each, and its ID.
    fn images(self, results: &Results, now: i64) -> Result<Vec<(Descriptor, Digest)>, BuildError> {
        let Job {
            session,
            build,
            plan,
            ..
        } = self;
        let kept = stages::keep(session, build, plan, results)?;
        let mut images = Vec::new();
        for target in &plan.targets {
            let image = assemble(&session.store, plan, target.stage, results, now)?;
            let image = kept.labelled(build, plan, target.stage, image)?;
            let image = self.formed(image, target)?;
            origin::remember(session, build, plan, target.stage, &image, results)?;
            images.push(self.put(image, target)?);
        }
        Ok(images)
    }

    /// The image in the form that is asked for.
    fn formed(self, mut image: Image, target: &Target) -> Result<Image, BuildError> {
        let form = &self.build.form;
        let base = self.plan.graph.stages[target.stage].base_image.as_ref();
        let of_base = || base.map_or(0, |base| base.rootfs.diff_ids.len());
        image = match form.squash {
            Squash::Nothing => image,
            Squash::Added => squash(&self.session.store, image, of_base())?,
            Squash::All => squash(&self.session.store, image, 0)?,
        };
        if form.omit_history {
            image = without_history(image)?;
        }
        image = origin::labelled(self.session, self.build, self.plan, target.stage, image)?;
        image.manifest = annotations::manifest(image.manifest, &form.annotations, &target.platform);
        Ok(image)
    }

    fn put(self, image: Image, target: &Target) -> Result<(Descriptor, Digest), BuildError> {
        let store = &self.session.store;
        let (_, config) = store.images().put(&image.manifest, &image.config)?;
        let platform = ImageConfig::parse(&image.config)
            .map_or_else(|_| target.platform.clone(), |config| config.platform());
        let mut described = Descriptor {
            platform: Some(platform),
            ..Descriptor::of(OCI_MANIFEST, &image.manifest)
        };
        annotations::descriptor(&mut described, &self.build.form.annotations);
        Ok((described, config))
    }

    /// The image, or an index of all; with it the image ID.
    fn result(self, images: Vec<(Descriptor, Digest)>) -> Result<(Digest, Digest), BuildError> {
        let (session, build) = (self.session, self.build);
        match &images[..] {
            [(manifest, config)] if !build.form.makes_index() => Ok((manifest.digest, *config)),
            _ => {
                let made = images.into_iter().map(|(manifest, _)| manifest).collect();
                let mut index = index::with(session, build.goal.manifest.as_ref(), made)?;
                annotations::index(&mut index, &build.form.annotations);
                let digest = session.store.indexes().put(&index.to_bytes())?;
                Ok((digest, digest))
            }
        }
    }
}
