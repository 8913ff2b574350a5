//! `type=image`, `type=registry`, `type=cacheonly`: the result stays in the store, where a build puts it anyway, or goes on from
//! there to registries. Unaware of how a push works.

use super::{Attributes, BuildResult, ExportError, Exporter, Kind};
use crate::remote::{Form, MediaTypes, PushOptions, push};
use kiln_oci::Reference;

const KEYS: [&str; 8] = [
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
    /// In which form it is pushed, if it is.
    push: Option<Form>,
}

impl Named {
    fn of(mut attributes: Attributes, push: bool) -> Result<Box<dyn Exporter>, ExportError> {
        let push = attributes.flag("push", push)?;
        for key in ["store", "rewrite-timestamp"] {
            attributes.flag(key, true)?;
        }
        let form = Form {
            force: attributes.flag("force-compression", false)?,
            media_types: if attributes.flag("oci-mediatypes", true)? {
                MediaTypes::Kept
            } else {
                MediaTypes::Docker
            },
            compression: attributes
                .compression()?
                .unwrap_or(Form::default().compression),
        };
        let names = names(attributes.take("name"))?;
        let push = push.then_some(form);
        Ok(Box::new(Self { names, push }))
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
        let Some(form) = self.push else {
            return Ok(());
        };
        let names = if self.names.is_empty() {
            result.references
        } else {
            &self.names[..]
        };
        if names.is_empty() {
            let why = "a push needs a name: -t NAME, or name=… of the output";
            return Err(ExportError::Unsupported(why.to_owned()));
        }
        for to in names {
            let options = PushOptions {
                image: named.to_string(),
                platform: None,
                to: to.clone(),
                form,
            };
            let pushed =
                push(&result.session.remote, &result.session.store, &options).map_err(Box::new)?;
            pushed.tell(&result.session.events);
            result.pushed.borrow_mut().get_or_insert(pushed.descriptor);
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
