//! The work behind a comparison: builds and reads all variants, then measures one build after the other. Unaware of forms and limits.

use super::variants::{Ordered, Wanted};
use super::{Arguments, baseline, touch};
use crate::building::{Builder, Made, Order};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::render::Progress;
use crate::weigh::Scale;
use kiln_oci::Digest;
use kiln_report::compare::page::Picture;
use kiln_report::compare::{Comparison, VERSION, Variant};
use kiln_report::compressed::Effort;

/// How often a build that changes nothing is measured; the shortest time counts.
const REPEATS: usize = 3;

/// What is used to compare.
pub struct Work<'a> {
    arguments: &'a Arguments,
    builder: &'a Builder,
    scale: Scale<'a>,
}

impl<'a> Work<'a> {
    /// For these arguments.
    pub fn new(arguments: &'a Arguments, globals: &'a Globals, builder: &'a Builder) -> Self {
        let effort = match arguments.exact {
            true => Effort::Exact,
            false => Effort::Estimate,
        };
        let scale = Scale {
            globals,
            store: builder.store(),
            effort,
        };
        Work {
            arguments,
            builder,
            scale,
        }
    }

    /// Compares, with what a page shows of each variant.
    ///
    /// # Errors
    /// A variant cannot be built or read.
    pub fn compare(&self, wanted: &[Wanted]) -> Result<(Comparison, Vec<Picture>), Failure> {
        let baseline = self.arguments.baseline.as_deref();
        let baseline = baseline.map(|name| baseline::read(name, &self.scale));
        let baseline = baseline.transpose()?;
        let read = wanted.iter().map(|wanted| self.read(wanted));
        let read = read.collect::<Result<Vec<_>, Failure>>()?;
        let (mut variants, pictures): (Vec<Variant>, Vec<Picture>) = read.into_iter().unzip();
        for (wanted, variant) in wanted.iter().zip(&mut variants) {
            let known = baseline.as_ref();
            variant.pulls.with_baseline = known.map(|known| variant.lacking(known.diff_ids()));
            if let (Wanted::Build(ordered), false) = (wanted, self.arguments.no_times) {
                self.measure(ordered, variant)?;
            }
        }
        let compared = Comparison {
            version: VERSION,
            variants,
            baseline,
        };
        Ok((compared, pictures))
    }

    /// Builds a variant, or finds it.
    fn read(&self, wanted: &Wanted) -> Result<(Variant, Picture), Failure> {
        match wanted {
            Wanted::Build(ordered) => {
                let Ordered { name, order } = ordered.as_ref();
                let progress = self.arguments.shown.progress();
                let made = self.builder.build(order, progress)?;
                let weighed = self.scale.built(&made, order)?;
                let picture = weighed.picture(Some(&made.dockerfile.text));
                Ok((weighed.variant(name), picture))
            }
            Wanted::Image(name) => {
                let weighed = self.scale.named(name)?;
                Ok((weighed.variant(name), weighed.picture(None)))
            }
        }
    }

    /// Measures the builds of a variant, whose image stays what it is.
    fn measure(&self, ordered: &Ordered, variant: &mut Variant) -> Result<(), Failure> {
        let kept = self.scale.images()?;
        let order = &ordered.order;
        let cold = self.quietly(&order.changed(|request| request.reuse.no_cache = true))?;
        let mut made = vec![cold.built.manifest];
        variant.times.cold = Some(cold.took.as_secs_f64());
        for _ in 0..REPEATS {
            let took = self.quietly(order)?.took.as_secs_f64();
            let shortest = variant
                .times
                .unchanged
                .map_or(took, |known| known.min(took));
            variant.times.unchanged = Some(shortest);
        }
        if self.arguments.touch.is_some() {
            made.extend(self.touch(order, variant)?);
        }
        self.scale.remove(&made, &kept)
    }

    /// Measures the rebuild after a file changed; the manifests of before and after.
    fn touch(&self, order: &Order, variant: &mut Variant) -> Result<[Digest; 2], Failure> {
        let file = self.arguments.touch.as_deref().unwrap_or("".as_ref());
        let touched = touch::measure(self.builder, order, &self.arguments.context, file)?;
        let variant_of = |manifest| Ok::<_, Failure>(self.scale.weighed(manifest)?.variant(""));
        let before = variant_of(&touched.before)?;
        let after = variant_of(&touched.after)?;
        variant.times.touched = Some(touched.took.as_secs_f64());
        variant.pulls.touched = Some(after.lacking(before.diff_ids()));
        Ok([touched.before, touched.after])
    }

    fn quietly(&self, order: &Order) -> Result<Made, Failure> {
        self.builder.build(order, Progress::Quiet)
    }
}
