//! Finds and executes the command, inside the new root. A command that cannot be executed is an exit code and a line on its stderr,
//! as a shell gives: 127 where it is not found, 126 where it may not be executed. Unaware of how the process came to be what it is.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Write};

use crate::wire::Failure;
use crate::{RunSpec, sys};

/// Used when the environment has no `PATH`; docker's.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes the command of `spec`, or complains on stderr and ends. An error only for what is no matter of the command.
pub fn exec(spec: &RunSpec) -> Result<Infallible, Failure> {
    let strings = |texts: &[String]| {
        texts
            .iter()
            .map(|text| CString::new(text.as_str()))
            .collect::<Result<Vec<_>, _>>()
    };
    let text = |_| Failure::Invalid("a NUL byte in the command or its environment".to_owned());
    let (argv, env) = (
        strings(&spec.argv).map_err(text)?,
        strings(&spec.env).map_err(text)?,
    );
    let Some(name) = spec.argv.first() else {
        return Err(Failure::Invalid("there is no command to run".to_owned()));
    };
    let (message, code) = if name.contains('/') {
        complaint(
            name,
            sys::exec(&CString::new(name.as_str()).map_err(text)?, &argv, &env),
        )
    } else {
        search(name, path(&spec.env), &argv, &env)
    };
    // Where stderr cannot be written to, the exit code still says it.
    let _ = writeln!(io::stderr(), "{message}");
    sys::exit_now(code)
}

/// As execvp(3): a folder where the name may not be executed does not end the search.
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
    let text = match error.raw_os_error() {
        Some(libc::ENOENT) if CString::new(file).is_ok_and(|file| is_there(&file)) => {
            return (
                format!(
                    "exec: {file:?}: its interpreter (first line, or ELF loader) was not found"
                ),
                127,
            );
        }
        Some(libc::ENOENT | libc::ENOTDIR) => {
            return (format!("exec: {file:?}: no such file or directory"), 127);
        }
        Some(libc::EACCES) => "permission denied".to_owned(),
        Some(libc::ENOEXEC) => {
            "exec format error (no program of this machine, and no first line with #!)".to_owned()
        }
        _ => error.to_string(),
    };
    (format!("exec: {file:?}: {text}"), 126)
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
