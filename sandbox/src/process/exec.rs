//! Finds and executes the command, inside the new root. A command that cannot be executed gives an exit code and a line on its stderr,
//! as in a shell: 127 when it is not found, 126 when it may not be executed. Unaware of how the process came to be what it is.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Write};

use crate::spec::DEFAULT_PATH;
use crate::{RunSpec, SpawnError, sys};

/// Executes the command of `spec`, or complains on stderr and ends. Returns an error only if the spec is wrong.
pub fn exec(spec: &RunSpec) -> Result<Infallible, SpawnError> {
    let nul = "a NUL byte in the command or its environment";
    let strings = |texts: &[String]| {
        let texts = texts.iter().map(|text| CString::new(text.as_str()));
        let texts = texts.collect::<Result<Vec<_>, _>>();
        texts.map_err(|_| SpawnError::Invalid(nul.to_owned()))
    };
    let (argv, env) = (strings(&spec.argv)?, strings(&spec.env)?);
    let (Some(name), Some(file)) = (spec.argv.first(), argv.first()) else {
        return Err(SpawnError::Invalid("there is no command to run".to_owned()));
    };
    let (message, code) = if name.contains('/') {
        complaint(name, sys::exec(file, &argv, &env))
    } else {
        search(name, path(&spec.env), &argv, &env)
    };
    // If stderr cannot be written to, the exit code still says it.
    let _ = writeln!(io::stderr(), "{message}");
    sys::exit_now(code)
}

/// Like execvp(3): a folder where the name may not be executed does not end the search.
fn search(name: &str, path: &str, argv: &[CString], env: &[CString]) -> (String, i32) {
    let mut denied = None;
    for folder in path.split(':').filter(|_| !name.is_empty()) {
        let folder = if folder.is_empty() { "." } else { folder };
        let Ok(file) = CString::new(format!("{folder}/{name}")) else {
            continue;
        };
        let error = sys::exec(&file, argv, env);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG)
                if !is_there(&file) => {}
            Some(libc::EACCES) => denied = Some((file, error)),
            _ => return complaint(&file.to_string_lossy(), error),
        }
    }
    match denied {
        Some((file, error)) => complaint(&file.to_string_lossy(), error),
        None => (format!("exec: {name:?}: not found in $PATH ({path})"), 127),
    }
}

/// ENOENT for a file that exists is about the program that interprets it.
fn is_there(file: &CString) -> bool {
    rustix::fs::stat(file.as_c_str()).is_ok()
}

fn complaint(file: &str, error: io::Error) -> (String, i32) {
    let exists = || CString::new(file).is_ok_and(|file| is_there(&file));
    let interpreter = "its interpreter (first line, or ELF loader) was not found";
    let format = "exec format error (no program of this machine, and no first line with #!)";
    let (text, code) = match error.raw_os_error() {
        Some(libc::ENOENT) if exists() => (interpreter.to_owned(), 127),
        Some(libc::ENOENT | libc::ENOTDIR) => ("no such file or directory".to_owned(), 127),
        Some(libc::EACCES) => ("permission denied".to_owned(), 126),
        Some(libc::ENOEXEC) => (format.to_owned(), 126),
        _ => (error.to_string(), 126),
    };
    (format!("exec: {file:?}: {text}"), code)
}

/// The value of the last `PATH`, as a program would see it.
fn path(env: &[String]) -> &str {
    env.iter()
        .rev()
        .find_map(|variable| variable.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_the_last_one() {
        let env = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(path(&env(&["A=1", "PATH=/a", "PATH=/b:/c"])), "/b:/c");
        assert_eq!(path(&env(&["XPATH=/a"])), DEFAULT_PATH);
    }
}
