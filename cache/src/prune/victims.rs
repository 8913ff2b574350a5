//! What may be removed, and what it costs to have it again. Removes nothing itself.

use super::order::{COMPRESS_MS, Candidate, FETCH_MS, Held, UNPACK_MS, sort};
use super::{Prune, Victim};
use crate::inventory::LayerRow;

/// More uses make no difference.
const MOST_USES: u32 = 8;

impl Prune<'_> {
    /// What may go, the first to go first.
    pub(super) fn victims(&self) -> Vec<Candidate> {
        let mut victims = self.layer_victims();
        if self.options.cache {
            victims.extend(self.view_victims());
            victims.extend(self.form_victims());
            victims.extend(self.context_victims());
            victims.extend(self.mount_victims());
        }
        victims.retain(|candidate| self.options.admits(&candidate.victim));
        sort(&mut victims);
        victims
    }

    fn held(&self, bytes: u64, used: i64) -> Held {
        let age = self.store.now() - used;
        Held { bytes, age }
    }

    fn layer_victims(&self) -> Vec<Candidate> {
        let mut victims = Vec::new();
        for (diff_id, row) in &self.rows.layers {
            if !self.kept.contains(diff_id) && self.options.is_old(row.used) {
                let files = self.layer_files(diff_id);
                let bytes = files.iter().map(|(_, _, size)| *size).sum();
                let (victim, held) = (Victim::Layer(*diff_id), self.held(bytes, row.used));
                victims.push(match row.cost_ms {
                    // no step of this store has made it
                    0 => Candidate::by_size(victim, FETCH_MS, held),
                    cost_ms => Candidate::new(victim, cost_ms as f64, held),
                });
            }
        }
        victims
    }

    fn view_victims(&self) -> Vec<Candidate> {
        let views = self.rows.views.iter();
        let free = views.filter(|((_, diff_id), row)| {
            !self.rows.pinned.contains(diff_id) && self.options.is_old(row.used)
        });
        let candidate = |((id_map, diff_id), row): (&(String, _), &crate::inventory::ViewRow)| {
            let victim = Victim::View(id_map.clone(), *diff_id);
            // a view that was used by several builds will be used by the next one: a flood of others does not take it away
            let uses = f64::from(row.uses.clamp(1, MOST_USES));
            Candidate::by_size(victim, UNPACK_MS * uses, self.held(row.size, row.used))
        };
        free.map(candidate).collect()
    }

    /// Compressed forms can be made again from their tars, even while an image needs those.
    fn form_victims(&self) -> Vec<Candidate> {
        let mut victims = Vec::new();
        let old = |row: &&LayerRow| self.options.is_old(row.used);
        for row in self.rows.layers.values().filter(old) {
            for digest in row.forms.iter().filter(|form| !self.kept.contains(form)) {
                if let Some(size) = self.files.blobs.get(digest) {
                    let held = self.held(*size, row.used);
                    victims.push(Candidate::by_size(Victim::Form(*digest), COMPRESS_MS, held));
                }
            }
        }
        victims
    }

    /// Stat indexes: without them a context is read once more.
    fn context_victims(&self) -> impl Iterator<Item = Candidate> {
        let contexts = self.files.contexts.iter();
        let old = contexts.filter(|(_, _, changed)| self.options.is_old(*changed));
        old.map(|(path, size, changed)| {
            let held = self.held(*size, *changed);
            Candidate::by_size(Victim::Context(path.clone()), FETCH_MS, held)
        })
    }

    fn mount_victims(&self) -> impl Iterator<Item = Candidate> {
        let mounts = self.mounts.iter();
        let old = mounts.filter(|mount| self.options.is_old(mount.used));
        old.map(|mount| {
            let held = self.held(mount.bytes, mount.used);
            Candidate::by_age(Victim::CacheMount(mount.path.clone()), held)
        })
    }
}
