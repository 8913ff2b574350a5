//! Shared caches that somebody wrote who means no good: read as kiln wrote them, changed, and written again with digests that fit.
//! Unaware of what is built with them.

use std::fs;
use std::path::Path;

use kiln_oci::compression::auto;
use kiln_oci::{Descriptor, Digest, LayerCompression, Manifest};
use serde_json::{Value, json};

use super::registry::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A cache and its blobs.
#[derive(Debug)]
pub struct Poison {
    manifest: Manifest,
    /// The records, as in `kiln_cache::shared`.
    pub document: Value,
    blobs: Vec<Vec<u8>>,
}

impl Poison {
    /// The cache in a folder.
    pub fn read(folder: &Path) -> Self {
        let blob = |digest: &str| {
            let hex = digest.trim_start_matches("sha256:");
            fs::read(folder.join("blobs/sha256").join(hex)).unwrap()
        };
        let index = fs::read(folder.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        let manifest = Manifest::parse(&blob(digest)).unwrap();
        let packed = blob(&manifest.layers[0].digest.to_string());
        let (_, records) = auto(&packed[..]).unwrap();
        let others = manifest.layers[1..].iter().chain([&manifest.config]);
        Self {
            document: serde_json::from_reader(records).unwrap(),
            blobs: others
                .map(|other| blob(&other.digest.to_string()))
                .collect(),
            manifest,
        }
    }

    /// The record of the step whose title begins so.
    pub fn record(&mut self, title: &str) -> &mut Value {
        let records = self.document["records"].as_array_mut().unwrap();
        let mut records = records.iter_mut();
        let is_it = |record: &&mut Value| record["title"].as_str().unwrap().starts_with(title);
        records.find(is_it).unwrap()
    }

    /// Adds a layer, and describes it; its diff ID.
    pub fn layer(&mut self, tar: &[u8]) -> Digest {
        let digest = Digest::of(tar);
        let described = json!({
            "diff_id": digest, "tar_size": tar.len(), "blob": digest, "size": tar.len(), "compression": "none",
        });
        self.document["layers"]
            .as_array_mut()
            .unwrap()
            .push(described);
        let descriptor = Descriptor::of("application/vnd.oci.image.layer.v1.tar", tar);
        self.manifest.layers.push(descriptor);
        self.blobs.push(tar.to_vec());
        digest
    }

    /// Without whole outcomes: builds look at the records.
    pub fn forget_outcomes(&mut self) {
        self.document["memos"] = json!([]);
    }

    /// Changes the config of the whole outcome's image, and all digests that follow from it.
    pub fn change_config(&mut self, change: impl FnOnce(&mut Value)) {
        let memo = &mut self.document["memos"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (manifest, config) = (text(&memo["images"][0][0]), text(&memo["images"][0][1]));
        let mut config: Value = serde_json::from_str(&config).unwrap();
        change(&mut config);
        let config = config.to_string();
        let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
        manifest["config"]["digest"] = json!(Digest::of(config.as_bytes()));
        manifest["config"]["size"] = json!(config.len());
        let manifest = manifest.to_string();
        memo["bundle"]["manifest"] = json!(Digest::of(manifest.as_bytes()));
        memo["bundle"]["config"] = json!(Digest::of(config.as_bytes()));
        memo["images"][0] = json!([manifest, config]);
    }

    /// Manifest and all blobs.
    fn finish(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut encoder = LayerCompression::zstd().encoder(Vec::new(), 1).unwrap();
        serde_json::to_writer(&mut encoder, &self.document).unwrap();
        let records = encoder.finish().unwrap();
        let mut manifest = self.manifest.clone();
        manifest.layers[0] = Descriptor::of(manifest.layers[0].media_type.clone(), &records);
        let mut blobs = self.blobs.clone();
        blobs.push(records);
        (manifest.to_bytes(), blobs)
    }

    /// Writes it over the cache in the folder.
    pub fn write(&self, folder: &Path) {
        let (manifest, mut blobs) = self.finish();
        let path = folder.join("index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        index["manifests"][0]["digest"] = json!(Digest::of(&manifest));
        index["manifests"][0]["size"] = json!(manifest.len());
        fs::write(path, index.to_string()).unwrap();
        blobs.push(manifest);
        for blob in blobs {
            let path = folder.join("blobs/sha256").join(Digest::of(&blob).hex());
            fs::write(path, blob).unwrap();
        }
    }

    /// Puts it into a registry, as `cache:main`.
    pub fn push(&self, registry: &Registry) {
        let (manifest, blobs) = self.finish();
        for blob in blobs {
            registry.put_blob(&blob);
        }
        registry.put_manifest("cache:main", MANIFEST, &manifest);
    }
}
