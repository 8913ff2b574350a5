//! Hands the layers of an archive to a [`Receiver`], each once, and then tells which images they
//! make. Nothing is copied to a scratch file: an archive that can be read at any place gives only
//! what is wanted of it, a stream is read once from its start to its end. Unaware of what a
//! receiver does with a layer.
//!
//! Where a stream's documents stand before its layers, as kiln, skopeo and containerd write them,
//! the receiver knows what a layer should be before it comes. Where they stand behind, as docker
//! wrote them for ten years, every file that looks like a layer is handed over with what its name
//! says, and compared with the documents at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, ErrorKind, Read};

use super::companions;
use super::documents::Documents;
use super::find::{Findings, StoredLayer, find};
use super::input::{self, Input, Opened};
use super::load::{LoadedImage, LoadedIndex, LoadedLayer, Selection};
use super::members::{Members, entry_name};
use super::receipt::Receipt;
use super::{LoadError, MAX_DOCUMENTS, MAX_SPOOL};
use crate::compression::{self, Encoding};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::MAX_DOCUMENT;
use crate::tarfile::{self, Entries, Entry, Kind};

/// A layer that comes, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its file in the archive.
    pub name: String,
    /// Its size there, in bytes.
    pub size: u64,
    /// The digest that its bytes should have.
    pub digest: Option<Digest>,
    /// The digest that the uncompressed tar should have.
    pub diff_id: Option<Digest>,
}

/// A layer that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The digest of the blob that manifests may name.
    pub digest: Digest,
    /// The size of that blob in bytes.
    pub size: u64,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// How the blob is compressed.
    pub encoding: Encoding,
}

/// What is known of an archive before its layers are read.
#[derive(Debug, Default)]
pub struct Announcement {
    /// The layers that will come, each once.
    pub incoming: Vec<Incoming>,
    /// Layers that the images have but not the archive.
    pub absent: Vec<LoadedLayer>,
    /// What the archive says that it leaves out.
    pub receipt: Option<Receipt>,
}

impl Announcement {
    /// Adds a layer of a stream, which comes unless the archive says that it leaves it out.
    fn add(&mut self, name: String, layer: &LoadedLayer) {
        let digest = layer.descriptor.digest;
        let receipt = self.receipt.as_ref();
        if receipt.is_some_and(|receipt| receipt.leaves_out(&digest)) {
            self.absent.push(layer.clone());
        } else {
            self.incoming.push(Incoming {
                name,
                size: layer.descriptor.size,
                digest: Some(digest),
                diff_id: Some(layer.diff_id),
            });
        }
    }
}

/// Takes layers.
pub trait Receiver {
    /// Its own failures, and those of the archive.
    type Error: From<LoadError>;

    /// Is told what will come, before anything does; not for a stream whose documents stand
    /// behind its layers.
    ///
    /// # Errors
    /// Why the layers should not come.
    fn announce(&mut self, announcement: &Announcement) -> Result<(), Self::Error>;

    /// Takes a layer, verifying what is known of it. It need not read it.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn layer(
        &mut self,
        incoming: &Incoming,
        content: &mut dyn Read,
    ) -> Result<Received, Self::Error>;

    /// A layer that the receiver has already, where the archive names it and does not have it.
    ///
    /// # Errors
    /// Why it cannot say.
    fn held(&mut self, _diff_id: &Digest) -> Result<Option<Received>, Self::Error> {
        Ok(None)
    }

    /// Takes a blob that an index needs beside images ([`LoadedIndex::companions`]), verifying it.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn companion(&mut self, blob: &Descriptor, content: &mut dyn Read) -> Result<(), Self::Error>;
}

/// The images of an archive whose layers were received.
#[derive(Debug)]
pub struct Contents {
    /// The images, in the archive's order, at least one.
    pub images: Vec<LoadedImage>,
    /// The indexes above them; one that holds another comes later.
    pub indexes: Vec<LoadedIndex>,
    /// What the archive says that it leaves out.
    pub receipt: Option<Receipt>,
}

/// Reads an archive. Layers that [`LoadedLayer::present`] says are not there were not received.
///
/// # Errors
/// [`LoadError`] and those of the receiver. What was received before is of no use then.
pub fn receive<R: Receiver>(
    input: Input<'_>,
    selection: &Selection,
    receiver: &mut R,
) -> Result<Contents, R::Error> {
    match input::open(input)? {
        Opened::Seekable(source) => sought(Members::index(source)?, selection, receiver),
        Opened::Compressed(volumes) => {
            let limit = compression::most_expanded(volumes.size());
            streamed(volumes.reader(), limit, selection, receiver)
        }
        Opened::Stream(stream) => streamed(stream, MAX_SPOOL, selection, receiver),
    }
}

/// Takes what is wanted, from where it is.
fn sought<R: Receiver>(
    mut members: Members,
    selection: &Selection,
    receiver: &mut R,
) -> Result<Contents, R::Error> {
    let mut documents = Documents::new(&members, false);
    let findings = find(&mut documents, selection)?;
    let receipt = Receipt::find(&mut documents)?;
    let absent = documents.absent;
    let wanted = wanted(&findings);
    receiver.announce(&announcement(&wanted, &findings, receipt))?;
    for (stored, incoming) in wanted {
        let mut content = members.open(&stored.blob)?;
        let received = receiver.layer(&incoming, &mut content)?;
        drop(content);
        members.receive(stored.blob.name().into(), received);
    }
    ask_for(&absent, &mut members, receiver)?;
    finish(&members, selection, receiver)
}

/// Asks the receiver for layers that the archive names and does not have.
fn ask_for<R: Receiver>(
    absent: &BTreeSet<Digest>,
    members: &mut Members,
    receiver: &mut R,
) -> Result<(), R::Error> {
    for diff_id in absent {
        if let Some(held) = receiver.held(diff_id)? {
            members.hold(held);
        }
    }
    Ok(())
}

/// What all this makes; hands over what was kept for it.
fn finish<R: Receiver>(
    members: &Members,
    selection: &Selection,
    receiver: &mut R,
) -> Result<Contents, R::Error> {
    let contents = contents(members, selection)?;
    for (name, blob) in companions::by_name(&contents.indexes) {
        let Some(file) = members.find(&name)?.filter(|_| !members.is_taken(&name)) else {
            continue;
        };
        receiver.companion(&blob, &mut *members.open(&file)?)?;
    }
    Ok(contents)
}

/// The files of layers, each once.
fn wanted(findings: &Findings) -> Vec<(StoredLayer, Incoming)> {
    let mut names = BTreeSet::new();
    let images = findings.images.iter();
    let layers = images.flat_map(|found| found.image.layers.iter().zip(&found.layers));
    let stored = layers.filter_map(|(layer, stored)| Some((layer, stored.as_ref()?)));
    let once = stored.filter(|(_, stored)| names.insert(stored.blob.name()));
    let wanted = once.map(|(layer, stored)| {
        let incoming = Incoming {
            name: stored.blob.name().to_owned(),
            size: stored.blob.size,
            digest: stored.is_described.then_some(layer.descriptor.digest),
            diff_id: Some(layer.diff_id),
        };
        (stored.clone(), incoming)
    });
    wanted.collect()
}

fn announcement(
    wanted: &[(StoredLayer, Incoming)],
    findings: &Findings,
    receipt: Option<Receipt>,
) -> Announcement {
    let mut absent: Vec<LoadedLayer> = Vec::new();
    for layer in findings.images.iter().flat_map(|found| &found.image.layers) {
        if !layer.present && !absent.contains(layer) {
            absent.push(layer.clone());
        }
    }
    Announcement {
        incoming: wanted
            .iter()
            .map(|(_, incoming)| incoming.clone())
            .collect(),
        absent,
        receipt,
    }
}

fn contents(members: &Members, selection: &Selection) -> Result<Contents, LoadError> {
    let mut documents = Documents::new(members, true);
    let mut findings = find(&mut documents, selection)?;
    let receipt = Receipt::find(&mut documents)?;
    // What is in its place but was not taken looked like no layer.
    let taken = |stored: &&StoredLayer| members.received(&stored.blob).is_some();
    let mut stored = findings.images.iter().flat_map(|found| &found.layers);
    if let Some(other) = stored.by_ref().flatten().find(|stored| !taken(stored)) {
        return Err(LoadError::NotKept(other.blob.name().into()));
    }
    for index in &mut findings.indexes {
        companions::keep_whole(index, members)?;
    }
    Ok(Contents {
        images: findings
            .images
            .into_iter()
            .map(|found| found.image)
            .collect(),
        indexes: findings.indexes,
        receipt,
    })
}

/// Takes everything that may be wanted, as it comes.
fn streamed<R: Receiver>(
    input: impl Read,
    limit: u64,
    selection: &Selection,
    receiver: &mut R,
) -> Result<Contents, R::Error> {
    let (encoding, content) = compression::auto(input).map_err(LoadError::Read)?;
    let content = compression::Limited::new(content, limit);
    let mut entries = Entries::new(BufReader::with_capacity(1 << 18, content));
    let mut stream = Stream {
        selection,
        encoding,
        members: Members::default(),
        expected: None,
        companions: BTreeMap::new(),
        budget: MAX_DOCUMENTS,
    };
    while let Some(entry) = entries.next_entry().map_err(|e| told(e, encoding))? {
        stream.take(&mut entries, &entry, receiver)?;
    }
    // What is compressed is whole only when its last checksum was seen, and a program that writes into a pipe wants to get rid of
    // everything.
    let rest = std::io::copy(&mut entries.into_inner(), &mut std::io::sink());
    rest.map_err(|e| told(e.into(), encoding))?;
    stream.know_what_comes(receiver)?;
    let mut documents = Documents::new(&stream.members, true);
    find(&mut documents, selection)?;
    let absent = documents.absent;
    ask_for(&absent, &mut stream.members, receiver)?;
    finish(&stream.members, selection, receiver)
}

/// A stream that is being read.
struct Stream<'s> {
    selection: &'s Selection,
    encoding: Encoding,
    members: Members,
    /// What the documents that came before the first layer say about layers, by name.
    expected: Option<BTreeMap<String, (Digest, Digest)>>,
    /// What they say about blobs that indexes need beside images, by name.
    companions: BTreeMap<String, Descriptor>,
    /// Bytes of documents that may still be kept.
    budget: u64,
}

impl Stream<'_> {
    /// Keeps a document, hands on a layer or a companion.
    fn take<R: Receiver, C: Read>(
        &mut self,
        entries: &mut Entries<C>,
        entry: &Entry,
        receiver: &mut R,
    ) -> Result<(), R::Error> {
        let (name, encoding) = (entry_name(entry)?, self.encoding);
        let broken = |error: std::io::Error| told(error.into(), encoding);
        let looks = match entry.kind {
            Kind::File => look(entries, entry).map_err(broken)?,
            _ => Looks::Other(Vec::new()),
        };
        match looks {
            Looks::Document(mut bytes) => {
                let left = self.budget.checked_sub(entry.size);
                let what = "bytes of manifests and configs";
                self.budget = left.ok_or(LoadError::too_large(what, MAX_DOCUMENTS))?;
                entries.content().read_to_end(&mut bytes).map_err(broken)?;
                self.members.pass(name, entry, Some(bytes))?;
            }
            Looks::Layer(start) => {
                let mut content = start.as_slice().chain(entries.content());
                self.layer(name, entry, &mut content, receiver)?;
            }
            Looks::Other(start) => {
                self.members.pass(name.clone(), entry, None)?;
                if entry.kind == Kind::File && name.starts_with("blobs/") {
                    self.know_what_comes(receiver)?;
                    let mut content = start.as_slice().chain(entries.content());
                    self.companion(&name, &mut content, receiver)?;
                }
            }
        }
        Ok(())
    }

    fn layer<R: Receiver>(
        &mut self,
        name: String,
        entry: &Entry,
        content: &mut dyn Read,
        receiver: &mut R,
    ) -> Result<(), R::Error> {
        self.know_what_comes(receiver)?;
        self.members.pass(name.clone(), entry, None)?;
        if !self.companion(&name, content, receiver)? {
            let incoming = self.incoming(&name, entry);
            let received = receiver.layer(&incoming, content)?;
            self.members.receive(name, received);
        }
        Ok(())
    }

    /// Looks once at what has come, when the first layer does: all documents, or none that can be understood yet.
    fn know_what_comes<R: Receiver>(&mut self, receiver: &mut R) -> Result<(), R::Error> {
        if self.expected.is_some() {
            return Ok(());
        }
        let mut documents = Documents::new(&self.members, false);
        let receipt = Receipt::find(&mut documents)?;
        let findings = match find(&mut documents, self.selection) {
            // What is missing may come later, also the layers that docker 25.0.0 left out of its OCI manifests.
            Err(
                LoadError::Missing(_)
                | LoadError::NoImageArchive
                | LoadError::NotKept(_)
                | LoadError::LayerCount { .. },
            ) => Findings::default(),
            findings => findings?,
        };
        self.companions = companions::by_name(&findings.indexes);
        let (incoming, absent) = (Vec::new(), Vec::new());
        let mut announcement = Announcement {
            incoming,
            absent,
            receipt,
        };
        let mut expected = BTreeMap::new();
        for layer in findings.images.iter().flat_map(|found| &found.image.layers) {
            let name = super::blob_path(&layer.descriptor.digest);
            let digests = (layer.descriptor.digest, layer.diff_id);
            if expected.insert(name.clone(), digests).is_none() {
                announcement.add(name, layer);
            }
        }
        if !expected.is_empty() {
            receiver.announce(&announcement)?;
        }
        self.expected = Some(expected);
        Ok(())
    }

    /// Hands over a blob that an index needs beside images; `false` for any other.
    fn companion<R: Receiver>(
        &mut self,
        name: &str,
        content: &mut dyn Read,
        receiver: &mut R,
    ) -> Result<bool, R::Error> {
        let is_layer = |known: &BTreeMap<_, _>| known.contains_key(name);
        let Some(blob) = self
            .companions
            .get(name)
            .filter(|_| !self.expected.as_ref().is_some_and(is_layer))
        else {
            return Ok(false);
        };
        receiver.companion(blob, content)?;
        self.members.take(name.to_owned());
        Ok(true)
    }

    fn incoming(&self, name: &str, entry: &Entry) -> Incoming {
        let expected = self.expected.as_ref().and_then(|known| known.get(name));
        let named = name
            .strip_prefix("blobs/sha256/")
            .and_then(|hex| Digest::from_hex(hex).ok());
        Incoming {
            name: name.into(),
            size: entry.size,
            digest: expected.map(|(digest, _)| *digest).or(named),
            diff_id: expected.map(|(_, diff_id)| *diff_id),
        }
    }
}

/// What a file looks like, with the bytes that were read to see it.
enum Looks {
    Layer(Vec<u8>),
    Document(Vec<u8>),
    Other(Vec<u8>),
}

fn look<R: Read>(entries: &mut Entries<R>, entry: &Entry) -> std::io::Result<Looks> {
    let mut start = Vec::with_capacity(tarfile::BLOCK);
    entries
        .content()
        .take(tarfile::BLOCK as u64)
        .read_to_end(&mut start)?;
    let is_layer = compression::sniff(&start) != Encoding::Plain || tarfile::starts_tar(&start);
    Ok(match (is_layer, entry.size <= MAX_DOCUMENT as u64) {
        (true, _) => Looks::Layer(start),
        (false, true) => Looks::Document(start),
        (false, false) => Looks::Other(start),
    })
}

/// Says of a failure to read a compressed archive that it is one to decompress.
fn told(error: tarfile::TarError, encoding: Encoding) -> LoadError {
    match error {
        tarfile::TarError::Io(source) if source.kind() == ErrorKind::FileTooLarge => {
            LoadError::Expands
        }
        tarfile::TarError::Io(source) if encoding != Encoding::Plain => {
            LoadError::Decompress { encoding, source }
        }
        other => other.into(),
    }
}
