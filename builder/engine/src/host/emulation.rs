//! What this machine can run that is for another processor: itself, or through an emulator that is registered with the kernel
//! (`/proc/sys/fs/binfmt_misc`, documented in the kernel's admin guide under "binfmt_misc"). Unaware of steps.
//!
//! A handler counts by what it takes, not by its name: its magic number is compared with the header of a program for the
//! processor, as the kernel does. qemu, Rosetta, FEX and box64 are all found so.

use kiln_oci::Platform;
use std::path::{Path, PathBuf};

/// Where the kernel shows registered handlers, one file each.
const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";
/// Bytes of a header that the kernel compares (`BINPRM_BUF_SIZE` is 256; magic numbers of processors are below 64).
const HEADER: usize = 64;
/// Bytes of a handler's description that are read; the kernel's own limit for its magic number is below.
const MAX_ENTRY: usize = 16 << 10;

/// Registers an emulator where docker is.
const INSTALL: &str = "docker run --privileged --rm tonistiigi/binfmt --install";

/// Processors by Go's and qemu's names, with the fields of their ELF headers.
const PROCESSORS: &[Processor] = &[
    Processor::new("amd64", "x86_64", 64, Order::Little, 62),
    Processor::new("386", "i386", 32, Order::Little, 3),
    Processor::new("arm64", "aarch64", 64, Order::Little, 183),
    Processor::new("arm", "arm", 32, Order::Little, 40),
    Processor::new("riscv64", "riscv64", 64, Order::Little, 243),
    Processor::new("ppc64le", "ppc64le", 64, Order::Little, 21),
    Processor::new("ppc64", "ppc64", 64, Order::Big, 21),
    Processor::new("s390x", "s390x", 64, Order::Big, 22),
    Processor::new("loong64", "loongarch64", 64, Order::Little, 258),
    Processor::new("mips64le", "mips64el", 64, Order::Little, 8),
    Processor::new("mips64", "mips64", 64, Order::Big, 8),
    Processor::new("mipsle", "mipsel", 32, Order::Little, 8),
    Processor::new("mips", "mips", 32, Order::Big, 8),
];

#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
}

#[derive(Debug)]
struct Processor {
    /// GOARCH.
    architecture: &'static str,
    /// What comes behind `qemu-`.
    emulator: &'static str,
    /// Bits of an address.
    bits: u8,
    order: Order,
    /// `e_machine`.
    machine: u16,
}

impl Processor {
    const fn new(
        architecture: &'static str,
        emulator: &'static str,
        bits: u8,
        order: Order,
        machine: u16,
    ) -> Self {
        Processor {
            architecture,
            emulator,
            bits,
            order,
            machine,
        }
    }

    /// How an executable begins (System V ABI, "ELF Header"): identification, `ET_EXEC`, machine, version.
    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = self.bits / 32;
        header[5] = match self.order {
            Order::Little => 1,
            Order::Big => 2,
        };
        header[6] = 1;
        for (at, value) in [(16, 2), (18, self.machine)] {
            header[at..at + 2].copy_from_slice(&match self.order {
                Order::Little => value.to_le_bytes(),
                Order::Big => value.to_be_bytes(),
            });
        }
        header[20..24].copy_from_slice(&match self.order {
            Order::Little => 1_u32.to_le_bytes(),
            Order::Big => 1_u32.to_be_bytes(),
        });
        header
    }
}

/// The processor that a program is for, by Go's name; none where it is no program, or for one that is not known here.
pub fn architecture_of(program: &[u8]) -> Option<&'static str> {
    let field = |header: &[u8]| {
        (
            header.get(..6).map(<[u8]>::to_vec),
            header.get(18..20).map(<[u8]>::to_vec),
        )
    };
    let mut known = PROCESSORS.iter();
    let same = known.find(|processor| field(&processor.header()) == field(program))?;
    Some(same.architecture)
}

/// Why programs for a platform may not run here, for people; `None` when they do.
pub fn problem(platform: &Platform) -> Option<String> {
    problem_in(platform, &Platform::host(), Path::new(REGISTRY))
}

/// Whether programs for a platform run here.
pub fn can_run(platform: &Platform) -> bool {
    // very old images say nothing
    !platform.architecture.is_empty() && problem(platform).is_none()
}

/// What runs here: this machine's own platform first, then what it emulates.
pub fn runnable() -> Vec<Platform> {
    runnable_in(&Platform::host(), Path::new(REGISTRY))
}

fn runnable_in(host: &Platform, registry: &Path) -> Vec<Platform> {
    let others = PROCESSORS
        .iter()
        .map(|processor| Platform::new(&host.os, processor.architecture))
        .filter(|other| other != host && problem_in(other, host, registry).is_none());
    std::iter::once(host.clone()).chain(others).collect()
}

fn problem_in(platform: &Platform, host: &Platform, registry: &Path) -> Option<String> {
    // Very old images say nothing.
    if platform.architecture.is_empty() || host.rank(platform).is_some() {
        return None;
    }
    let foreign = format!("this step is for {platform}, this machine is {host}");
    let mut known = PROCESSORS.iter().filter(|_| platform.os == host.os);
    let processor = known.find(|processor| processor.architecture == platform.architecture);
    let Some(processor) = processor else {
        return Some(foreign);
    };
    let status = std::fs::read_to_string(registry.join("status"));
    let is_off = status.is_ok_and(|status| status.trim() == "disabled");
    let mut found = handlers(registry, &processor.header());
    found.sort_by_key(|handler| (handler.is_on, handler.is_on && handler.is_fixed));
    match found.last() {
        Some(best) if best.is_on && best.is_fixed && !is_off => None,
        best => Some(foreign + &lack(best, is_off, processor, registry)),
    }
}

/// What is wrong with the best emulator that is registered for a processor.
fn lack(best: Option<&Handler>, is_off: bool, processor: &Processor, registry: &Path) -> String {
    let Some(best) = best else {
        return absent(processor, registry);
    };
    let Handler {
        name,
        interpreter,
        is_on,
        ..
    } = best;
    if is_off || !is_on {
        let switch = registry.join(if is_off { "status" } else { name.as_str() });
        let switch = switch.display();
        return format!(
            "; its emulator ({interpreter}) is registered but switched off: echo 1 > {switch}"
        );
    }
    format!(
        "; its emulator is registered without flag F, so {interpreter} is looked for inside the image: register it with F \
         (package qemu-user-static does, as does `{INSTALL} {}`)",
        processor.architecture
    )
}

fn absent(processor: &Processor, registry: &Path) -> String {
    let hidden = if registry.join("status").exists() {
        ""
    } else {
        "; no emulator is seen while binfmt_misc is not mounted: mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
    };
    format!(
        " and has no emulator (qemu-{}) registered; to run it, install one: package qemu-user-static (Debian, Fedora: with \
         systemd-binfmt), or `{INSTALL} {}`{hidden}",
        processor.emulator, processor.architecture
    )
}

/// A registered handler that takes programs of a processor.
#[derive(Debug)]
struct Handler {
    name: String,
    interpreter: String,
    is_on: bool,
    /// Flag F: the kernel keeps the emulator open, whatever the root folder is.
    is_fixed: bool,
}

/// The handlers that take a program with this header, by name.
fn handlers(registry: &Path, header: &[u8; HEADER]) -> Vec<Handler> {
    let Ok(folder) = std::fs::read_dir(registry) else {
        return Vec::new();
    };
    let is_entry = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name != "register" && name != "status"
    };
    let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        handler(name, text.get(..MAX_ENTRY).unwrap_or(&text), header)
    };
    paths
        .into_iter()
        .filter(is_entry)
        .filter_map(read)
        .collect()
}

/// Reads the lines `enabled`, `interpreter PATH`, `flags: OCF`, `offset N`, `magic HEX`, `mask HEX` (the kernel's
/// `entry_status`); none when it takes other programs.
fn handler(name: String, text: &str, header: &[u8; HEADER]) -> Option<Handler> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let offset: usize = field("offset ")?.trim().parse().ok()?;
    let magic = bytes(field("magic ")?)?;
    let mask = match field("mask ") {
        Some(mask) => bytes(mask)?,
        None => vec![0xff; magic.len()],
    };
    let part = header.get(offset..offset.checked_add(magic.len())?)?;
    let is_taken = mask.len() == magic.len()
        && part
            .iter()
            .zip(magic.iter().zip(&mask))
            .all(|(byte, (magic, mask))| (byte ^ magic) & mask == 0);
    is_taken.then(|| Handler {
        name,
        interpreter: field("interpreter ").unwrap_or_default().to_owned(),
        is_on: text.lines().any(|line| line == "enabled"),
        is_fixed: field("flags:").is_some_and(|flags| flags.contains('F')),
    })
}

/// Pairs of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel shows Debian's handler for arm64.
    const ARM64: &str = "interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: FLAGS\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn parse(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    /// A registry with these files besides its own.
    fn registry(files: &[(&str, &str)]) -> tempfile::TempDir {
        let registry = tempfile::tempdir().unwrap();
        std::fs::write(registry.path().join("status"), "enabled\n").unwrap();
        std::fs::write(registry.path().join("register"), "").unwrap();
        for (name, text) in files {
            std::fs::write(registry.path().join(name), text).unwrap();
        }
        registry
    }

    fn problem(platform: &str, files: &[(&str, &str)]) -> Option<String> {
        let registry = registry(files);
        problem_in(&parse(platform), &parse("linux/amd64"), registry.path())
    }

    #[test]
    fn an_emulator_counts_when_it_is_on_and_fixed() {
        let entry =
            |state: &str, flags: &str| format!("{state}\n{}", ARM64.replace("FLAGS", flags));
        for (state, flags, wrong) in [
            ("disabled", "F", Some("echo 1 > ")),
            (
                "enabled",
                "OC",
                Some("without flag F, so /usr/libexec/qemu-binfmt/"),
            ),
            ("enabled", "POCF", None),
        ] {
            let text = entry(state, flags);
            let found = problem("linux/arm64", &[("any-name", &text)]);
            assert_eq!(found.is_some(), wrong.is_some(), "{text}");
            assert!(wrong.is_none_or(|wrong| found.unwrap().contains(wrong)));
            assert!(problem("linux/arm/v7", &[("any-name", &text)]).is_some());
        }
        let (on, off) = (entry("enabled", "F"), entry("disabled", ""));
        assert_eq!(problem("linux/arm64", &[("a", &off), ("b", &on)]), None);
        let all_off = problem("linux/arm64", &[("a", &on), ("status", "disabled\n")]);
        assert!(all_off.unwrap().contains("/status"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(problem("linux/amd64", &[]), None);
        assert_eq!(problem("linux/386", &[]), None);
        let none = problem(
            "linux/arm64",
            &[("qemu-aarch64", "enabled\nextension .py\n")],
        )
        .unwrap();
        assert!(none.contains("qemu-aarch64") && none.contains("qemu-user-static"));
        assert!(!none.contains("mounted"));
        let nowhere = problem_in(
            &parse("linux/s390x"),
            &parse("linux/amd64"),
            Path::new("/no"),
        );
        let nowhere = nowhere.unwrap();
        assert!(nowhere.contains("qemu-s390x") && nowhere.contains("not mounted"));
        assert!(problem("windows/amd64", &[]).is_some());
    }

    #[test]
    fn damaged_entries_are_none() {
        for text in [
            "",
            "enabled\nflags: F\noffset 60\nmagic 7f454c4602\n",
            "enabled\nflags: F\noffset 18446744073709551615\nmagic 7f45\n",
            "enabled\nflags: F\noffset 0\nmagic 7f4\n",
            "enabled\nflags: F\noffset 0\nmagic 7f45\nmask ff\n",
        ] {
            assert!(problem("linux/arm64", &[("x", text)]).is_some(), "{text}");
        }
    }

    #[test]
    fn big_ends_come_first_in_some_headers() {
        let s390x = "enabled\ninterpreter /q\nflags: F\noffset 0\nmagic 7f454c4602020100000000000000000000020016\n\
            mask ffffffffffffff00fffffffffffffffffffeffff\n";
        assert_eq!(problem("linux/s390x", &[("q", s390x)]), None);
        let registry = registry(&[("q", s390x)]);
        let runnable = runnable_in(&parse("linux/amd64"), registry.path());
        let names: Vec<String> = runnable.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["linux/amd64", "linux/386", "linux/s390x"]);
    }
}
