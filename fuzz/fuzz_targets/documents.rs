//! Manifests, indexes, configs, references, platforms, digests: read or refused, and what was read is written so that it reads
//! the same again.
#![no_main]

use kiln_oci::{Digest, ImageConfig, Index, Manifest, Platform, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(config) = ImageConfig::parse(input) {
        let written = config.to_bytes();
        let again = ImageConfig::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_bytes(), written);
    }
    let _ = Manifest::parse(input);
    let _ = Index::parse(input);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(reference) = Reference::parse(text) {
        let again = Reference::parse(&reference.to_string());
        assert_eq!(again.as_ref(), Ok(&reference));
        assert_eq!(Reference::parse(&reference.familiar()), Ok(reference));
    }
    if let Ok(platform) = Platform::parse(text) {
        let _ = Platform::parse(&platform.to_string());
    }
    let _ = text.parse::<Digest>();
});
