//! `type=image`, `type=registry`, `type=cacheonly`: the result stays in the store, where a build puts it anyway, or goes on from
//! there. Unaware of registries: a push is what the caller gave.

use super::{Attributes, BuildResult, ExportError, Exporter, Kind};
use kiln_oci::Reference;

const KEYS: [&str; 9] = [
    "annotation",
    "compression",
    "compression-level",
    "force-compression",
    "name",
    "oci-mediatypes",
    "push",
    "rewrite-timestamp",
    "store",
];

/// `type=image`: another name, and with `push=true` a push.
pub(super) const IMAGE: Kind = Kind {
    name: "image",
    keys: &KEYS,
    make: |attributes| Named::of(attributes, false),
};

/// `type=registry`: `type=image,push=true`.
pub(super) const REGISTRY: Kind = Kind {
    name: "registry",
    keys: &KEYS,
    make: |attributes| Named::of(attributes, true),
};

/// `type=cacheonly`: nothing.
pub(super) const CACHE_ONLY: Kind = Kind {
    name: "cacheonly",
    keys: &[],
    make: |_| Ok(Box::new(CacheOnly)),
};

#[derive(Debug)]
struct CacheOnly;

impl Exporter for CacheOnly {
    fn export(&self, _: &BuildResult<'_>) -> Result<(), ExportError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Named {
    names: Vec<Reference>,
}

impl Named {
    fn of(mut attributes: Attributes, push: bool) -> Result<Box<dyn Exporter>, ExportError> {
        if attributes.flag("push", push)? {
            return Err(ExportError::Unsupported(
                "a build does not push yet: build with -t NAME, then `kiln push NAME`".to_owned(),
            ));
        }
        for key in [
            "oci-mediatypes",
            "store",
            "rewrite-timestamp",
            "force-compression",
        ] {
            attributes.flag(key, true)?;
        }
        attributes.compression()?;
        let names = names(attributes.take("name"))?;
        Ok(Box::new(Self { names }))
    }
}

impl Exporter for Named {
    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        let Some((_, first)) = result.images.first() else {
            return Ok(());
        };
        let named = result
            .index
            .as_ref()
            .map_or(first.manifest_digest, |(digest, _)| *digest);
        for name in &self.names {
            result.session.store.tag(name, &named)?;
        }
        Ok(())
    }
}

/// The references of `name=`, between commas.
pub(super) fn names(text: Option<String>) -> Result<Vec<Reference>, ExportError> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let parse = |name: &str| {
        let parsed = Reference::parse(name).map(Reference::with_default_tag);
        parsed.map_err(|error| ExportError::Value {
            key: "name".to_owned(),
            value: name.to_owned(),
            problem: error.to_string(),
        })
    };
    text.split(',').map(str::trim).map(parse).collect()
}
