//! What this machine can run that is for another processor: itself, or through an emulator that is registered with the kernel
//! (`/proc/sys/fs/binfmt_misc`, documented in the kernel's admin guide under "binfmt_misc"). Unaware of steps.

use kiln_oci::Platform;
use std::path::Path;

/// Where the kernel shows registered emulators, one file each.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// Why programs for a platform may not run here, for people; `None` when they do.
#[must_use]
pub fn problem(platform: &Platform) -> Option<String> {
    problem_in(platform, &Platform::host(), Path::new(REGISTRY))
}

fn problem_in(platform: &Platform, host: &Platform, registry: &Path) -> Option<String> {
    if host.rank(platform).is_some() {
        return None;
    }
    let machine = machine(&platform.architecture);
    let advice = format!(
        "this step is for {platform}, this machine is {host}; to run it, install an emulator: package qemu-user-static (Debian, Fedora: with \
         systemd-binfmt), or `docker run --privileged --rm tonistiigi/binfmt --install {}`",
        platform.architecture
    );
    match registered(registry, machine) {
        None => Some(advice),
        Some(entry) if !entry.lines().any(|line| line == "enabled") => Some(format!(
            "this step is for {platform}; the emulator of {machine} is registered but switched off in {REGISTRY}"
        )),
        Some(entry) if !has_fixed_interpreter(&entry) => Some(format!(
            "this step is for {platform}; the emulator of {machine} is registered without flag F, so it is not found inside an image: \
             register it with F (qemu-user-static does)"
        )),
        Some(_) => None,
    }
}

/// The processor as qemu names it.
fn machine(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "386" => "i386",
        "arm64" => "aarch64",
        "loong64" => "loongarch64",
        "mips64le" => "mips64el",
        "mipsle" => "mipsel",
        other => other,
    }
}

/// The text of the entry for a processor, such as `qemu-aarch64`.
fn registered(registry: &Path, machine: &str) -> Option<String> {
    let mut names: Vec<_> = std::fs::read_dir(registry)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    let name = names.into_iter().find(|name| {
        let name = name.to_string_lossy();
        name.rsplit(['-', '_']).next() == Some(machine) || name.ends_with(&format!("-{machine}"))
    })?;
    std::fs::read_to_string(registry.join(name)).ok()
}

/// `flags: OCF`: the kernel keeps the emulator open, whatever the root folder is.
fn has_fixed_interpreter(entry: &str) -> bool {
    let flags = entry.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.is_some_and(|flags| flags.contains('F'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_counts_when_it_is_on_and_fixed() {
        let registry = tempfile::tempdir().unwrap();
        let parse = |text| Platform::parse(text).unwrap();
        let problem =
            |platform| problem_in(&parse(platform), &parse("linux/amd64"), registry.path());
        assert_eq!(problem("linux/amd64"), None);
        assert_eq!(problem("linux/386"), None);
        assert!(problem("linux/arm64").unwrap().contains("qemu-user-static"));
        let entry = registry.path().join("qemu-aarch64");
        for (text, wrong) in [
            ("disabled\nflags: F\n", Some("switched off")),
            ("enabled\nflags: OC\n", Some("without flag F")),
            ("enabled\ninterpreter /usr/bin/qemu\nflags: POCF\n", None),
        ] {
            std::fs::write(&entry, text).unwrap();
            let found = problem("linux/arm64");
            assert_eq!(found.is_some(), wrong.is_some(), "{text}");
            assert!(wrong.is_none_or(|wrong| found.unwrap().contains(wrong)));
        }
        assert!(problem("linux/arm/v7").is_some());
    }
}
