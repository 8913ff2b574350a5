//! Words: whatever the style, one word and several come from the same text, within the limit.
#![no_main]

use kiln_parser::words::{self, Quotes, Style};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

const QUOTES: [Quotes; 4] = [Quotes::Remove, Quotes::Keep, Quotes::Raw, Quotes::Literal];

fuzz_target!(|input: (u8, &str)| {
    let (choice, word) = input;
    let style = Style {
        escape: if choice & 1 == 0 { '\\' } else { '`' },
        quotes: QUOTES[usize::from(choice >> 1 & 3)],
        keep_unset: choice & 8 != 0,
    };
    let env: BTreeMap<String, String> = [
        ("A", "value"),
        ("B", "two words"),
        ("EMPTY", ""),
        ("P", "/usr/lib/*.so"),
        ("Q", "'\"\\$A"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let one = words::expand(word, style, &env);
    let several = words::expand_words(word, style, &env);
    match (one, several) {
        (Ok(one), Ok((_, expansion))) => {
            assert_eq!(one, expansion);
            assert!(one.text.len() <= words::MAX_EXPANDED.max(word.len()));
        }
        (Err(one), Err(several)) => assert_eq!(one, several),
        (one, several) => panic!("{one:?} but {several:?}"),
    }
});
