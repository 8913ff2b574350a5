//! What variants are measured against: the JSON of an earlier run, else an image. Unaware of what is compared.

use crate::failure::Failure;
use crate::units;
use crate::weigh::Scale;
use kiln_report::compare::{Comparison, VERSION, Variant};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file of more bytes is no JSON of an earlier run.
const MOST: u64 = 64 << 20;

/// Reads it; of an earlier run the first variant counts.
///
/// # Errors
/// There is no such image, or the JSON is not one that kiln wrote.
pub fn read(name: &str, scale: &Scale<'_>) -> Result<Variant, Failure> {
    let path = Path::new(name);
    if path.is_file() && path.extension().is_some_and(|end| end == "json") {
        return earlier(path);
    }
    Ok(scale.named(name)?.variant(name))
}

fn earlier(path: &Path) -> Result<Variant, Failure> {
    let wrong = |why: String| Failure::usage(format!("--baseline {}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let read = file.take(MOST + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MOST {
        return Err(wrong(format!("it has more than {}", units::bytes(MOST))));
    }
    let read = serde_json::from_str::<Comparison>(&text);
    let comparison = read.map_err(|error| {
        wrong(format!("this is no JSON of a kiln compare: {error}"))
            .hint("write it with kiln compare --format json")
    })?;
    if comparison.version > VERSION {
        return Err(wrong("a newer kiln wrote it".to_owned()));
    }
    let first = comparison.variants.into_iter().next();
    let first = first.ok_or_else(|| wrong("it has no variants".to_owned()))?;
    let name = path.display().to_string();
    Ok(Variant { name, ..first })
}
