//! Programs in the image that are for another processor than the image says (the field `e_machine` of ELF).

use super::Finding;
use super::subject::Subject;
use kiln_oci::Platform;

/// Bytes of an ELF header up to its machine.
const HEAD: usize = 20;
/// Architectures in the words of images: `e_machine`, whether it is little-endian, and whether it has 64 bits.
const MACHINES: [(&str, u16, bool, bool); 9] = [
    ("amd64", 62, true, true),
    ("386", 3, true, false),
    ("arm64", 183, true, true),
    ("arm", 40, true, false),
    ("riscv64", 243, true, true),
    ("ppc64le", 21, true, true),
    ("s390x", 22, false, true),
    ("loong64", 258, true, true),
    ("mips64le", 8, true, true),
];

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    subject
        .own()
        .filter_map(|layer| of_layer(subject, layer))
        .collect()
}

fn of_layer(subject: &Subject<'_>, layer: usize) -> Option<Finding> {
    let programs = subject.files(layer).filter(|file| {
        let is_shown = file.fate.hidden_by.is_none() && file.fate.bytes > HEAD as u64;
        is_shown && file.entry.mode & 0o111 != 0
    });
    let foreign: Vec<(String, &str)> = programs
        .filter_map(|file| {
            let head = (subject.read)(layer, file.entry, HEAD)?;
            let machine = machine(&head)?;
            (!runs(&subject.platform, machine)).then(|| (file.path(), machine))
        })
        .collect();
    let (path, machine) = foreign.first()?;
    Some(Finding {
        line: subject.line_of(layer),
        what: format!(
            "{} programs are for {machine}, the image is for {}: /{path}",
            foreign.len(),
            subject.platform
        ),
        advice: "take the files of $TARGETARCH, or say with --platform what the image is for"
            .to_owned(),
        ..Finding::default()
    })
}

/// The architecture of a program for Linux, if it is a known one.
fn machine(head: &[u8]) -> Option<&'static str> {
    let class = head.strip_prefix(b"\x7fELF")?;
    let (is_wide, is_little) = (*class.first()? == 2, *class.get(1)? == 1);
    let bytes = [*head.get(18)?, *head.get(19)?];
    let number = if is_little {
        u16::from_le_bytes(bytes)
    } else {
        u16::from_be_bytes(bytes)
    };
    let known = MACHINES.iter().find(|(_, machine, little, wide)| {
        (*machine, *little, *wide) == (number, is_little, is_wide)
    });
    known.map(|(name, ..)| *name)
}

/// Whether a processor of the platform runs it by itself.
fn runs(platform: &Platform, machine: &str) -> bool {
    let own = platform.architecture.as_str();
    own == machine || matches!((own, machine), ("amd64", "386") | ("arm64", "arm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_the_head() {
        let head = |class: u8, data: u8, machine: [u8; 2]| {
            let mut head = vec![0x7f, b'E', b'L', b'F', class, data];
            head.resize(18, 0);
            head.extend(machine);
            machine_of(&head)
        };
        assert_eq!(head(2, 1, [62, 0]), Some("amd64"));
        assert_eq!(head(2, 2, [0, 22]), Some("s390x"));
        assert_eq!(head(1, 1, [40, 0]), Some("arm"));
        assert_eq!(head(2, 1, [255, 255]), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }

    fn machine_of(head: &[u8]) -> Option<&'static str> {
        machine(head)
    }
}
