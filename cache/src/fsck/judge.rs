//! The second look: inside the transaction, is a suspect still wrong? If so, it is reported, unless it was never made durable; and
//! mended, if that was asked for.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_oci::{Digest, locked};
use rusqlite::{Params, Transaction};

use crate::fsck::suspect::{Snapshot, Suspect};
use crate::layer::upper::UpperDir;
use crate::{LayerIndex, Store, StoreError};

/// Something wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A blob's bytes do not have the digest that it is named by.
    CorruptBlob(Digest),
    /// A blob that was durable is not there.
    MissingBlob(Digest),
    /// The index of a layer is not what its tar says.
    BadIndex(Digest),
    /// A view, of an id map, lacks something of its layer or shows something else.
    BadView(String, Digest),
    /// Something that is no regular file has the name of one, or no directory that of a directory.
    WrongType(PathBuf),
    /// A file of the store that nothing knows.
    Unknown(PathBuf),
    /// An image, with its names, lacks its config or a layer that cannot be fetched, or the store the bytes of an index.
    BrokenImage(Digest, Vec<String>),
    /// A tag points to no image.
    DanglingTag(String),
}

pub(super) struct Judge<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    /// Blobs that are there with other bytes.
    corrupt: BTreeSet<Digest>,
    /// Where to mend, if so.
    transaction: Option<&'a Transaction<'a>>,
}

impl<'a> Judge<'a> {
    /// `snapshot` is what the transaction sees.
    pub(super) fn new(store: &'a Store, snapshot: Snapshot) -> Self {
        Self {
            store,
            snapshot,
            corrupt: BTreeSet::new(),
            transaction: None,
        }
    }

    pub(super) fn mend_in(&mut self, transaction: &'a Transaction<'a>) {
        self.transaction = Some(transaction);
    }

    /// Which suspects are to be reported; what is wrong is mended, reported or not.
    pub(super) fn findings(&mut self, suspects: &[Suspect]) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for suspect in suspects {
            findings.extend(self.judge(suspect)?);
        }
        self.sweep()?;
        Ok(findings)
    }

    fn judge(&mut self, suspect: &Suspect) -> Result<Option<Finding>, StoreError> {
        match suspect {
            Suspect::Unknown(path) => {
                let is_there = path.symlink_metadata().is_ok();
                self.stray(is_there, path, Finding::Unknown)
            }
            Suspect::WrongType(path) => {
                let is_wrong = path.symlink_metadata().is_ok_and(|stat| !stat.is_file());
                self.stray(is_wrong, path, Finding::WrongType)
            }
            Suspect::Blob(digest, read) => self.blob(digest, read),
            Suspect::Lost(digest) => self.lost(digest),
            Suspect::Index(expected) => self.index(expected),
            Suspect::View(key, seen) => self.view(key, seen),
            Suspect::Image(named) => self.image(named),
            Suspect::Tag(name) => self.tag(name),
        }
    }

    fn stray(
        &self,
        is_wrong: bool,
        path: &Path,
        finding: impl Fn(PathBuf) -> Finding,
    ) -> Result<Option<Finding>, StoreError> {
        if !is_wrong {
            return Ok(None);
        }
        self.discard(path)?;
        Ok(Some(finding(path.to_owned())))
    }

    fn blob(&mut self, digest: &Digest, read: &File) -> Result<Option<Finding>, StoreError> {
        let path = self.store.blobs().path(digest);
        let Some(stat) = is_still(read, &path) else {
            return Ok(None);
        };
        self.corrupt.insert(*digest);
        // what was not durable is torn, not damaged, when the power went or a part of it is missing
        let is_reported = self
            .snapshot
            .blobs
            .get(digest)
            .is_some_and(|row| row.synced || (row.is_of_this_boot && row.size == stat.len()));
        self.discard(&path)?;
        self.forget(digest)?;
        Ok(is_reported.then_some(Finding::CorruptBlob(*digest)))
    }

    fn lost(&self, digest: &Digest) -> Result<Option<Finding>, StoreError> {
        let is_known = self.snapshot.blobs.contains_key(digest);
        if !is_known || self.has(digest) {
            return Ok(None);
        }
        self.forget(digest)?;
        Ok(Some(Finding::MissingBlob(*digest)))
    }

    fn index(&self, expected: &LayerIndex) -> Result<Option<Finding>, StoreError> {
        let found = self.store.layers().read_index(&expected.diff_id);
        let is_known = self.snapshot.rows.layers.contains_key(&expected.diff_id);
        if found.as_ref() == Some(expected) || !is_known || !self.has(&expected.diff_id) {
            return Ok(None);
        }
        if self.transaction.is_some() {
            self.store.layers().write_index(expected)?;
        }
        // one that is missing or torn is made when something reads it
        Ok(found.map(|_| Finding::BadIndex(expected.diff_id)))
    }

    fn view(&self, key: &(String, Digest), seen: &UpperDir) -> Result<Option<Finding>, StoreError> {
        let path = self
            .store
            .root()
            .join("views")
            .join(&key.0)
            .join(key.1.hex());
        let is_same = path.symlink_metadata().is_ok_and(|stat| seen.is_at(&stat));
        if !is_same || !self.snapshot.rows.views.contains_key(key) {
            return Ok(None);
        }
        let delete = "DELETE FROM views WHERE id_map = ?1 AND diff_id = ?2";
        self.execute(delete, (&key.0, key.1.as_bytes()))?;
        self.discard(&path)?;
        Ok(Some(Finding::BadView(key.0.clone(), key.1)))
    }

    fn image(&self, named: &Digest) -> Result<Option<Finding>, StoreError> {
        let snapshot = &self.snapshot;
        if !snapshot.is_broken(named, |digest| self.has(digest)) {
            return Ok(None);
        }
        let tags = snapshot.tags.iter().filter(|(_, other)| other == named);
        let names: Vec<String> = tags.map(|(name, _)| name.clone()).collect();
        let was_durable = |digest: &Digest| {
            !self.has(digest) && snapshot.blobs.get(digest).is_some_and(|row| row.synced)
        };
        let is_held = snapshot
            .rows
            .images
            .get(named)
            .is_some_and(|image| image.is_tagged);
        let is_reported =
            is_held || !names.is_empty() || snapshot.blobs_of(named).iter().any(was_durable);
        if let Some(transaction) = self.transaction {
            let deleted = crate::image::delete(transaction, named);
            deleted.map_err(|source| self.store.db().failed(source))?;
        }
        Ok(is_reported.then_some(Finding::BrokenImage(*named, names)))
    }

    fn tag(&self, name: &String) -> Result<Option<Finding>, StoreError> {
        if !self.snapshot.dangling_tags().any(|other| other == name) {
            return Ok(None);
        }
        self.execute("DELETE FROM tags WHERE reference = ?1", [name])?;
        Ok(Some(Finding::DanglingTag(name.clone())))
    }

    /// Removes rows of layers that are not there, and results that need them: they are misses anyway.
    fn sweep(&self) -> Result<(), StoreError> {
        if self.transaction.is_none() {
            return Ok(());
        }
        for diff_id in self.snapshot.rows.layers.keys() {
            if !self.has(diff_id) {
                self.forget(diff_id)?;
            }
        }
        let records = "DELETE FROM records WHERE diff_id IS NOT NULL AND diff_id NOT IN (SELECT diff_id FROM layers UNION \
                       SELECT diff_id FROM offered UNION SELECT digest FROM origins)";
        self.execute(records, [])
    }

    fn has(&self, digest: &Digest) -> bool {
        let path = self.store.blobs().path(digest);
        !self.corrupt.contains(digest) && path.symlink_metadata().is_ok_and(|stat| stat.is_file())
    }

    /// Deletes the rows of a blob.
    fn forget(&self, digest: &Digest) -> Result<(), StoreError> {
        locked(&self.store.inner.trusted).remove(digest);
        self.execute("DELETE FROM blobs WHERE digest = ?1", [digest.as_bytes()])?;
        self.execute("DELETE FROM layers WHERE diff_id = ?1", [digest.as_bytes()])
    }

    fn discard(&self, path: &Path) -> Result<(), StoreError> {
        match self.transaction {
            Some(_) => self.store.trash().put(path),
            None => Ok(()),
        }
    }

    /// Does nothing unless it mends.
    fn execute(&self, statement: &str, parameters: impl Params) -> Result<(), StoreError> {
        let Some(transaction) = self.transaction else {
            return Ok(());
        };
        let executed = transaction.execute(statement, parameters);
        executed
            .map(drop)
            .map_err(|source| self.store.db().failed(source))
    }
}

/// The state of the file that was read, if it still has its name and is as it was.
fn is_still(read: &File, path: &Path) -> Option<Metadata> {
    let identity = |stat: &Metadata| {
        let changed = (stat.ctime(), stat.ctime_nsec());
        (stat.dev(), stat.ino(), stat.len(), changed)
    };
    let (read, named) = (read.metadata().ok()?, path.symlink_metadata().ok()?);
    (identity(&read) == identity(&named)).then_some(named)
}
