//! Programs in the image that are for another processor than the image says (the field `e_machine` of ELF).

use super::Finding;
use super::subject::{File, Subject};
use kiln_oci::Platform;

const ADVICE: &str = "take the files of $TARGETARCH, or say with --platform what the image is for";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let own = subject.own();
    own.filter_map(|layer| of_layer(subject, layer)).collect()
}

fn of_layer(subject: &Subject<'_>, layer: usize) -> Option<Finding> {
    let programs = &subject.image.layers.get(layer)?.programs;
    let shown = subject
        .files(layer)
        .filter(|file| file.fate.hidden_by.is_none() && is_used(file));
    let foreign = shown.filter_map(|file| {
        let program = programs.get(&file.entry.path)?;
        let machine = program.machine.filter(|_| program.is_linked)?;
        (!runs(&subject.platform, machine)).then(|| (file.path(), machine))
    });
    let foreign: Vec<(String, &str)> = foreign.collect();
    let (path, machine) = foreign.first()?;
    let (count, platform) = (foreign.len(), &subject.platform);
    let what = match count {
        1 => format!("/{path} is for {machine}, the image is for {platform}"),
        _ => format!("{count} programs are for {machine}, the image is for {platform}: /{path}"),
    };
    let finding = Finding {
        line: subject.line_of(layer),
        what,
        ..Finding::default()
    };
    Some(finding.advised(ADVICE))
}

/// Whether a file is executed or loaded; firmware and samples for other machines are only read.
fn is_used(file: &File<'_>) -> bool {
    let is_library = file.entry.path.windows(3).any(|part| part == b".so");
    file.entry.mode & 0o111 != 0 || is_library
}

/// Whether a processor of the platform runs it by itself.
fn runs(platform: &Platform, machine: &str) -> bool {
    let own = platform.architecture.as_str();
    own == machine || matches!((own, machine), ("amd64", "386") | ("arm64", "arm"))
}
