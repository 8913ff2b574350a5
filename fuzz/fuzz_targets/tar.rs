//! A layer's tar: read to its end or refused; no header asks for more memory than the input has.
#![no_main]

use kiln_oci::tarfile::Entries;
use libfuzzer_sys::fuzz_target;
use std::io::Read;

fuzz_target!(|input: &[u8]| {
    let mut entries = Entries::new(input);
    while let Ok(Some(entry)) = entries.next_entry() {
        let mut content = Vec::new();
        let read = entries.content().take(1 << 20).read_to_end(&mut content);
        assert!(read.is_err() || content.len() as u64 <= entry.size);
        assert!(content.len() <= input.len());
    }
});
