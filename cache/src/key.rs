//! Keys: what an operation's result depends on, as one digest and as a list that explains it.
//!
//! The same calls hash and explain, so an explanation can never forget an input. Unaware of what the inputs mean.
//!
//! A key is `sha256(domain, KEY_VERSION, inputs in the order given)`, where the domain and each name are written with their
//! length (u64, little endian) before them and each input is its 32 bytes: no two lists have the same bytes.

use kiln_oci::{Digest, Hasher};

/// Part of every key. It goes up whenever kiln would make other bytes from the same inputs (the sandbox's environment, the
/// packing of layers …), so that results of older versions are not found again.
pub const KEY_VERSION: u64 = 5;

/// Collects the named inputs of one operation.
#[derive(Debug)]
pub struct KeyBuilder {
    hasher: Hasher,
    inputs: Vec<(String, Digest)>,
}

impl KeyBuilder {
    /// Starts a key of one kind of thing, such as `run` or `memo`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut hasher = Hasher::new();
        write_bytes(&mut hasher, domain.as_bytes());
        hasher.update(&KEY_VERSION.to_le_bytes());
        Self {
            hasher,
            inputs: Vec::new(),
        }
    }

    /// Adds an input that is a digest already. Order counts.
    #[must_use]
    pub fn input(mut self, name: &str, digest: Digest) -> Self {
        write_bytes(&mut self.hasher, name.as_bytes());
        self.hasher.update(digest.as_bytes());
        self.inputs.push((name.to_owned(), digest));
        self
    }

    /// Adds an input by its bytes: the input is their sha256.
    #[must_use]
    pub fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.input(name, Digest::of(bytes))
    }

    /// Adds an input of several parts: the sha256 of each part behind its length, so that no two lists are the same input.
    #[must_use]
    pub fn list(self, name: &str, parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut hasher = Hasher::new();
        for part in parts {
            write_bytes(&mut hasher, part.as_ref());
        }
        self.input(name, hasher.finish())
    }

    /// The key, and the inputs to be stored with the record.
    #[must_use]
    pub fn finish(self) -> (Digest, Vec<(String, Digest)>) {
        (self.hasher.finish(), self.inputs)
    }
}

fn write_bytes(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(&str, &[u8])]) -> Digest {
        parts
            .iter()
            .fold(KeyBuilder::new("test"), |key, (name, bytes)| {
                key.bytes(name, bytes)
            })
            .finish()
            .0
    }

    #[test]
    fn names_order_and_domain_count() {
        let base = key(&[("a", b"1"), ("b", b"2")]);
        assert_eq!(base, key(&[("a", b"1"), ("b", b"2")]));
        for other in [
            key(&[("b", b"2"), ("a", b"1")]),
            key(&[("a", b"1")]),
            key(&[("a", b"1"), ("c", b"2")]),
            key(&[("ab", b"1"), ("", b"2")]),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(
            KeyBuilder::new("x").finish().0,
            KeyBuilder::new("y").finish().0
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = |parts: &[&str]| KeyBuilder::new("test").list("a", parts).finish().0;
        assert_eq!(key(&["x", "y"]), key(&["x", "y"]));
        for other in [&["xy"][..], &["x", "y", ""], &["", "xy"], &["y", "x"]] {
            assert_ne!(key(&["x", "y"]), key(other));
        }
    }

    #[test]
    fn it_explains_what_it_hashed() {
        let (_, inputs) = KeyBuilder::new("run")
            .bytes("command", b"make")
            .input("below", Digest::of(b"tree"))
            .finish();
        assert_eq!(
            inputs,
            [
                ("command".to_owned(), Digest::of(b"make")),
                ("below".to_owned(), Digest::of(b"tree"))
            ]
        );
    }
}
