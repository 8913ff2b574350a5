//! `debug parse --json FILE`, `debug words --json`, `debug ignore --json`: the parser's view as
//! JSON, without the rest of kiln. An optional first word `debug` is skipped.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use kiln_parser::debug;

fn main() -> io::Result<ExitCode> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .skip_while(|word| *word == "debug")
        .collect();
    match words[..] {
        ["parse", file] => {
            let bytes = std::fs::read(file)?;
            let (tree, good) = debug::parse_json(&String::from_utf8_lossy(&bytes));
            println!("{tree}");
            Ok(ExitCode::from(u8::from(!good)))
        }
        ["words"] => each_line(debug::words_line),
        ["ignore"] => each_line(debug::ignore_line),
        _ => {
            eprintln!("usage: debug parse --json FILE | words --json | ignore --json");
            Ok(ExitCode::from(2))
        }
    }
}

fn each_line(answer: fn(&str) -> String) -> io::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&line?))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
