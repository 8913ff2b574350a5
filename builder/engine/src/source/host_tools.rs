//! A root file system from the host's own programs: `--build-context tools=host-tools:sh,ls,cat`. Finds the named programs,
//! the interpreters and shared libraries that they need, and says where each belongs. Unaware of layers and contexts: it
//! answers with a list of files.
//!
//! Which libraries a program loads is the dynamic loader's decision (cache, RUNPATH, hardware variants), so the loader
//! itself is asked: `ld.so --list PROGRAM`, what ldd does. Only the loader runs, never the program.

use crate::failure::HostToolsError;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Directories that are links into `/usr` on merged systems; programs name their loader and libraries through them.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Scripts that name scripts that name scripts.
const MAX_INTERPRETERS: usize = 8;

/// The files of such a root file system; paths are relative to its root.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostTools {
    /// Path in the image -> file on the host.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Symbolic links: path in the image -> target.
    pub links: BTreeMap<PathBuf, PathBuf>,
}

/// Collects the programs `names` from the folders of `search_path` (the form of `PATH`).
///
/// # Errors
/// When a program is not there, cannot be read or needs a library that is missing.
pub fn collect(names: &[String], search_path: &str) -> Result<HostTools, HostToolsError> {
    if names.is_empty() {
        return Err(HostToolsError::Empty);
    }
    let mut tools = HostTools::default();
    let mut search = Search {
        path: search_path,
        seen: BTreeSet::new(),
        questions: Vec::new(),
    };
    for name in names {
        let program = find(name, search_path)?;
        tools.add_program(&program, &mut search, 0)?;
    }
    for question in search.questions {
        for library in question.answer()? {
            tools.add_file(&library)?;
        }
    }
    tools.add_merged_links();
    Ok(tools)
}

/// What has been looked at, and the loaders that were asked and have not answered yet: they work side by side.
struct Search<'a> {
    path: &'a str,
    seen: BTreeSet<PathBuf>,
    questions: Vec<Question>,
}

fn find(name: &str, search_path: &str) -> Result<PathBuf, HostToolsError> {
    if name.starts_with('/') {
        return Ok(PathBuf::from(name));
    }
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(HostToolsError::BadName(name.to_owned()));
    }
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
        .ok_or_else(|| HostToolsError::NotFound {
            name: name.to_owned(),
            path: search_path.to_owned(),
        })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl HostTools {
    fn add_program(
        &mut self,
        program: &Path,
        search: &mut Search<'_>,
        depth: usize,
    ) -> Result<(), HostToolsError> {
        if depth > MAX_INTERPRETERS {
            return Err(HostToolsError::Interpreters(program.to_owned()));
        }
        if !search.seen.insert(program.to_owned()) {
            return Ok(());
        }
        self.add_file(program)?;
        let content = std::fs::read(program).map_err(read(program))?;
        if let Some(interpreter) = script_interpreter(&content) {
            let interpreter = find(&interpreter, search.path)?;
            return self.add_program(&interpreter, search, depth + 1);
        }
        if let Some(loader) = elf_loader(&content) {
            self.add_file(&loader)?;
            search.questions.push(Question::ask(loader, program)?);
        }
        Ok(())
    }

    /// Adds a file under its own name in the folder that really holds it: `/bin/sh` becomes `usr/bin/sh` on a merged
    /// system, with the content that the link leads to.
    fn add_file(&mut self, path: &Path) -> Result<(), HostToolsError> {
        let content = path.canonicalize().map_err(read(path))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = folder.canonicalize().map_err(read(path))?;
        let place = folder.join(path.file_name().unwrap_or_default());
        let place = place.strip_prefix("/").unwrap_or(&place);
        self.files.insert(place.to_owned(), content);
        Ok(())
    }

    fn add_merged_links(&mut self) {
        for name in MERGED {
            if let Ok(target) = std::fs::read_link(Path::new("/").join(name)) {
                let target = target.strip_prefix("/").unwrap_or(&target).to_owned();
                if self.files.keys().any(|file| file.starts_with(&target)) {
                    self.links.insert(name.into(), target);
                }
            }
        }
    }
}

/// The program that a `#!` line names; for `env NAME` that is NAME's own business, so env itself is the answer.
fn script_interpreter(content: &[u8]) -> Option<String> {
    let line = content
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(&line[..line.len().min(4096)]).into_owned();
    line.split_whitespace().next().map(str::to_owned)
}

/// The loader that an ELF program asks for; none for static programs and for what is no ELF file.
fn elf_loader(content: &[u8]) -> Option<PathBuf> {
    interpreter::<elf::FileHeader64<Endianness>>(content)
        .or_else(|| interpreter::<elf::FileHeader32<Endianness>>(content))
}

fn interpreter<H: FileHeader<Endian = Endianness>>(content: &[u8]) -> Option<PathBuf> {
    let header = H::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, content).ok()?;
    let bytes = segments
        .iter()
        .find_map(|segment| segment.interpreter(endian, content).ok().flatten())?;
    Some(PathBuf::from(String::from_utf8_lossy(bytes).into_owned()))
}

/// A loader that was asked which libraries a program needs.
struct Question {
    loader: PathBuf,
    program: PathBuf,
    process: Child,
}

impl Question {
    fn ask(loader: PathBuf, program: &Path) -> Result<Self, HostToolsError> {
        let mut command = Command::new(&loader);
        let command = command.arg("--list").arg(program).env_clear();
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = command.spawn().map_err(read(&loader))?;
        let program = program.to_owned();
        Ok(Question {
            loader,
            program,
            process,
        })
    }

    fn answer(self) -> Result<Vec<PathBuf>, HostToolsError> {
        let output = self.process.wait_with_output();
        let output = output.map_err(read(&self.loader))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let missing = text.lines().filter(|line| line.contains("not found"));
        let missing: Vec<&str> = missing.map(str::trim).collect();
        if output.status.success() && missing.is_empty() {
            return Ok(text.lines().filter_map(listed_library).collect());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(HostToolsError::Loader {
            loader: self.loader,
            program: self.program,
            message: match &missing[..] {
                [] => said.trim().to_owned(),
                _ => missing.join("; "),
            },
        })
    }
}

/// For `map_err` of what reads a file.
fn read(path: &Path) -> impl Fn(std::io::Error) -> HostToolsError {
    move |source| HostToolsError::Read {
        path: path.to_owned(),
        source,
    }
}

/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`; the kernel's own
/// `linux-vdso.so.1 (0x…)` has no file.
fn listed_library(line: &str) -> Option<PathBuf> {
    let line = line.trim();
    let named = line.split_once(" => ").map_or(line, |(_, file)| file);
    let path = named.rsplit_once(" (").map_or(named, |(file, _)| file);
    path.starts_with('/').then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_lines_give_files() {
        assert_eq!(
            listed_library("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)"),
            Some("/lib/libc.so.6".into())
        );
        assert_eq!(
            listed_library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            Some("/lib64/ld-linux-x86-64.so.2".into())
        );
        assert_eq!(listed_library("\tlinux-vdso.so.1 (0x00007f)"), None);
    }

    #[test]
    fn the_shell_comes_with_what_it_needs() {
        let tools = collect(&["sh".into()], "/usr/bin:/bin").unwrap();
        assert!(
            tools.files.keys().any(|file| file.ends_with("bin/sh")),
            "{tools:?}"
        );
        let merged = std::fs::read_link("/bin").is_ok();
        assert_eq!(tools.links.contains_key(Path::new("bin")), merged);
        assert!(tools.files.values().all(|file| file.is_file()));
    }

    #[test]
    fn a_script_brings_its_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("hello");
        std::fs::write(&script, "#!/bin/sh -e\necho hello\n").unwrap();
        let tools = collect(&[script.to_str().unwrap().to_owned()], "/usr/bin:/bin").unwrap();
        assert!(
            tools.files.keys().any(|file| file.ends_with("bin/sh")),
            "{tools:?}"
        );
    }

    #[test]
    fn missing_and_odd_names_are_refused() {
        assert!(matches!(collect(&[], "/bin"), Err(HostToolsError::Empty)));
        assert!(matches!(
            collect(&["a/b".into()], "/bin"),
            Err(HostToolsError::BadName(_))
        ));
        assert!(matches!(
            collect(&["no-such-program".into()], "/bin"),
            Err(HostToolsError::NotFound { .. })
        ));
    }
}
