//! Rules of words, one a test; a slow obvious reference for plain words; never a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn env() -> BTreeMap<String, String> {
    [
        ("A", "aval"),
        ("EMPTY", ""),
        ("P", "/usr/lib/libfoo.so.1"),
        ("SP", "x  y z"),
        ("N", "1\n2\n"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn one(word: &str) -> String {
    expand(word, Style::new('\\'), &env()).unwrap().text
}

fn fails(word: &str) -> String {
    expand(word, Style::new('\\'), &env())
        .unwrap_err()
        .to_string()
}

#[test]
fn quotes_and_escapes_are_removed() {
    assert_eq!(one(r#"a'$A'"$A"\$A"#), "a$Aaval$A");
    assert_eq!(one(r#""\a\"\$""#), r#"\a"$"#);
    assert_eq!(one("a\\"), "a");
    assert!(fails("'a").contains("single-quote"));
    assert!(fails("\"a").contains("double-quote"));
}

#[test]
fn the_escape_can_be_another() {
    let style = Style::new('`');
    assert_eq!(expand(r"`$A\$A", style, &env()).unwrap().text, r"$A\aval");
}

#[test]
fn defaults_alternatives_and_requirements() {
    assert_eq!(one("${X-d}${X:-d}${EMPTY-d}${EMPTY:-d}"), "ddd");
    assert_eq!(one("${A+y}${EMPTY+y}${EMPTY:+y}${X+y}"), "yy");
    assert_eq!(one("${X:-${A}'q'}"), "avalq");
    assert_eq!(fails("${X?gone}"), "X: gone");
    assert_eq!(fails("${EMPTY:?}"), "EMPTY: is not allowed to be empty");
}

#[test]
fn patterns_remove_and_replace() {
    assert_eq!(one("${P#*/}"), "usr/lib/libfoo.so.1");
    assert_eq!(one("${P##*/}"), "libfoo.so.1");
    assert_eq!(one("${P%/*}"), "/usr/lib");
    assert_eq!(one("${P%%/*}"), "");
    assert_eq!(
        one("${P/lib/L}|${P//lib/L}"),
        "/usr/L/libfoo.so.1|/usr/L/Lfoo.so.1"
    );
    assert_eq!(one("${P//\\//_}"), "_usr_lib_libfoo.so.1");
    // A dot of the translation does not match a newline.
    assert_eq!(one("${N#*}"), "1\n2\n");
    assert!(fails("${P#\\x}").contains("invalid pattern"));
}

#[test]
fn broken_substitutions_are_errors() {
    for word in [
        "${", "${}", "${:-a}", "${A", "${A:", "${A:-b", "${A/b", "${A=b}", "${{A}", "${A:#x}",
    ] {
        assert!(expand(word, Style::new('\\'), &env()).is_err(), "{word}");
    }
}

#[test]
fn unset_variables_can_stay() {
    let style = Style {
        keep_unset: true,
        ..Style::new('\\')
    };
    let expansion = expand("$X ${X:-a} $A", style, &env()).unwrap();
    assert_eq!(expansion.text, "$X ${X:-a} aval");
    assert_eq!(expansion.unset, BTreeSet::from(["X".to_owned()]));
    assert_eq!(expansion.used, BTreeSet::from(["A".to_owned()]));
}

#[test]
fn values_split_and_quoted_values_do_not() {
    let split = |word| expand_words(word, Style::new('\\'), &env()).unwrap().0;
    assert_eq!(
        split(r#"a$SP "$SP" '' b\ c"#),
        ["ax", "y", "z", "x  y z", "b c"]
    );
    assert_eq!(split("<<  EOF x"), ["<<  EOF", "x"]);
    // An oddity that is kept: see `drop_interrupted`.
    assert_eq!(split("w a${X:-b}c"), ["w", "bc"]);
}

#[test]
fn depth_and_length_are_limited() {
    let deep = format!("{}{}", "${X:-".repeat(100_000), "}".repeat(100_000));
    assert_eq!(
        expand(&deep, Style::new('\\'), &env()).unwrap_err(),
        WordError::TooDeep
    );
    let long = BTreeMap::from([("L".to_owned(), "x".repeat(MAX_EXPANDED / 2))]);
    let error = expand("$L$L$L", Style::new('\\'), &long).unwrap_err();
    assert_eq!(error, WordError::TooLong);
    let bomb = "${L//x/$L}";
    assert_eq!(
        expand(bomb, Style::new('\\'), &long).unwrap_err(),
        WordError::TooLong
    );
}

/// Words without `${`, one character after another, with the state in plain sight.
fn reference(word: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let chars: Vec<char> = word.chars().collect();
    let (mut at, mut quote, mut out) = (0, None, String::new());
    while at < chars.len() {
        let ch = chars[at];
        at += 1;
        match (quote, ch) {
            (None, '\'' | '"') => quote = Some(ch),
            (Some(open), _) if open == ch => quote = None,
            (Some('\''), _) => out.push(ch),
            (_, '$') => {
                let name: String = chars[at..]
                    .iter()
                    .take_while(|ch| ch.is_alphabetic())
                    .collect();
                at += name.chars().count();
                match name.as_str() {
                    "" => out.push('$'),
                    name => out.push_str(env.get(name).map_or("", String::as_str)),
                }
            }
            (None, '\\') => {
                out.extend(chars.get(at));
                at += 1;
            }
            (Some(_), '\\') => match chars.get(at) {
                None => {}
                Some('"' | '$' | '\\') => {
                    out.push(chars[at]);
                    at += 1;
                }
                Some(_) => out.push('\\'),
            },
            _ => out.push(ch),
        }
    }
    quote.is_none().then_some(out)
}

proptest! {
    #[test]
    fn plain_words_agree_with_the_reference(word in r#"([aA '"\\é]|\$[ABX '"\\]){0,12}"#) {
        let got = expand(&word, Style::new('\\'), &env()).ok().map(|e| e.text);
        prop_assert_eq!(got, reference(&word, &env()));
    }

    #[test]
    fn no_word_panics(
        word in r##"([$\{}:\-+?#%/'"\\`< A*é\n]|\$\{A|[^\x00]){0,24}"##,
        escape in prop_oneof![Just('\\'), Just('`')],
        quotes in prop_oneof![
            Just(Quotes::Remove), Just(Quotes::Keep), Just(Quotes::Raw), Just(Quotes::Literal)
        ],
        keep_unset: bool,
    ) {
        let style = Style { escape, quotes, keep_unset };
        let _ = expand_words(&word, style, &env());
    }
}
