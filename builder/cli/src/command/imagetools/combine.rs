//! One index of several images, indexes among them, as buildx combines them. Unaware of where it goes.

use super::whole::ABOUT;
use super::{malformed, refused};
use crate::failure::Failure;
use kiln_oci::media_type::{DOCKER_MANIFEST_LIST, OCI_INDEX};
use kiln_oci::registry::Client;
use kiln_oci::{
    Descriptor, Digest, ImageConfig, Index, Manifest, Platform, PlatformError, Reference,
    media_type,
};
use std::collections::BTreeSet;

/// How docker's own media types begin.
const DOCKER: &str = "application/vnd.docker.";

/// A manifest or index, and where it is.
pub struct Source {
    name: Reference,
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

/// What is pushed.
pub struct Combined {
    /// How others point at it.
    pub descriptor: Descriptor,
    /// The document.
    pub bytes: Vec<u8>,
    /// What it lists, and where that is.
    pub below: Vec<(Reference, Digest)>,
}

impl Source {
    /// Reads a source. What describes it goes before what the registry knows.
    pub fn read(
        registries: &Client,
        name: Reference,
        described: Option<Descriptor>,
    ) -> Result<Source, Failure> {
        let found = registries.manifest(&name).map_err(refused)?;
        let mut descriptor = Descriptor::of(found.media_type.as_str(), &found.bytes);
        if let Some(described) = described {
            descriptor.annotations = described.annotations;
            descriptor.platform = described.platform;
        }
        if media_type::is_manifest(&found.media_type) && descriptor.platform.is_none() {
            descriptor.platform = Some(platform(registries, &name, &found.bytes)?);
        }
        Ok(Source {
            name,
            descriptor,
            bytes: found.bytes,
        })
    }

    /// The images that it stands for.
    fn listed(&self) -> Result<Vec<Descriptor>, Failure> {
        match media_type::is_index(&self.descriptor.media_type) {
            true => Ok(Index::parse(&self.bytes).map_err(malformed)?.manifests),
            false => Ok(vec![self.descriptor.clone()]),
        }
    }

    /// It alone, as it is.
    fn copied(&self) -> Result<Combined, Failure> {
        let listed = self.listed()?.into_iter();
        Ok(Combined {
            descriptor: self.descriptor.clone(),
            bytes: self.bytes.clone(),
            below: listed
                .map(|below| (self.name.clone(), below.digest))
                .collect(),
        })
    }
}

/// What an image is for, as its config says.
fn platform(registries: &Client, name: &Reference, manifest: &[u8]) -> Result<Platform, Failure> {
    let manifest = Manifest::parse(manifest).map_err(malformed)?;
    let config = registries.document(name, &manifest.config);
    let config = ImageConfig::parse(&config.map_err(refused)?).map_err(malformed)?;
    Ok(Platform {
        os_version: None,
        os_features: Vec::new(),
        ..config.platform().normalized()
    })
}

/// All sources in one index. One source stays as it is, unless something is said about it or an image is to become an index.
pub fn whole(
    sources: &[Source],
    annotations: &[String],
    prefers_index: bool,
) -> Result<Combined, Failure> {
    if let ([one], []) = (sources, annotations)
        && (media_type::is_index(&one.descriptor.media_type) || !prefers_index)
    {
        return one.copied();
    }
    let mut listed: Vec<(Descriptor, Reference)> = Vec::new();
    for source in sources {
        for descriptor in source.listed()? {
            add(&mut listed, descriptor, &source.name);
        }
    }
    listing(listed, annotations)
}

/// An index of these, docker's if all are docker's: that one has no annotations.
fn listing(
    listed: Vec<(Descriptor, Reference)>,
    annotations: &[String],
) -> Result<Combined, Failure> {
    let below = listed
        .iter()
        .map(|(below, name)| (name.clone(), below.digest));
    let below = below.collect();
    let mut index = Index::of(listed.into_iter().map(|(below, _)| below).collect());
    let is_docker = |below: &Descriptor| below.media_type.starts_with(DOCKER);
    let kind = match index.manifests.iter().all(is_docker) {
        true => DOCKER_MANIFEST_LIST,
        false => OCI_INDEX,
    };
    index.media_type = Some(kind.to_owned());
    for annotation in annotations.iter().filter(|_| kind == OCI_INDEX) {
        annotate(&mut index, annotation)?;
    }
    Ok(written(&index, kind, below))
}

/// What is listed twice is listed once, with what both say.
fn add(listed: &mut Vec<(Descriptor, Reference)>, descriptor: Descriptor, name: &Reference) {
    let known = listed
        .iter_mut()
        .find(|(known, _)| known.digest == descriptor.digest);
    let Some((known, place)) = known else {
        return listed.push((descriptor, name.clone()));
    };
    known.platform = descriptor.platform.or(known.platform.take());
    known.annotations.extend(descriptor.annotations);
    *place = name.clone();
}

/// Adds an annotation to the index or to what it lists.
fn annotate(index: &mut Index, text: &str) -> Result<(), Failure> {
    let wrong = |why: &str| {
        let failure = Failure::usage(format!("--annotation {text}: {why}"));
        failure.hint("write index:KEY=VALUE or manifest-descriptor:KEY=VALUE")
    };
    let (place, pair) = text.split_once(':').unwrap_or(("", text));
    let (key, value) = pair
        .split_once('=')
        .ok_or_else(|| wrong("it has no value"))?;
    let entry = (key.to_owned(), value.to_owned());
    if place == "index" {
        index.annotations.extend([entry]);
        return Ok(());
    }
    let rest = place.strip_prefix("manifest-descriptor");
    let rest = rest.ok_or_else(|| wrong("it is neither of the index nor of what it lists"))?;
    let only = only_platform(rest).map_err(|error| wrong(&error.to_string()))?;
    for below in &mut index.manifests {
        if only.as_ref().is_none_or(|only| is_for(below, only)) {
            below.annotations.extend([entry.clone()]);
        }
    }
    Ok(())
}

/// `[OS/ARCH]`, or nothing for all.
fn only_platform(text: &str) -> Result<Option<Platform>, PlatformError> {
    let only = text.strip_prefix('[');
    let only = only.and_then(|rest| rest.strip_suffix(']'));
    only.map(Platform::parse).transpose()
}

fn is_for(below: &Descriptor, platform: &Platform) -> bool {
    let own = below.platform.as_ref();
    own.is_some_and(|own| own.matches(platform))
}

/// Without what is for other platforms, and what is about that.
pub fn only(whole: Combined, platforms: &[Platform]) -> Result<Combined, Failure> {
    let is_wanted = |below: &Descriptor| {
        below.platform.is_none() || platforms.iter().any(|wanted| is_for(below, wanted))
    };
    if platforms.is_empty() {
        return Ok(whole);
    }
    if !media_type::is_index(&whole.descriptor.media_type) {
        let none = || Failure::usage("the image is for none of the platforms");
        return is_wanted(&whole.descriptor)
            .then_some(whole)
            .ok_or_else(none);
    }
    let mut index = Index::parse(&whole.bytes).map_err(malformed)?;
    let count = index.manifests.len();
    retain(&mut index, is_wanted);
    if index.manifests.len() == count {
        return Ok(whole);
    }
    let kept = |digest: &Digest| index.manifests.iter().any(|below| below.digest == *digest);
    let below = whole.below.into_iter().filter(|(_, digest)| kept(digest));
    let below = below.collect();
    Ok(written(&index, &whole.descriptor.media_type, below))
}

/// Keeps what is wanted, and what is about that.
fn retain(index: &mut Index, is_wanted: impl Fn(&Descriptor) -> bool) {
    let wanted = index.manifests.iter().filter(|below| is_wanted(below));
    let wanted: BTreeSet<String> = wanted.map(|below| below.digest.to_string()).collect();
    index.manifests.retain(|below| {
        let own = below.digest.to_string();
        wanted.contains(below.annotation(ABOUT).unwrap_or(&own))
    });
}

/// As Go writes it, in lines.
fn written(index: &Index, kind: &str, below: Vec<(Reference, Digest)>) -> Combined {
    // what is made here can be written
    let bytes = serde_json::to_vec_pretty(index).unwrap_or_default();
    Combined {
        descriptor: Descriptor::of(kind, &bytes),
        bytes,
        below,
    }
}
