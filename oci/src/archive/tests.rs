//! Archives: what is written, what other tools wrote over the years, and what attackers would.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::*;
use crate::compression::Encoder;
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::media_type::{Compression, OCI_CONFIG};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::tarfile::{HeaderFields, Kind, write_end, write_header, write_padding};

mod eras;
mod hostile;
mod received;
mod round_trip;

/// Builds tars entry by entry.
#[derive(Default)]
struct Tar(Vec<u8>);

const ENTRY: HeaderFields<'static> = HeaderFields::new(b"a", Kind::File);

impl Tar {
    fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let (path, content) = (name.as_bytes(), content.as_ref());
        let size = content.len() as u64;
        write_header(
            &mut self.0,
            &HeaderFields {
                path,
                size,
                ..ENTRY
            },
        )
        .unwrap();
        self.0.extend(content);
        write_padding(&mut self.0, size).unwrap();
        self
    }

    fn entry(mut self, name: &[u8], kind: Kind, link: &str) -> Self {
        let link = link.as_bytes();
        write_header(
            &mut self.0,
            &HeaderFields {
                path: name,
                kind,
                link,
                ..ENTRY
            },
        )
        .unwrap();
        self
    }

    fn blob(self, content: &[u8]) -> Self {
        self.file(&blob_path(&Digest::of(content)), content)
    }

    fn image(self, image: &Image) -> Self {
        let with_documents = self.blob(&image.manifest).blob(&image.config);
        image
            .blobs
            .iter()
            .fold(with_documents, |tar, blob| tar.blob(blob))
    }

    fn end(mut self) -> Vec<u8> {
        write_end(&mut self.0).unwrap();
        self.0
    }
}

/// An image made of layers, each a small tar with one file.
struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    tars: Vec<Vec<u8>>,
    blobs: Vec<Vec<u8>>,
}

fn layer(content: &str) -> Vec<u8> {
    Tar::default().file("file", content).end()
}

fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = match compression {
        Compression::None => Encoder::plain(Vec::new()),
        Compression::Gzip => Encoder::gzip(Vec::new(), 6),
        Compression::Zstd => Encoder::zstd(Vec::new(), 3, 1).unwrap(),
    };
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Image {
    fn new(layers: &[(&str, Compression)]) -> Self {
        Self::for_platform(layers, "linux/amd64")
    }

    fn for_platform(layers: &[(&str, Compression)], platform: &str) -> Self {
        let tars: Vec<_> = layers.iter().map(|(content, _)| layer(content)).collect();
        let blobs: Vec<_> = tars
            .iter()
            .zip(layers)
            .map(|(tar, (_, c))| compress(tar, *c))
            .collect();
        let mut config = ImageConfig::new(&Platform::parse(platform).unwrap());
        config.rootfs.diff_ids = tars.iter().map(|tar| Digest::of(tar)).collect();
        let config = config.to_bytes();
        let descriptors = blobs
            .iter()
            .zip(layers)
            .map(|(blob, (_, c))| Descriptor::of(c.oci_layer(), blob));
        let manifest =
            Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), descriptors.collect());
        Self {
            manifest: manifest.to_bytes(),
            config,
            tars,
            blobs,
        }
    }

    fn plain(layers: &[&str]) -> Self {
        Self::new(
            &layers
                .iter()
                .map(|content| (*content, Compression::None))
                .collect::<Vec<_>>(),
        )
    }

    fn to_save(&self, references: &[&str]) -> SaveImage {
        let references = references
            .iter()
            .map(|text| Reference::parse(text).unwrap())
            .collect();
        SaveImage {
            references,
            manifest: self.manifest.clone(),
            config: self.config.clone(),
        }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::of(crate::media_type::OCI_MANIFEST, &self.manifest)
    }

    /// Its element of `manifest.json`.
    fn docker_entry(&self, config: &str, tags: &str, layers: &[String]) -> String {
        format!(
            r#"{{"Config":"{config}","RepoTags":{tags},"Layers":{}}}"#,
            serde_json::to_string(layers).unwrap()
        )
    }
}

/// Blobs in memory.
struct Blobs(BTreeMap<Digest, Vec<u8>>);

impl Blobs {
    fn of(images: &[&Image]) -> Self {
        let blobs = images.iter().flat_map(|image| &image.blobs);
        Self(blobs.map(|blob| (Digest::of(blob), blob.clone())).collect())
    }
}

impl BlobSource for Blobs {
    fn open(&self, digest: &Digest) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let blob = self.0.get(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok((blob.len() as u64, Box::new(&blob[..])))
    }
}

fn try_load(tar: &[u8]) -> Result<Loaded, LoadError> {
    super::load::load_for(
        Input::Stream(Box::new(tar)),
        &std::env::temp_dir(),
        Platform::new("linux", "amd64"),
    )
}

/// Reads an archive at any place, and checks that reading it once from start to end gives the same.
fn load_bytes(tar: &[u8]) -> Loaded {
    let loaded = try_load(tar).unwrap_or_else(|e| panic!("{e}: {e:?}"));
    let streamed = stream(tar, &amd64()).unwrap_or_else(|e| panic!("{e}: {e:?}"));
    assert_eq!(streamed.images, loaded.images);
    loaded
}

fn amd64() -> Selection {
    Selection::Best(Platform::new("linux", "amd64"))
}

fn stream(tar: &[u8], selection: &Selection) -> Result<Contents, LoadError> {
    receive(
        Input::Stream(Box::new(tar)),
        selection,
        &mut Keeper::default(),
    )
}

/// Takes layers as they are.
#[derive(Default)]
struct Keeper {
    announced: usize,
    absent: usize,
    taken: Vec<Incoming>,
    companions: Vec<Digest>,
}

impl Receiver for Keeper {
    type Error = LoadError;

    fn announce(&mut self, announcement: &Announcement) -> Result<(), LoadError> {
        assert!(self.taken.is_empty(), "announced after the first layer");
        (self.announced, self.absent) = (announcement.incoming.len(), announcement.absent.len());
        Ok(())
    }

    fn layer(
        &mut self,
        incoming: &Incoming,
        content: &mut dyn Read,
    ) -> Result<Received, LoadError> {
        let mut blob = Vec::new();
        content.read_to_end(&mut blob)?;
        let (encoding, mut decoded) = crate::compression::auto(&blob[..])?;
        let mut tar = Vec::new();
        decoded.read_to_end(&mut tar)?;
        self.taken.push(incoming.clone());
        let is_nameless = matches!(
            encoding,
            crate::compression::Encoding::Xz | crate::compression::Encoding::Bzip2
        );
        let (kept, encoding) = if is_nameless {
            (&tar, crate::compression::Encoding::Plain)
        } else {
            (&blob, encoding)
        };
        Ok(Received {
            digest: Digest::of(kept),
            size: kept.len() as u64,
            diff_id: Digest::of(&tar),
            encoding,
        })
    }

    fn companion(&mut self, blob: &Descriptor, content: &mut dyn Read) -> Result<(), LoadError> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        assert!(blob.describes(&bytes));
        self.companions.push(blob.digest);
        Ok(())
    }
}

fn names(loaded: &Loaded, image: usize) -> Vec<String> {
    loaded.images[image]
        .references
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Reads all layers of an image and checks them as a caller must.
fn check_layers(loaded: &Loaded, image: usize, expected: &Image) {
    let layers = &loaded.images[image].layers;
    assert_eq!(layers.len(), expected.tars.len());
    for (at, layer) in layers.iter().enumerate() {
        let mut blob = Vec::new();
        loaded
            .open_layer(image, at)
            .unwrap()
            .read_to_end(&mut blob)
            .unwrap();
        assert!(layer.descriptor.describes(&blob), "layer {at}");
        let mut tar = Vec::new();
        crate::compression::auto(&blob[..])
            .unwrap()
            .1
            .read_to_end(&mut tar)
            .unwrap();
        assert_eq!(
            (Digest::of(&tar), &tar),
            (layer.diff_id, &expected.tars[at])
        );
    }
}

/// An OCI layout around `index` and `blobs`.
fn oci(index: &str) -> Tar {
    Tar::default()
        .file(LAYOUT_FILE, LAYOUT)
        .file(INDEX_FILE, index)
}

fn index_of(descriptors: &[Descriptor]) -> String {
    String::from_utf8(crate::manifest::Index::of(descriptors.to_vec()).to_bytes()).unwrap()
}

fn annotated(mut descriptor: Descriptor, annotations: &[(&str, &str)]) -> Descriptor {
    descriptor.annotations.extend(
        annotations
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into())),
    );
    descriptor
}

fn on(mut descriptor: Descriptor, platform: &str) -> Descriptor {
    descriptor.platform = Some(Platform::parse(platform).unwrap());
    descriptor
}
