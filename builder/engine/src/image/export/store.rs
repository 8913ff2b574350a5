//! `type=image`, `type=registry`, `type=cacheonly`: the result stays in the store, where a build puts it anyway, or goes on from
//! there to registries. Unaware of how a push works.

use super::Kind;
use crate::failure::ExportError;
use crate::request::{BuildResult, Exporter};
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::{Form, MediaTypes, PushOptions, push};
use kiln_oci::Reference;

const KEYS: [&str; 11] = [
    "compression",
    "compression-level",
    "force-compression",
    "name",
    "name-canonical",
    "oci-mediatypes",
    "push",
    "push-by-digest",
    "rewrite-timestamp",
    "store",
    "unpack",
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
    fn takes_away(&self) -> bool {
        true
    }

    fn export(&self, _: &BuildResult<'_>) -> Result<(), ExportError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Named {
    names: Vec<Reference>,
    /// In which form it is pushed, if it is.
    push: Option<Form>,
    /// It is pushed without a name: what gets one is an index that joins the images of several machines later.
    by_digest: bool,
}

impl Named {
    fn of(mut attributes: Attributes, push: bool) -> Result<Box<dyn Exporter>, ExportError> {
        let push = attributes.flag("push", push)?;
        // the store finds an image by its digest anyway, and unpacks what a RUN needs
        for key in ["name-canonical", "store", "rewrite-timestamp", "unpack"] {
            attributes.flag(key, true)?;
        }
        let by_digest = attributes.flag("push-by-digest", false)?;
        let form = form(&mut attributes)?;
        let text = attributes.take("name");
        let mut given = text.iter().flat_map(|text| text.split(','));
        if let Some(tagged) = given.find(|name| by_digest && is_tagged(name)) {
            let problem = "push-by-digest=true pushes without a tag: leave it out";
            return Err(ExportError::value("name", tagged, problem));
        }
        Ok(Box::new(Self {
            names: names(text)?,
            push: push.then_some(form),
            by_digest,
        }))
    }
}

fn form(attributes: &mut Attributes) -> Result<Form, ExportError> {
    let media_types = match attributes.flag("oci-mediatypes", true)? {
        true => MediaTypes::Kept,
        false => MediaTypes::Docker,
    };
    let compression = attributes.compression()?;
    Ok(Form {
        force: attributes.flag("force-compression", false)?,
        media_types,
        compression: compression.unwrap_or(Form::default().compression),
    })
}

impl Exporter for Named {
    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        let (Some(form), Some(image)) = (self.push, result.digest()) else {
            return Ok(());
        };
        let names = result.names(&self.names);
        if names.is_empty() {
            let why = "a push needs a name: -t NAME, or name=… of the output";
            return Err(ExportError::Unsupported(why.to_owned()));
        }
        for to in names {
            let options = PushOptions {
                image: image.to_string(),
                platform: None,
                to: to.clone(),
                by_digest: self.by_digest,
                form,
            };
            let pushed = push(&result.session.remote, &result.session.store, &options);
            let pushed = pushed.map_err(Box::new)?;
            pushed.tell(&result.session.events);
            result.pushed.borrow_mut().get_or_insert(pushed.descriptor);
        }
        Ok(())
    }

    fn names(&self) -> Vec<Reference> {
        let mut names = self.names.clone();
        for name in names.iter_mut().filter(|_| self.by_digest) {
            name.tag = None;
        }
        names
    }

    fn pushes(&self, name: &Reference) -> bool {
        let all = self.names.is_empty() && !self.by_digest;
        self.push.is_some() && (all || self.names().contains(name))
    }
}

fn is_tagged(name: &str) -> bool {
    let parsed = Reference::parse(name.trim());
    parsed.is_ok_and(|name| name.tag.is_some() || name.digest.is_some())
}

/// The references of `name=`, between commas.
pub(super) fn names(text: Option<String>) -> Result<Vec<Reference>, ExportError> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let parse = |name: &str| {
        Reference::parse_new(name).map_err(|error| ExportError::Value {
            key: "name".to_owned(),
            value: name.to_owned(),
            problem: error.to_string(),
        })
    };
    text.split(',').map(str::trim).map(parse).collect()
}
