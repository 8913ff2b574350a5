//! The help, its examples and the manual pages. What completions offer is in `completions`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::golden;
use crate::support::{Mode, Space, mode, plain_cases};

plain_cases! {
    the_short_help_of_build_fits_on_a_screen,
    the_long_help_of_build_is_in_groups,
    examples_are_understood,
    every_command_has_a_manual_page,
}

fn the_short_help_of_build_fits_on_a_screen(space: &Space) {
    let help = |words: &[&str]| space.kiln(words).env("COLUMNS", "80").ok().stdout;
    let screen = help(&["build", "-h"]);
    golden::matches("help/build.txt", &screen);
    // with the line of the prompt, a terminal of 24 lines shows it all
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines.len() < 24, "{screen}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    for group in ["image", "builder", "buildx"] {
        let other = help(&[group, "build", "-h"]);
        assert_eq!(other.lines().skip(1).collect::<Vec<_>>(), lines[1..]);
    }
    assert_eq!(help(&["build", "--no-cache", "-q", "-h"]), screen);
    // a value is no question, and other commands have few flags
    space
        .kiln(["build", "-t", "-h", "no-such-folder"])
        .exits(2)
        .says(&["no-such-folder"]);
    assert!(help(&["images", "-h"]).contains("--store"));
}

fn the_long_help_of_build_is_in_groups(space: &Space) {
    let help = space.kiln(["build", "--help"]).ok().stdout;
    let titles: Vec<&str> = help
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .collect();
    assert_eq!(
        titles,
        [
            "Arguments:",
            "Options:",
            "Image:",
            "Cache:",
            "Registries and rights:",
            "RUN:",
            "Limits of RUN:",
            "Progress and questions:",
            "Results:",
            "Everywhere:",
            "Examples:"
        ]
    );
    assert_eq!(space.kiln(["help", "build"]).ok().stdout, help);
}

/// The names in the help of kiln itself.
fn commands(space: &Space) -> Vec<String> {
    let help = space.kiln(["--help"]).ok().stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(first)
        .collect()
}

fn examples_are_understood(space: &Space) {
    let mut tried = 0;
    for command in commands(space) {
        let help = space.kiln([&command, "--help"]).env("COLUMNS", "80");
        let help = help.ok().stdout;
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        assert!(examples.lines().all(|line| line.len() <= 80), "{examples}");
        let examples = examples.replace("\\\n", " ");
        let lines = examples
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let parts = lines.flat_map(|line| line.split(['|', '<', '>', '(', ')']));
        for part in parts
            .map(str::trim)
            .filter(|part| part.starts_with("kiln "))
        {
            // what follows an image is the command line of another program
            let of_another = ["run", "exec"].iter().find_map(|verb| {
                let rest = part.strip_prefix(&format!("kiln {verb} "))?;
                Some(format!("kiln {verb} --help {rest}"))
            });
            let asked = of_another.unwrap_or_else(|| format!("{part} --help"));
            let shown = space.shell(&asked).ok().stdout;
            assert!(shown.contains("Usage: kiln"), "{part}: {shown}");
            tried += 1;
        }
    }
    assert!(tried > 25, "{tried} examples");
}

fn every_command_has_a_manual_page(space: &Space) {
    let folder = space.own().join("share/man1");
    space.kiln(["man"]).arg(&folder).ok();
    let entries = fs::read_dir(&folder).unwrap();
    let names: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        commands(space)
            .iter()
            .all(|command| names.contains(&format!("kiln-{command}.1"))),
        "{names:?}"
    );
    assert!(
        names.contains("kiln.1") && names.contains("kiln-image-ls.1"),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name.contains("__")), "{names:?}");
    let page = fs::read_to_string(folder.join("kiln-build.1")).unwrap();
    for part in [
        ".SH \"RUN\"",
        ".SH EXAMPLES",
        "\\-\\-build\\-arg",
        "oci\\-layout://images",
    ] {
        assert!(
            page.contains(part) || page.contains(&part.replace('"', "")),
            "{part}: {page}"
        );
    }
    assert_eq!(
        space.kiln(["man"]).stdout(),
        fs::read(folder.join("kiln.1")).unwrap()
    );
    space
        .kiln(["man", "/proc/no/such"])
        .exits(2)
        .says(&["/proc/no/such"]);
    if Command::new("groff").arg("--version").output().is_err() {
        return mode::skip(
            "groff reads the manual pages",
            Mode::Caller,
            "there is no groff",
        );
    }
    for name in names {
        let read = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww"])
            .arg(folder.join(&name))
            .output()
            .unwrap();
        assert!(
            read.status.success() && read.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&read.stderr)
        );
    }
}
