//! What may be removed, in which order: worth = rebuild time / (bytes × hours since use). A view costs about what unpacking
//! takes, so views go before layers of the same age. Removes nothing itself.

use super::{Prune, Victim};
use crate::inventory::{LayerRow, ViewRow};

/// Milliseconds that it takes to unpack a MiB: mostly making files.
const UNPACK_MS: f64 = 5.0;
/// Milliseconds of all cores that it takes to compress to a MiB.
const COMPRESS_MS: f64 = 15.0;
/// Milliseconds that it takes to get a MiB of a layer that kiln did not make.
const FETCH_MS: f64 = 20.0;
const MIB: f64 = 1_048_576.0;

impl Prune<'_> {
    /// What may go, the least worthy first. Equal ones in the order of their names.
    pub(super) fn victims(&self) -> Vec<(f64, Victim)> {
        let now = self.store.now();
        let mut victims = Vec::new();
        for (diff_id, row) in &self.rows.layers {
            if !self.kept.contains(diff_id) && self.options.is_old(row.used) {
                let files = self.layer_files(diff_id);
                let mib = files.iter().map(|(_, _, size)| *size as f64 / MIB).sum();
                let cost = f64::max(row.cost_ms as f64, mib * FETCH_MS);
                let worth = worth(cost, mib, now - row.used);
                victims.push((worth, Victim::Layer(*diff_id)));
            }
        }
        if self.options.cache {
            victims.extend(self.view_victims(now));
            victims.extend(self.form_victims(now));
            victims.extend(self.folder_victims(now));
        }
        victims.sort_by(|(a, one), (b, other)| a.total_cmp(b).then_with(|| one.cmp(other)));
        victims
    }

    fn view_victims(&self, now: i64) -> Vec<(f64, Victim)> {
        let is_free = |diff_id, row: &ViewRow| {
            !self.rows.pinned.contains(diff_id) && self.options.is_old(row.used)
        };
        let views = self.rows.views.iter();
        let free = views.filter(|((_, diff_id), row)| is_free(diff_id, row));
        free.map(|((id_map, diff_id), row)| {
            let mib = row.size as f64 / MIB;
            let worth = worth(mib * UNPACK_MS, mib, now - row.used);
            (worth, Victim::View(id_map.clone(), *diff_id))
        })
        .collect()
    }

    /// Indexes of contexts and cache mounts. What a mount's files cost is not known: as much as to fetch them.
    fn folder_victims(&self, now: i64) -> Vec<(f64, Victim)> {
        let contexts = self.files.contexts.iter();
        let contexts =
            contexts.map(|(path, size, changed)| (Victim::Context(path.clone()), *size, *changed));
        let mounts = self.mounts.iter();
        let mounts = mounts.map(|mount| {
            (
                Victim::CacheMount(mount.path.clone()),
                mount.bytes,
                mount.used,
            )
        });
        contexts
            .chain(mounts)
            .filter(|(_, _, used)| self.options.is_old(*used))
            .map(|(victim, size, used)| {
                let mib = size as f64 / MIB;
                (worth(mib * FETCH_MS, mib, now - used), victim)
            })
            .collect()
    }

    /// Compressed forms can be made again from their tars, even while an image needs those.
    fn form_victims(&self, now: i64) -> Vec<(f64, Victim)> {
        let mut victims = Vec::new();
        let old = |row: &&LayerRow| self.options.is_old(row.used);
        for row in self.rows.layers.values().filter(old) {
            for digest in row.forms.iter().filter(|form| !self.kept.contains(form)) {
                if let Some(size) = self.files.blobs.get(digest) {
                    let mib = *size as f64 / MIB;
                    let worth = worth(mib * COMPRESS_MS, mib, now - row.used);
                    victims.push((worth, Victim::Form(*digest)));
                }
            }
        }
        victims
    }
}

/// Milliseconds saved per MiB held, less the longer it was not used. A sixteenth of a MiB is what anything costs at least.
fn worth(cost_ms: f64, mib: f64, age_seconds: i64) -> f64 {
    let hours = age_seconds.max(0) as f64 / 3600.0;
    cost_ms / (mib + 1.0 / 16.0) / (hours + 1.0)
}
