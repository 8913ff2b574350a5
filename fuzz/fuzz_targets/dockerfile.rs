//! A Dockerfile: spans lie inside the source, and checks, outlines and JSON never panic.
#![no_main]

use kiln_oci::{ImageConfig, Platform};
use kiln_parser::ignore::Matcher;
use kiln_parser::inputs::{ImageRequest, Inputs};
use kiln_parser::source::Span;
use kiln_parser::{check, debug, outline, parse, targets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let inside = |span: Span| assert!(source.get(span.range()).is_some(), "{span:?}");
    let parsed = parse(source);
    for line in &parsed.dockerfile.lines {
        inside(line.span);
        line.words().iter().for_each(|word| inside(word.span));
        line.heredocs
            .iter()
            .for_each(|heredoc| inside(heredoc.span));
    }
    parsed.errors.iter().for_each(|error| inside(error.span));
    let _ = debug::parse_json(source);
    let _ = targets::targets(&parsed.dockerfile);
    let platform = Platform::new("linux", "amd64");
    // Every other image is there, with a variable and a trigger.
    let mut find = |request: &ImageRequest| {
        let mut config = ImageConfig::new(&request.platform);
        config.config.env = vec!["FROM_BASE=1".to_owned()];
        config.config.on_build = vec!["COPY --from=a b /$FROM_BASE".to_owned()];
        (request.reference.len() % 2 == 0).then_some(config)
    };
    let mut inputs = Inputs::new(platform);
    inputs.ignore = Matcher::new(["a*", "**/b"]).unwrap_or_default();
    let report = check::check(source, &inputs, &mut find);
    for found in report.errors.iter().chain(&report.warnings) {
        inside(found.span);
    }
    if !parsed.has_errors() {
        let _ = outline(&parsed.dockerfile, &inputs, &mut find);
    }
});
