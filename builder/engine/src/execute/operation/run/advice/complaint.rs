//! What a shell, or kiln in its place, says of a program that it could not start. Unaware of whether that is so.

/// Shells by name; each says its own before what it complains about.
const SHELLS: [&str; 7] = ["sh", "bash", "ash", "dash", "zsh", "ksh", "exec"];

/// A program that was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// As the shell writes it.
    pub program: String,
    pub why: Why,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It, or what should run it, is not there.
    Missing,
    /// It may not be executed.
    Forbidden,
    /// It is no program of this machine.
    Format,
}

/// What is said, by dash, busybox, bash, env and kiln.
const REASONS: [(&str, Why); 9] = [
    ("not found", Why::Missing),
    ("command not found", Why::Missing),
    ("no such file or directory", Why::Missing),
    ("its interpreter", Why::Missing),
    ("bad interpreter", Why::Missing),
    ("permission denied", Why::Forbidden),
    ("exec format error", Why::Format),
    ("cannot execute binary file", Why::Format),
    // "cannot execute: required file not found"
    ("cannot execute", Why::Missing),
];

impl Complaint {
    /// The last one in an output. `argv` is what was started.
    pub(super) fn find(output: &str, argv: &[String]) -> Option<Self> {
        let mut lines = output.lines().rev().take(20);
        lines.find_map(|line| Complaint::read(line, argv))
    }

    /// `/bin/sh: 1: slep: not found`.
    fn read(line: &str, argv: &[String]) -> Option<Self> {
        let parts: Vec<&str> = line.trim().split(": ").collect();
        let speaker = parts.first()?.trim();
        let name = speaker.rsplit('/').next()?;
        let is_shell = SHELLS.contains(&name) || argv.first().is_some_and(|first| first == speaker);
        if !is_shell && !speaker.starts_with("/dev/pipes/") {
            return None;
        }
        let reason = |part: &&str| {
            let part = part.to_lowercase();
            let known = REASONS.iter().find(|(text, _)| part.starts_with(text));
            known.map(|(_, why)| *why)
        };
        let at = parts.iter().position(|part| reason(part).is_some())?;
        let is_named = parts[at].starts_with("bad interpreter");
        let program = parts.get(at.checked_sub(1 + usize::from(is_named))?)?;
        let program = program.trim_matches(['"', '\'', '`', '‘', '’']);
        let is_program = at > 0 && !program.is_empty() && !program.contains(' ');
        is_program.then(|| Complaint {
            program: program.to_owned(),
            why: reason(&parts[at]).unwrap_or(Why::Missing),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_complain_in_their_own_ways() {
        let cases = [
            ("/bin/sh: 1: slep: not found", Some(("slep", Why::Missing))),
            ("/bin/sh: slep: not found", Some(("slep", Why::Missing))),
            (
                "/bin/bash: line 1: slep: command not found",
                Some(("slep", Why::Missing)),
            ),
            (
                "/bin/bash: line 1: /x.sh: /bin/sh^M: bad interpreter: No such file or directory",
                Some(("/x.sh", Why::Missing)),
            ),
            (
                "/bin/bash: line 1: /x.sh: cannot execute: required file not found",
                Some(("/x.sh", Why::Missing)),
            ),
            (
                "/bin/bash: line 1: ./x: cannot execute binary file: Exec format error",
                Some(("./x", Why::Format)),
            ),
            (
                "/bin/sh: 1: /x.sh: Permission denied",
                Some(("/x.sh", Why::Forbidden)),
            ),
            (
                "exec: \"/x.sh\": permission denied",
                Some(("/x.sh", Why::Forbidden)),
            ),
            (
                "exec: \"/x\": its interpreter (first line, or ELF loader) was not found",
                Some(("/x", Why::Missing)),
            ),
            ("/bin/sh: 1: cannot create /c/x: Permission denied", None),
            ("cat: /etc/shadow: Permission denied", None),
            ("make: *** No rule", None),
        ];
        for (line, expected) in cases {
            let found = Complaint::find(&format!("before\n{line}\n"), &["/bin/sh".to_owned()]);
            let found = found
                .as_ref()
                .map(|found| (found.program.as_str(), found.why));
            assert_eq!(found, expected, "{line}");
        }
    }
}
