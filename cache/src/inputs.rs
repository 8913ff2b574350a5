//! What steps were made of: under the key of a result, what of its inputs a person understands. Unaware of how two of them are compared, and of
//! what in them is secret: who keeps one has taken that out.
//!
//! A row of the table `inputs` is a [`StepInputs`] as JSON in one zstd frame. It outlives the result, so that a build can tell what has changed
//! since, and is written when a step is resolved whose key has none. The newest [`MOST`] stay, of those above [`LARGE`] the newest [`MOST_LARGE`].
//! Where one has more than [`MOST_BYTES`], the files are left out, and a difference in them is told without names. They go with the history.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use kiln_oci::Digest;
use kiln_oci::compression::{Encoding, Limited, decoder};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Inputs, StoreError};

/// How many are kept.
pub const MOST: i64 = 1000;
/// Bytes of one that is large, compressed.
pub const LARGE: usize = 64 << 10;
/// How many large ones are kept.
pub const MOST_LARGE: i64 = 32;
/// Bytes of one, compressed: enough for 200,000 files.
pub const MOST_BYTES: usize = 2 << 20;
/// Bytes of one as it is read.
const MOST_READ: u64 = 64 << 20;
/// Speed counts for more than size.
const LEVEL: i32 = 1;

/// The files that a step reads, one in a line: mode in octal, owner, a part of a digest of the rest, and the path: `644 0:0 0123456789ab src/main.c`.
/// One text takes a tenth of the time that a map would take. A line feed in a path is kept as NUL, which no path has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileTable(String);

/// Mode, user and group.
pub type Attributes = (u32, u32, u32);

impl FileTable {
    /// Of files with mode and owner, and a digest of the rest. Of that it keeps 48 bits: in a difference of 200,000 files one is missed once in
    /// a billion times.
    pub fn of<'f>(files: impl Iterator<Item = (Cow<'f, str>, Attributes, [u8; 32])>) -> Self {
        let (mut text, mut last, mut begin) = (String::new(), None, String::new());
        for (path, attributes, digest) in files {
            if last.replace(attributes) != Some(attributes) {
                let (mode, uid, gid) = attributes;
                begin = format!("{mode:o} {uid}:{gid} ");
            }
            text.push_str(&begin);
            let digits = digest[..6].iter().flat_map(|byte| [byte >> 4, byte & 15]);
            text.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
            text.push(' ');
            match path.contains('\n') {
                true => text.push_str(&path.replace('\n', "\0")),
                false => text.push_str(&path),
            }
            text.push('\n');
        }
        FileTable(text)
    }

    /// Its lines, in the order in which they were added.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        // a path may end with a carriage return, which `str::lines` takes for a part of the line's end
        self.0.split_terminator('\n')
    }

    /// The path in a line, and what is before it.
    #[must_use]
    pub fn file(line: &str) -> Option<(String, [&str; 3])> {
        let mut fields = line.splitn(4, ' ');
        let known = [fields.next()?, fields.next()?, fields.next()?];
        Some((fields.next()?.replace('\0', "\n"), known))
    }
}

/// What decided about the result of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepInputs {
    /// Names and digests as they went into the key, in order.
    pub inputs: Vec<(String, Digest)>,
    /// The operation behind the input `instruction`, as an object; secret values are digests. Null where it is not known.
    #[serde(default)]
    pub operation: Value,
    /// What it reads, in the order of its operation's inputs.
    #[serde(default)]
    pub reads: Vec<ReadInput>,
    /// The files behind inputs that are no steps.
    #[serde(default)]
    pub files: BTreeMap<String, FileTable>,
    /// What other inputs are, where that is short.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// One thing that a step reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadInput {
    /// The input of the key that it counts in; none where it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What it is.
    pub origin: ReadOrigin,
}

/// Where a step reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOrigin {
    /// What another step has made.
    Step,
    /// An image, by its name and ID.
    Image(String, Option<Digest>),
    /// A context; the main one has no name.
    Context(Option<String>),
    /// Nothing: the empty file system.
    Scratch,
}

impl Inputs<'_> {
    /// Whether there are any of this key.
    ///
    /// # Errors
    /// The database fails.
    pub fn has(&self, key: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM inputs WHERE key = ?1";
        let found = self.store.db().row(query, [key.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Those of this key; else what the record of its result knows, which has no more than names and digests.
    ///
    /// # Errors
    /// The database fails.
    pub fn get(&self, key: &Digest) -> Result<Option<StepInputs>, StoreError> {
        let query = "SELECT document FROM inputs WHERE key = ?1";
        let read = |row: &Row<'_>| row.get::<_, Vec<u8>>(0);
        let document = self.store.db().row(query, [key.as_bytes()], read)?;
        if let Some(known) = document.and_then(|bytes| unpacked(&bytes)) {
            return Ok(Some(known));
        }
        let query = "SELECT inputs FROM records WHERE key = ?1";
        let read = |row: &Row<'_>| row.get::<_, String>(0);
        let text = self.store.db().row(query, [key.as_bytes()], read)?;
        let inputs = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(inputs.map(|inputs| StepInputs {
            inputs,
            ..StepInputs::default()
        }))
    }

    /// Keeps those of a key, unless there are some.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(&self, key: &Digest, inputs: &StepInputs) -> Result<(), StoreError> {
        self.store.writable()?;
        let Some(document) = fitting(inputs) else {
            return Ok(());
        };
        let insert = "INSERT OR IGNORE INTO inputs (key, document) VALUES (?1, ?2)";
        let delete = "DELETE FROM inputs WHERE number <= (SELECT max(number) FROM inputs) - ?1";
        self.store.db().write_lightly(|transaction| {
            let mut insert = transaction.prepare_cached(insert)?;
            insert.execute((key.as_bytes(), &document))?;
            transaction.prepare_cached(delete)?.execute([MOST])?;
            match document.len() > LARGE {
                true => transaction.execute(FORGET_LARGE, [LARGE as i64, MOST_LARGE]),
                false => Ok(0),
            }
            .map(drop)
        })
    }
}

/// Forgets all but so many of those above so many bytes.
const FORGET_LARGE: &str = "DELETE FROM inputs WHERE number IN (SELECT number FROM inputs WHERE length(document) > ?1 \
                            ORDER BY number DESC LIMIT -1 OFFSET ?2)";

/// One as a document, without its files where it is too large with them.
fn fitting(inputs: &StepInputs) -> Option<Vec<u8>> {
    let fits = |document: &Vec<u8>| document.len() <= MOST_BYTES;
    Some(packed(inputs)).filter(fits).or_else(|| {
        let files = BTreeMap::new();
        let inputs = inputs.clone();
        Some(packed(&StepInputs { files, ..inputs })).filter(fits)
    })
}

/// Plain data of our own: serialising it cannot fail, nor can compressing it in memory. If they ever did, nothing would be known.
fn packed(inputs: &StepInputs) -> Vec<u8> {
    let json = serde_json::to_vec(inputs).unwrap_or_default();
    zstd::encode_all(&json[..], LEVEL).unwrap_or_default()
}

/// What another version wrote in its own way is not known.
fn unpacked(bytes: &[u8]) -> Option<StepInputs> {
    let mut json = Vec::new();
    let decoded = decoder(bytes, Encoding::Zstd).ok()?;
    Limited::new(decoded, MOST_READ)
        .read_to_end(&mut json)
        .ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(files: usize) -> StepInputs {
        let file = |number: usize| {
            let digest = *Digest::of(&number.to_le_bytes()).as_bytes();
            (format!("file {number}").into(), (0o644, 0, 0), digest)
        };
        let table = FileTable::of((0..files).map(file));
        StepInputs {
            inputs: vec![("instruction".to_owned(), Digest::of(b"run"))],
            operation: serde_json::json!({"op": "run", "env": ["A=b"]}),
            reads: vec![ReadInput {
                input: Some("files below".to_owned()),
                origin: ReadOrigin::Context(None),
            }],
            files: [(".".to_owned(), table)].into(),
            values: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_kept_is_found_by_its_key_and_the_first_stays() {
        let (_folder, store) = crate::tests::store();
        let key = Digest::of(b"key");
        assert!(!store.inputs().has(&key).unwrap());
        assert_eq!(store.inputs().get(&key).unwrap(), None);
        store.inputs().put(&key, &inputs(3)).unwrap();
        store.inputs().put(&key, &inputs(4)).unwrap();
        assert!(store.inputs().has(&key).unwrap());
        assert_eq!(store.inputs().get(&key).unwrap(), Some(inputs(3)));
    }

    #[test]
    fn lines_keep_any_path() {
        let paths = ["", "a b", "two\nlines", " ", "end\r"];
        let file = |path: &'static str| (path.into(), (0o100_755, 1, 2), [0x0f; 32]);
        let table = FileTable::of(paths.into_iter().map(file));
        let files: Vec<_> = table.lines().filter_map(FileTable::file).collect();
        let known = ["100755", "1:2", "0f0f0f0f0f0f"];
        assert_eq!(files, paths.map(|path| (path.to_owned(), known)));
    }

    #[test]
    fn it_is_bounded_in_size_and_in_number() {
        let (_folder, store) = crate::tests::store();
        let key = |number: i64| Digest::of(&number.to_le_bytes());
        store.inputs().put(&key(0), &inputs(300_000)).unwrap();
        let kept = store.inputs().get(&key(0)).unwrap().unwrap();
        assert_eq!((kept.inputs.len(), kept.files.len()), (1, 0));
        store.inputs().put(&key(-1), &inputs(100_000)).unwrap();
        assert_eq!(store.inputs().get(&key(-1)).unwrap(), Some(inputs(100_000)));
        (2..=MOST_LARGE).for_each(|large| store.inputs().put(&key(-large), &inputs(9000)).unwrap());
        assert!(store.inputs().has(&key(-1)).unwrap());
        store.inputs().put(&key(-40), &inputs(9000)).unwrap();
        assert!(!store.inputs().has(&key(-1)).unwrap());
        assert!(store.inputs().has(&key(0)).unwrap());
        for number in 1..=MOST {
            store.inputs().put(&key(number), &inputs(0)).unwrap();
        }
        assert!(!store.inputs().has(&key(0)).unwrap());
        assert!(store.inputs().has(&key(1)).unwrap());
    }
}
