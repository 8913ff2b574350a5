//! Databases that are text: those of dpkg, apk and npm. What cannot be understood is left out. Unaware of files.

use serde_json::Value;

use super::Package;

/// Stanzas of `Field: value`, between empty lines; packages that are not installed are left out.
pub(super) fn dpkg(content: &[u8]) -> Vec<Package> {
    let text = String::from_utf8_lossy(content);
    let packages = text.split("\n\n").filter_map(|stanza| {
        let status = value(stanza, "Status: ");
        let is_installed = status.is_none_or(|status| status.ends_with(" installed"));
        let kilobytes = value(stanza, "Installed-Size: ").and_then(|size| size.parse().ok());
        Some(Package {
            name: value(stanza, "Package: ")
                .filter(|_| is_installed)?
                .to_owned(),
            version: value(stanza, "Version: ").unwrap_or_default().to_owned(),
            bytes: kilobytes.map(|size: u64| size.saturating_mul(1024)),
        })
    });
    packages.collect()
}

/// Stanzas of `P:name`, between empty lines.
pub(super) fn apk(content: &[u8]) -> Vec<Package> {
    let text = String::from_utf8_lossy(content);
    let packages = text.split("\n\n").filter_map(|stanza| {
        Some(Package {
            name: value(stanza, "P:")?.to_owned(),
            version: value(stanza, "V:").unwrap_or_default().to_owned(),
            bytes: value(stanza, "I:").and_then(|size| size.parse().ok()),
        })
    });
    packages.collect()
}

/// One package.
pub(super) fn npm(content: &[u8]) -> Option<Package> {
    let document: Value = serde_json::from_slice(content).ok()?;
    let text = |key: &str| document.get(key)?.as_str().map(str::to_owned);
    Some(Package {
        name: text("name")?,
        version: text("version").unwrap_or_default(),
        bytes: None,
    })
}

fn value<'a>(stanza: &'a str, start: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| line.strip_prefix(start))
        .map(str::trim)
}
