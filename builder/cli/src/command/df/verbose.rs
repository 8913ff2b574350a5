//! `kiln df -v`: each image with the bytes that it shares and those that only it has, uncompressed and compressed, and each
//! cache mount. As JSON one object, as docker's.

use crate::catalog;
use crate::failure::Failure;
use crate::listing::Listing;
use crate::{table, units};
use jiff::Timestamp;
use kiln_cache::Store;
use kiln_engine::seconds;
use kiln_oci::Reference;
use kiln_report::sharing::{Sizes, sizes};
use kiln_template::{Value, field};
use std::time::SystemTime;

const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.CompressedSize}}";
const IMAGE_HEADERS: [(&str, &str); 8] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("CompressedSize", "COMPRESSED"),
];
const MOUNTS: &str = "{{.ID}}\t{{.Target}}\t{{.Size}}\t{{.LastUsedSince}}";
const MOUNT_HEADERS: [(&str, &str); 4] = [
    ("ID", "CACHE ID"),
    ("Target", "NAME"),
    ("Size", "SIZE"),
    ("LastUsedSince", "LAST USED"),
];

/// Shows all of it. A format other than a table gets one object with `Images`, `CacheMounts` and `Classes`.
///
/// # Errors
/// When the store cannot be read.
pub fn show(store: &Store, format: Option<&str>, listing: &Listing) -> Result<(), Failure> {
    let now = seconds(SystemTime::now());
    let (images, mounts, classes) = (
        images(store, now)?,
        mounts(store, now),
        super::classes(store)?,
    );
    if format.is_some_and(|format| !format.starts_with("table")) {
        return listing.print(&[Value::record([
            field("Images", images),
            field("CacheMounts", mounts),
            field("Classes", classes),
        ])]);
    }
    table::print_text("Images:\n\n");
    Listing::new(None, IMAGES, &IMAGE_HEADERS)?.print(&images)?;
    table::print_text("\nCache mounts:\n\n");
    Listing::new(None, MOUNTS, &MOUNT_HEADERS)?.print(&mounts)?;
    table::print_text("\nAll:\n\n");
    listing.print(&classes)
}

/// A row for each image, not for each name: the bytes are there once.
fn images(store: &Store, now: i64) -> Result<Vec<Value>, Failure> {
    let sizes = sizes(store)?;
    let row = |listed: catalog::Listed| {
        let size = sizes.get(&listed.image.manifest).copied();
        row(&listed, &size.unwrap_or_default(), now)
    };
    Ok(catalog::all(store)?.into_iter().map(row).collect())
}

fn row(listed: &catalog::Listed, size: &Sizes, now: i64) -> Value {
    let image = &listed.image;
    let name = image.references.first();
    let or = |text: Option<String>, other: &str| text.unwrap_or_else(|| other.to_owned());
    let compressed = or(size.compressed.map(units::bytes), "N/A");
    let created = listed.created.map(Timestamp::as_second);
    let since = created.map(|created| units::ago(now - created));
    let repository = or(name.map(Reference::familiar_name), "<none>");
    Value::record([
        field("CompressedSize", compressed),
        field("Containers", "0"),
        field("CreatedAt", or(created.map(units::date), "N/A")),
        field("CreatedSince", or(since, "N/A")),
        field("Digest", image.manifest.to_string()),
        field("ID", image.id.short()),
        field("Names", Value::texts(&names(&image.references))),
        field("Repository", repository),
        field("SharedSize", units::bytes(size.shared)),
        field("Size", units::bytes(size.total)),
        field("Sizes", exact(size)),
        field("Tag", or(name.and_then(|name| name.tag.clone()), "<none>")),
        field("UniqueSize", units::bytes(size.unique)),
    ])
}

fn names(references: &[Reference]) -> Vec<String> {
    references.iter().map(Reference::familiar).collect()
}

/// The same sizes in bytes, for programs.
fn exact(size: &Sizes) -> Value {
    Value::record([
        field("Total", size.total),
        field("Shared", size.shared),
        field("Unique", size.unique),
        field(
            "Compressed",
            size.compressed.map_or(Value::Null, Value::from),
        ),
    ])
}

fn mounts(store: &Store, now: i64) -> Vec<Value> {
    let usage = store.cache_mounts().usage().into_iter();
    usage
        .map(|mount| {
            let name = mount.path.file_name().unwrap_or_default();
            let id: String = name.to_string_lossy().chars().take(12).collect();
            Value::record([
                field("Bytes", mount.bytes),
                field("ID", id),
                field("LastUsedSince", units::ago(now - mount.used)),
                field("Size", units::bytes(mount.bytes)),
                field("Target", mount.title),
            ])
        })
        .collect()
}
