//! `kiln images`: what is in the store, with docker's columns, filters and templates.

use crate::catalog::{self, Listed};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::filter::Filters;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{session, units};
use clap::Args;
use jiff::Timestamp;
use kiln_cache::Store;
use kiln_engine::seconds;
use kiln_oci::{Digest, Reference};
use kiln_parser::glob;
use kiln_report::rough::Rough;
use std::time::SystemTime;

/// The fields of a row in docker's order, which is that of the alphabet; `Compressed` is kiln's.
const HEADERS: [Header; 12] = [
    ("Compressed", "COMPRESSED"),
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];
const TABLE: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Compressed}}";
const TABLE_WITH_DIGESTS: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Compressed}}";
const FILTERS: [&str; 7] = [
    "before",
    "dangling",
    "label",
    "label!",
    "reference",
    "since",
    "until",
];

/// Arguments of `kiln images`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show only images of this repository, or with this repository:tag; may contain wildcards
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Accepted for compatibility with docker: there are no intermediate images
    #[arg(short, long, add = Takes::Switch)]
    all: bool,
    /// Show only image IDs
    #[arg(short, long, add = Takes::Switch)]
    quiet: bool,
    /// Show manifest digests too
    #[arg(long, add = Takes::Switch)]
    digests: bool,
    /// Show whole IDs
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
    /// Show only matching images: dangling=BOOL, label=KEY[=VALUE], reference=PATTERN, before=IMAGE, since=IMAGE,
    /// until=TIME
    #[arg(short, long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
}

/// Lists.
///
/// # Errors
/// When the store cannot be read, or a filter or template cannot be understood.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let default = match (arguments.quiet, arguments.digests) {
        (true, _) => "{{.ID}}",
        (_, true) => TABLE_WITH_DIGESTS,
        _ => TABLE,
    };
    let format = arguments.format.as_deref();
    let listing = Listing::quiet(format, arguments.quiet, default, &HEADERS)?;
    let store = session::reading(globals)?;
    let now = seconds(SystemTime::now());
    let filters = arguments.filters(&store)?;
    let most = arguments.most();
    let mut rows = Vec::new();
    let is_shown = listing::shows(format, arguments.quiet, "Compressed");
    let mut rough = is_shown.then(|| Rough::new(&store));
    for listed in catalog::all(&store)? {
        if filters.admit(&listed) {
            let compressed = compressed(rough.as_mut(), &listed.image.manifest)?;
            let names = shown_names(&listed, &filters).into_iter().take(most);
            rows.extend(names.map(|name| {
                let mut row = row(&store, &listed, name, now, arguments.no_trunc);
                row[0].clone_from(&compressed);
                listing::row(&HEADERS, row)
            }));
        }
    }
    listing.print(&rows)
}

/// Bytes of an image as a registry would hold it, with a sign where they are estimated.
fn compressed(rough: Option<&mut Rough<'_>>, manifest: &Digest) -> Result<String, Failure> {
    let size = rough.map(|rough| rough.image(manifest)).transpose()?;
    Ok(match size.flatten() {
        None => "N/A".to_owned(),
        Some(size) if size.is_estimate => format!("~{}", units::bytes(size.bytes)),
        Some(size) => units::bytes(size.bytes),
    })
}

impl Arguments {
    fn filters(&self, store: &Store) -> Result<Filters, Failure> {
        let filters = Filters::parse(&self.filters, &FILTERS, store)?;
        let Some(name) = &self.name else {
            return Ok(filters);
        };
        check_name(name)?;
        Ok(filters.with_name(name))
    }

    /// Names of an image that are shown; `--quiet` shows each ID once.
    fn most(&self) -> usize {
        match (self.quiet, &self.format) {
            (true, None) => 1,
            _ => usize::MAX,
        }
    }
}

/// A name without wildcards has to be one.
fn check_name(name: &str) -> Result<(), Failure> {
    if glob::has_wildcards(name) {
        return glob::check(name).map_err(|_| Failure::usage(format!("{name}: not a pattern")));
    }
    Reference::parse(name)
        .map(drop)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// A row for each name; one without for an image that has none.
fn shown_names<'a>(listed: &'a Listed, filters: &Filters) -> Vec<Option<&'a Reference>> {
    if listed.image.references.is_empty() && !filters.ask_for_names() {
        return vec![None];
    }
    let names = listed.image.references.iter();
    names
        .filter(|name| filters.admit_name(name))
        .map(Some)
        .collect()
}

/// The values of [`HEADERS`], the first of which is for the caller to say.
fn row(
    store: &Store,
    listed: &Listed,
    name: Option<&Reference>,
    now: i64,
    whole: bool,
) -> [String; HEADERS.len()] {
    let image = &listed.image;
    // of several platforms, the digest that a registry knows them all by
    let named = name.and_then(|name| store.images().find_named(&name.to_string()).ok());
    let none = || "<none>".to_owned();
    let absent = || "N/A".to_owned();
    let size = units::bytes(image.size);
    let created = listed.created.map(Timestamp::as_second);
    let id = image.id;
    [
        String::new(),
        absent(),
        created.map_or_else(absent, units::date),
        created.map_or_else(absent, |created| units::ago(now - created)),
        named.unwrap_or(image.manifest).to_string(),
        if whole { id.to_string() } else { id.short() },
        name.map_or_else(none, Reference::familiar_name),
        absent(),
        size.clone(),
        name.and_then(|name| name.tag.clone()).unwrap_or_else(none),
        absent(),
        size,
    ]
}
