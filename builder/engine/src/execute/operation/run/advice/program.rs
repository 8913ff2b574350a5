//! Why a program could not be started, as the files of the image tell. Unaware of what the shell said of it.

use super::Scene;
use super::complaint::{Complaint, Why};
use crate::execute::copy::shown;
use crate::host::emulation;
use kiln_cache::{Entry, EntryKind, Found};
use kiln_oci::Platform;
use kiln_parser::suggest;
use std::io::Read;

/// Where programs are looked for if `PATH` says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of a program that are looked at: the kernel looks at as many.
const HEAD: u64 = 256;

/// What is wrong, and what helps.
pub(super) fn advice(scene: &Scene<'_>, complaint: &Complaint) -> Option<String> {
    let name = complaint.program.as_str();
    if name.contains('\r') || name.ends_with("^M") {
        return Some(line_ends("a script"));
    }
    let Some((path, found)) = find(scene, name) else {
        let is_missing = complaint.why == Why::Missing;
        return is_missing.then(|| absent(scene, name)).flatten();
    };
    let head = head(scene, &found);
    match complaint.why {
        Why::Missing => lacks(scene, &path, &head),
        Why::Forbidden => (found.entry.mode & 0o111 == 0).then(|| {
            format!("{path} is not executable: copy it with COPY --chmod=755, or run chmod +x {path} before")
        }),
        Why::Format => format(&path, &head),
    }
}

/// The program that a name means, and its path.
fn find<'a>(scene: &Scene<'a>, name: &str) -> Option<(String, Found<'a>)> {
    let paths = match name.contains('/') {
        true => vec![absolute(scene, name)],
        false => folders(scene)
            .map(|folder| format!("{folder}/{name}"))
            .collect(),
    };
    paths.into_iter().find_map(|path| {
        let resolved = scene.files.resolve(path.as_bytes(), true).ok()?;
        let found = resolved.found.filter(|found| is_file(found.entry))?;
        Some((path, found))
    })
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File { .. })
}

fn absolute(scene: &Scene<'_>, path: &str) -> String {
    let path = path.trim_start_matches("./");
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", scene.op.cwd.trim_end_matches('/')),
    }
}

fn folders<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a str> {
    let mut values = scene.op.env.iter();
    let path = values.find_map(|variable| variable.strip_prefix("PATH="));
    path.unwrap_or(PATH)
        .split(':')
        .filter(|folder| folder.starts_with('/'))
}

/// A program that is not there.
fn absent(scene: &Scene<'_>, name: &str) -> Option<String> {
    let is_shell = scene.op.argv.first().is_some_and(|first| first == name) && name.ends_with("sh");
    if is_shell {
        return Some(absent_shell(scene, name));
    }
    if !name.contains('/') {
        let known = absent_sudo(scene, name).or_else(|| absent_manager(scene, name));
        return Some(known.unwrap_or_else(|| absent_in_path(scene, name)));
    }
    let path = absolute(scene, name);
    let (folder, name) = path.rsplit_once('/')?;
    let names = names(scene, folder);
    let near = suggest::nearest(name, names.iter().map(String::as_str))?;
    Some(format!("did you mean {folder}/{near}?"))
}

/// A shell, in the exec form or as what runs the others.
fn absent_shell(scene: &Scene<'_>, name: &str) -> String {
    let is_exec = scene.op.argv.join(" ") == scene.op.command_display;
    let advice = match (find(scene, "/bin/sh").is_some(), is_exec) {
        (true, true) => "install it, or use sh, which it has",
        (true, false) => "install it, or write SHELL [\"/bin/sh\", \"-c\"], which it has",
        (false, true) => "start a program that it has, or take a base that has a shell",
        (false, false) => {
            "use the exec form, RUN [\"PROGRAM\", \"ARGUMENT\"], or a base that has a shell"
        }
    };
    format!("the image has no {name}: {advice}")
}

/// What becomes root, which a RUN mostly is.
fn absent_sudo(scene: &Scene<'_>, name: &str) -> Option<String> {
    let advice = match scene.user.uid {
        _ if !matches!(name, "sudo" | "doas") => return None,
        0 => "and this RUN is root already: leave it out",
        _ => "put USER root before this RUN, and the other USER behind it",
    };
    Some(format!("the image has no {name}, {advice}"))
}

/// A package manager of another distribution, with how the image's own installs.
fn absent_manager(scene: &Scene<'_>, name: &str) -> Option<String> {
    const MANAGERS: [(&str, &str); 8] = [
        ("apt-get", "apt-get update && apt-get install -y"),
        ("apt", "apt-get update && apt-get install -y"),
        ("apk", "apk add --no-cache"),
        ("microdnf", "microdnf install -y"),
        ("dnf", "dnf install -y"),
        ("yum", "yum install -y"),
        ("zypper", "zypper install -y"),
        ("pacman", "pacman -Sy --noconfirm"),
    ];
    MANAGERS.iter().find(|(manager, _)| *manager == name)?;
    let own = MANAGERS
        .iter()
        .find(|(manager, _)| find(scene, manager).is_some());
    Some(match own {
        Some((manager, install)) => {
            format!("the image has no {name}, but {manager}: RUN {install} PACKAGE")
        }
        None => format!(
            "the image has neither {name} nor another package manager: take a base that has one, or COPY --from an image that has \
             the program"
        ),
    })
}

fn absent_in_path(scene: &Scene<'_>, name: &str) -> String {
    let known: Vec<String> = folders(scene)
        .flat_map(|folder| names(scene, folder))
        .collect();
    match suggest::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}? {name} is in no folder of PATH"),
        None => {
            let path: Vec<&str> = folders(scene).collect();
            let path = path.join(":");
            format!("the image has no {name} in PATH ({path}): install it, or name its path")
        }
    }
}

/// What a folder holds.
fn names(scene: &Scene<'_>, folder: &str) -> Vec<String> {
    let Ok(resolved) = scene.files.resolve(folder.as_bytes(), true) else {
        return Vec::new();
    };
    let children = scene.files.children(&resolved.path).into_iter();
    children.map(|(name, _)| shown(name)).collect()
}

fn head(scene: &Scene<'_>, found: &Found<'_>) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = scene.files.read(found) {
        // what cannot be read says nothing
        let _ = file.take(HEAD).read_to_end(&mut head);
    }
    head
}

/// What should run a program that is there is not.
fn lacks(scene: &Scene<'_>, path: &str, head: &[u8]) -> Option<String> {
    let Some(line) = head.strip_prefix(b"#!") else {
        let is_program = head.starts_with(b"\x7fELF");
        return is_program.then(|| {
            format!("{path} is there, but the loader that it names is not: it was linked for another C library (glibc, musl)")
        });
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some(line_ends(path));
    }
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let interpreter = words.next()?;
    if find(scene, interpreter).is_none() {
        return Some(format!(
            "{path} begins with #!{interpreter}, which is not in the image"
        ));
    }
    let program = words.next().filter(|_| interpreter.ends_with("/env"))?;
    let begin = format!("#!{interpreter} {program}");
    let is_missing = find(scene, program).is_none();
    is_missing.then(|| format!("{path} begins with {begin}, and {program} is in no folder of PATH"))
}

fn line_ends(path: &str) -> String {
    format!(
        "the first line of {path} ends with CR LF, as Windows writes it, and no program has a CR in its name: write the file \
         with LF (dos2unix; * text=auto eol=lf in .gitattributes)"
    )
}

/// What cannot be executed here.
fn format(path: &str, head: &[u8]) -> Option<String> {
    let host = Platform::host();
    match emulation::architecture_of(head) {
        Some(architecture) if architecture != host.architecture => Some(format!(
            "{path} is a program for {architecture}, and this machine is {host}: take the one for {}, or build with \
             --platform {}/{architecture}",
            host.architecture, host.os
        )),
        Some(_) => None,
        None if head.starts_with(b"\x7fELF") => Some(format!(
            "{path} is a program for another processor than {host}"
        )),
        None if head.starts_with(b"#!") => None,
        None => Some(format!(
            "{path} is no program, and has no first line such as #!/bin/sh"
        )),
    }
}
