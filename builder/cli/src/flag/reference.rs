//! `docs/build-flags.md`, made from the tables of the flags; stale pages fail. Unaware of what flags do.

use super::context::Source;
use super::{Flags, foreign};
use crate::environment;
use clap::{Arg, Args, Command};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Flags of `kiln build`

This page is generated from the flags in `builder/cli/src/flag/`; `UPDATE_GOLDEN=1 cargo test build_flags_page` updates it.

kiln reads flags by pflag's rules, as docker does. A flag without a value is a switch: `--push=false` turns it off, `--push=true` turns it on,
and `0`, `f`, `1`, `t` and so on work too. If a flag takes one value, the last one counts, and an empty value (`--target ''`) counts as none.
A flag that may be repeated ignores empty values, unless they would be names (`--tag`, `--build-arg`, `--label`, `--platform`, …).

| flag | what it does |
| --- | --- |
";

const FOREIGN: &str = "
## Flags of other engines

kiln accepts these flags with a warning if they cannot change the image. Otherwise it refuses them and says what to do instead. *Off* means
accepted if the flag turns something off (`=false`), and refused otherwise. Attestations are warned about once, and refused only with `mode=max`.

| flag | answer | reason or alternative |
| --- | --- | --- |
";

/// Text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

/// `-t, --tag NAME`
fn spelling(flag: &Arg) -> String {
    let short = flag.get_short().map(|short| format!("-{short}"));
    let long = flag.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let mut spelling = names.join(", ");
    if flag.get_action().takes_values() {
        let values = flag.get_value_names().unwrap_or_default();
        let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
        let optional = flag
            .get_num_args()
            .is_some_and(|range| range.min_values() == 0);
        let values = values.join(" ");
        spelling += &if optional {
            format!("[={values}]")
        } else {
            format!(" {values}")
        };
    }
    spelling
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let command = Flags::augment_args(Source::augment_args(Command::default()));
    let is_shown = |flag: &&Arg| !flag.is_hide_set() && !flag.is_positional();
    for flag in command.get_arguments().filter(is_shown) {
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "| `{}` | {} |", cell(&spelling(flag)), cell(&help)).unwrap();
    }
    page += FOREIGN;
    for (flag, answer, text) in foreign::answers() {
        writeln!(page, "| `{flag}` | {answer} | {} |", cell(text)).unwrap();
    }
    page
}

#[test]
fn build_flags_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/build-flags.md");
    let page = page();
    if environment::variable("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/build-flags.md is stale: run the tests with UPDATE_GOLDEN=1"
    );
}
