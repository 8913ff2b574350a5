//! Builds tars and OCI layouts that no tool would write. Unaware of what is done with them.

use std::io::Write;

use kiln_oci::archive::{BlobSource, Format, SaveImage, save};
use kiln_oci::media_type::OCI_CONFIG;
use kiln_oci::tarfile::{HeaderFields, Kind, write_end, write_header, write_padding};
use kiln_oci::{Descriptor, Digest, ImageConfig, LayerCompression, Manifest, Platform, Reference};

/// A tar in the making.
#[derive(Clone, Debug, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let size = content.len() as u64;
        let fields = HeaderFields {
            size,
            ..HeaderFields::new(name.as_ref(), Kind::File)
        };
        write_header(&mut self.0, &fields).unwrap();
        self.raw(content)
    }

    /// Adds something without content.
    #[must_use]
    pub fn entry(mut self, name: impl AsRef<[u8]>, kind: Kind, link: &str) -> Self {
        let fields = HeaderFields {
            link: link.as_bytes(),
            ..HeaderFields::new(name.as_ref(), kind)
        };
        write_header(&mut self.0, &fields).unwrap();
        self
    }

    /// Adds blocks as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        write_padding(&mut self.0, bytes.len() as u64).unwrap();
        self
    }

    /// The tar.
    pub fn end(mut self) -> Vec<u8> {
        write_end(&mut self.0).unwrap();
        self.0
    }
}

/// An image of layers that need not be any good.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The config document.
    pub config: Vec<u8>,
    /// The manifest document.
    pub manifest: Vec<u8>,
    /// The layers' blobs.
    pub blobs: Vec<Vec<u8>>,
}

impl Layers {
    /// Of these tars, each compressed so.
    pub fn new(tars: &[Vec<u8>], compression: LayerCompression) -> Self {
        let mut config = ImageConfig::new(&Platform::host());
        config.rootfs.diff_ids = tars.iter().map(|tar| Digest::of(tar)).collect();
        let blobs: Vec<Vec<u8>> = tars
            .iter()
            .map(|tar| compressed(tar, compression))
            .collect();
        Self::of_blobs(&config, blobs, compression)
    }

    /// Of these blobs, whatever the config says.
    pub fn of_blobs(
        config: &ImageConfig,
        blobs: Vec<Vec<u8>>,
        compression: LayerCompression,
    ) -> Self {
        let config = config.to_bytes();
        let media_type = compression.algorithm().oci_layer();
        let layers = blobs.iter().map(|blob| Descriptor::of(media_type, blob));
        let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), layers.collect());
        Layers {
            config,
            manifest: manifest.to_bytes(),
            blobs,
        }
    }

    /// As an archive, named `evil`.
    pub fn archive(&self) -> Vec<u8> {
        let image = SaveImage {
            references: vec![Reference::parse("evil").unwrap()],
            manifest: self.manifest.clone(),
            config: self.config.clone(),
        };
        let mut out = Vec::new();
        save(&mut out, &[image], self, Format::Hybrid, &|_| ()).unwrap();
        out
    }
}

impl BlobSource for Layers {
    fn open(&self, digest: &Digest) -> std::io::Result<(u64, Box<dyn std::io::Read + '_>)> {
        let blob = self.blobs.iter().find(|blob| Digest::of(blob) == *digest);
        let blob = blob.ok_or(std::io::ErrorKind::NotFound)?;
        Ok((blob.len() as u64, Box::new(&blob[..])))
    }
}

/// Compresses.
pub fn compressed(bytes: &[u8], compression: LayerCompression) -> Vec<u8> {
    let mut encoder = compression.encoder(Vec::new(), 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
