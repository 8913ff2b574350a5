//! Texts that users read, compared with files of `fixtures/golden/`. `UPDATE_GOLDEN=1` writes them anew. Unaware of what
//! they are about; what differs from run to run is masked.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A folder of `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    repository().join("fixtures").join(name)
}

/// Compares, after masking.
#[track_caller]
pub fn matches(name: &str, text: &str) {
    let masked = mask(text);
    update(name, &masked);
    assert_eq!(
        masked,
        expected(name),
        "{name} differs; if that is right, run the tests with UPDATE_GOLDEN=1"
    );
}

/// Whether it is what is expected, after masking: for texts that are on their way there.
pub fn is(name: &str, text: &str) -> bool {
    mask(text) == expected(name)
}

/// What is expected.
pub fn expected(name: &str) -> String {
    std::fs::read_to_string(fixture("golden").join(name)).unwrap_or_default()
}

/// Whether the files are to be written anew.
pub fn is_updated() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Expects this text from now on, if somebody wants it so.
pub fn update(name: &str, text: &str) {
    if is_updated() {
        let path = fixture("golden").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Times become `TIME`, sizes `SIZE`, digests `DIGEST`; warnings that are the mode's go.
fn mask(text: &str) -> String {
    let of_the_mode =
        |line: &&str| line.contains("only one user id") || line.contains("refuses a fresh /proc");
    let lines = text.lines().filter(|line| !of_the_mode(line));
    lines.map(mask_line).map(|line| line + "\n").collect()
}

fn mask_line(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(mask_word).collect();
    words.join(" ").trim_end().to_owned()
}

fn mask_word(word: &str) -> String {
    let end = word.trim_end_matches([',', ';', ')', ':']);
    let punctuation = &word[end.len()..];
    let digits = end
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(end.len());
    let (number, unit) = end.split_at(digits);
    let is_hex = |text: &str| text.len() >= 12 && text.chars().all(|c| c.is_ascii_hexdigit());
    let masked = match unit {
        _ if is_hex(end.trim_start_matches("sha256:")) => "DIGEST",
        "ms" | "s" if !number.is_empty() => "TIME",
        "B" | "kB" | "MB" | "GB" if !number.is_empty() => "SIZE",
        _ => end,
    };
    format!("{masked}{punctuation}")
}

/// Of `kiln doctor`: the names of the checks, in order. How they stand is the machine's.
pub fn shape(told: &str) -> String {
    let checks = told.lines().filter(|line| !line.starts_with("   "));
    let name = |line: &str| -> Option<String> {
        let rest = ["ok     ", "weak   ", "missing"]
            .iter()
            .find_map(|mark| line.strip_prefix(mark))?;
        Some(rest.trim_start().split_once(": ")?.0.to_owned() + "\n")
    };
    checks
        .map(|line| name(line).unwrap_or_else(|| format!("not understood: {line}\n")))
        .collect()
}
