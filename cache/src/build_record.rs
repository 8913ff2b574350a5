//! Build records: which instruction of which Dockerfile each entry of an image's history comes from. Unaware of how images are built.
//!
//! A record is a row of the table `builds`, one for each image ID, since the history is in the config; it stays as long as an image of
//! this ID, and is lost without harm. Images that travel carry it in the label [`BuildRecord::LABEL`], if that is asked for. Both are
//! the same JSON:
//!
//! ```text
//! {"steps":[{"at":3,"file":"Dockerfile","stage":"app","line":7,"text":"RUN make","key":"sha256:…"},…]}
//! ```
//!
//! `at` is the position in the config's `history`, from 0; the steps are in this order, and entries that nothing is known of have none.
//! What a step is looked up by is its `key`, under which the record of its result has the inputs ([`crate::Record::inputs`]). What is
//! new is a new field, of a step or of the record, that may be absent: readers ignore fields that they do not know.

use kiln_oci::{Digest, ImageConfig};
use serde::{Deserialize, Serialize};

use crate::{Builds, StoreError};

/// What is remembered of how an image was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Its steps, those of a base that was built here too; by `at`.
    pub steps: Vec<BuiltStep>,
}

/// An instruction that made an entry of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltStep {
    /// Position in the history, from 0.
    pub at: usize,
    /// The Dockerfile: its path below the build context, else as it was named.
    pub file: String,
    /// Name of the stage, else its number.
    pub stage: String,
    /// 1-based line of the instruction; of `FROM`, for a trigger of the base.
    pub line: u32,
    /// The instruction as it is written, continuations joined, without heredocs.
    pub text: String,
    /// Key of the result in the store that built it; none of metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
}

impl BuildRecord {
    /// The label of images that carry their record.
    pub const LABEL: &'static str = "kiln.origin";

    /// What an image says of itself. One that cannot be read says nothing.
    #[must_use]
    pub fn of_label(config: &ImageConfig) -> Option<Self> {
        let label = config.config.labels.get(Self::LABEL)?;
        let mut record: Self = serde_json::from_str(label).ok()?;
        record.steps.sort_by_key(|step| step.at);
        Some(record)
    }

    /// The value of the label; without keys, which mean nothing elsewhere.
    #[must_use]
    pub fn to_label(mut self) -> String {
        self.steps.iter_mut().for_each(|step| step.key = None);
        self.to_json()
    }

    /// The step that made the history's entry at this position.
    #[must_use]
    pub fn step(&self, at: usize) -> Option<&BuiltStep> {
        let found = self.steps.binary_search_by_key(&at, |step| step.at).ok()?;
        self.steps.get(found)
    }

    /// Plain data of our own: serialising it cannot fail.
    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Builds<'_> {
    /// What is known of the image with this ID. A record of another version counts as unknown.
    ///
    /// # Errors
    /// The database fails.
    pub fn get(&self, image: &Digest) -> Result<Option<BuildRecord>, StoreError> {
        let text = self.document(image)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers how an image was built; what is known already is not written again. The write may be lost with the power.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(&self, image: &Digest, record: &BuildRecord) -> Result<(), StoreError> {
        let text = record.to_json();
        if self.document(image)?.is_some_and(|known| known == text) {
            return Ok(());
        }
        self.store.writable()?;
        let replace = "INSERT OR REPLACE INTO builds (config, document) VALUES (?1, ?2)";
        self.store.db().execute(replace, (image.as_bytes(), text))
    }

    fn document(&self, image: &Digest) -> Result<Option<String>, StoreError> {
        let query = "SELECT document FROM builds WHERE config = ?1";
        let row = [image.as_bytes()];
        self.store.db().row(query, row, |row| row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> BuildRecord {
        let step = BuiltStep {
            at: 2,
            file: "Dockerfile".to_owned(),
            stage: "app".to_owned(),
            line: 7,
            text: "RUN make".to_owned(),
            key: Some(Digest::of(b"key")),
        };
        BuildRecord { steps: vec![step] }
    }

    #[test]
    fn a_record_is_found_by_the_id_of_its_image() {
        let (_folder, store) = crate::tests::store();
        let image = Digest::of(b"image");
        assert_eq!(store.builds().get(&image).unwrap(), None);
        store.builds().put(&image, &record()).unwrap();
        store.builds().put(&image, &record()).unwrap();
        let found = store.builds().get(&image).unwrap().unwrap();
        assert_eq!(found, record());
        assert_eq!((found.step(2), found.step(1)), (found.steps.first(), None));
    }

    #[test]
    fn a_label_says_the_same_without_keys_and_what_is_new_is_ignored() {
        let mut config = ImageConfig::default();
        assert_eq!(BuildRecord::of_label(&config), None);
        let label = record().to_label();
        assert!(!label.contains("sha256"), "{label}");
        let newer = label.replace("\"line\"", "\"time\":5,\"line\"");
        config
            .config
            .labels
            .insert(BuildRecord::LABEL.to_owned(), newer);
        let told = BuildRecord::of_label(&config).unwrap();
        assert_eq!(told.steps[0].text, "RUN make");
        let damaged = "{\"steps\":5}".to_owned();
        config
            .config
            .labels
            .insert(BuildRecord::LABEL.to_owned(), damaged);
        assert_eq!(BuildRecord::of_label(&config), None);
    }
}
