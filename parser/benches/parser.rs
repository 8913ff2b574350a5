//! How long reading takes: `cargo bench -p kiln-parser`. Goals and figures are in
//! `docs/benchmarks.md`.

use kiln_oci::Platform;
use kiln_parser::ignore::Matcher;
use kiln_parser::words::{self, NoVariables, Style};
use kiln_parser::{Bases, Inputs, evaluate, parse};

fn main() {
    divan::main();
}

/// A Dockerfile of many instructions of all sorts.
fn dockerfile(instructions: usize) -> String {
    const SORTS: [&str; 5] = [
        "RUN --mount=type=cache,target=/c make \\\n  -j4 all\n",
        "ENV KEY=value OTHER=\"two words\"\n",
        "COPY --chown=1:2 src/*.rs docs /dst/\n",
        "LABEL a=$KEY\n",
        "WORKDIR sub/dir\n",
    ];
    let mut text = "FROM scratch\n".to_owned();
    SORTS
        .iter()
        .cycle()
        .take(instructions)
        .for_each(|sort| text.push_str(sort));
    text
}

#[divan::bench]
fn parse_10_000_instructions(bencher: divan::Bencher<'_, '_>) {
    let text = dockerfile(10_000);
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_one_line_of_16_mib(bencher: divan::Bencher<'_, '_>) {
    let text = format!("FROM x\nRUN {}\n", "word ".repeat(3 << 20));
    bencher.bench(|| parse(&text));
}

/// The largest Dockerfile that is read.
const LARGEST: usize = 16 << 20;

/// As often as it fits into the largest Dockerfile.
fn filled(begin: &str, piece: &str, end: &str) -> String {
    let room = LARGEST - begin.len() - end.len();
    [begin, &piece.repeat(room / piece.len()), end].concat()
}

#[divan::bench]
fn parse_16_mib_of_short_lines(bencher: divan::Bencher<'_, '_>) {
    let text = filled("FROM x\n", "RUN a \\\n# comment\n  && b c\n", "");
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_16_mib_of_short_instructions(bencher: divan::Bencher<'_, '_>) {
    let text = filled("FROM x\n", "RUN echo hello\n", "");
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_16_mib_of_continued_lines(bencher: divan::Bencher<'_, '_>) {
    let text = filled("FROM x\nENV ", "a=\"b\" \\\n", "c=d\n");
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_a_heredoc_of_16_mib(bencher: divan::Bencher<'_, '_>) {
    let text = filled("FROM x\nCOPY <<EOF /\n", "line $A\n", "EOF\n");
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_16_mib_of_open_heredocs(bencher: divan::Bencher<'_, '_>) {
    let text = filled("FROM x\n", "RUN <<A <<B\n", "");
    bencher.bench(|| parse(&text));
}

#[divan::bench]
fn parse_and_evaluate_10_000_stages(bencher: divan::Bencher<'_, '_>) {
    let text = "FROM scratch\nLABEL a=b\n".repeat(10_000);
    let inputs = Inputs {
        all_stages: true,
        ..Inputs::new(Platform::new("linux", "amd64"))
    };
    bencher.bench(|| evaluate(&parse(&text).dockerfile, &inputs, &Bases::default()));
}

#[divan::bench]
fn evaluate_1_000_instructions(bencher: divan::Bencher<'_, '_>) {
    let parsed = parse(&dockerfile(1_000));
    let inputs = Inputs::new(Platform::new("linux", "amd64"));
    bencher.bench(|| evaluate(&parsed.dockerfile, &inputs, &Bases::default()));
}

#[divan::bench]
fn expand_a_word(bencher: divan::Bencher<'_, '_>) {
    bencher.bench(|| words::expand("${A:-x}/usr/\"lib\"/$B", Style::new('\\'), &NoVariables));
}

#[divan::bench]
fn ignore_100_000_paths_by_20_patterns(bencher: divan::Bencher<'_, '_>) {
    let patterns = [
        "*",
        "!src",
        "!Cargo.*",
        "**/*.log",
        "**/node_modules",
        "target",
        ".git",
        "docs/**",
        "**/.cache/**",
        "*.md",
        "!README.md",
        "src/*.tmp",
        "src/**/*.bak",
        "build*",
        "[Dd]ist",
        "a?c",
        "**/test*",
        "!src/keep/**",
        "vendor/*/tests",
        "tmp/",
    ];
    let matcher = Matcher::new(patterns).unwrap_or_default();
    let paths: Vec<String> = (0..100_000)
        .map(|n| format!("src/d{}/file{n}.rs", n % 100))
        .collect();
    bencher.bench(|| {
        let root = matcher.enter(&matcher.root(), "src").unwrap_or_default();
        let states: Vec<_> = (0..100)
            .map(|n| {
                matcher
                    .enter(&root, &format!("src/d{n}"))
                    .unwrap_or_default()
            })
            .collect();
        let ignored = |(n, path): (usize, &String)| {
            matcher.ignored_in(&states[n % 100], path).unwrap_or(true)
        };
        paths
            .iter()
            .enumerate()
            .map(ignored)
            .filter(|ignored| *ignored)
            .count()
    });
}
