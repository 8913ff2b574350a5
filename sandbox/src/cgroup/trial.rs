//! Tries settings on a cgroup without processes, in a re-executed process of its own: it removes the cgroup even when its caller is killed
//! meanwhile. Unaware of what the settings mean.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::setsid;
use serde::{Deserialize, Serialize};

use super::Version;
use super::group::Group;
use super::settings::Setting;

/// The name (`argv[0]`) that makes the re-executed binary try settings.
pub(crate) const TRIAL: &str = "kiln-trial";

/// Where, and what: files and values.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    parent: PathBuf,
    version: Version,
    settings: Vec<(String, String)>,
}

impl Request {
    fn of(parent: &Path, version: Version, settings: &[Setting]) -> Self {
        let pair = |setting: &Setting| (setting.file.to_owned(), setting.value.clone());
        Self {
            parent: parent.to_owned(),
            version,
            settings: settings.iter().map(pair).collect(),
        }
    }
}

/// The kernel's error number for each setting, 0 where it works; or the one for the cgroup, which could not be made.
type Answer = Result<Vec<i32>, i32>;

/// Tries the settings on a cgroup below `parent`; an answer for each.
///
/// # Errors
/// When no cgroup can be made there.
pub fn attempt(
    parent: &Path,
    version: Version,
    settings: &[Setting],
) -> io::Result<Vec<io::Result<()>>> {
    let request = serde_json::to_vec(&Request::of(parent, version, settings))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(TRIAL).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    if let Some(mut input) = process.stdin.take() {
        input.write_all(&request)?;
    }
    let answer: Answer = serde_json::from_slice(&process.wait_with_output()?.stdout)?;
    let result = |number| match number {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    };
    let numbers = answer.map_err(io::Error::from_raw_os_error)?;
    Ok(numbers.into_iter().map(result).collect())
}

/// The whole life of the process. A signal from the caller's terminal does not reach it.
pub(crate) fn main() -> ExitCode {
    // Fails only for the leader of a process group, which is fine too.
    let _ = setsid();
    let mut request = Vec::new();
    let read = io::stdin().read_to_end(&mut request);
    let request = read.and_then(|_| Ok(serde_json::from_slice::<Request>(&request)?));
    let Ok(request) = request else {
        // The caller was killed before it had said what to try.
        return ExitCode::FAILURE;
    };
    // If the caller is gone, nobody is left to tell; the cgroup is removed by now.
    let answer = serde_json::to_vec(&answer(&request)).map_err(io::Error::from);
    let _ = answer.and_then(|json| io::stdout().write_all(&json));
    ExitCode::SUCCESS
}

fn answer(request: &Request) -> Answer {
    let number = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let group = Group::below(&request.parent, request.version).map_err(number)?;
    let tried = |(file, value): &(String, String)| group.write(file, value).map_err(number);
    Ok(request
        .settings
        .iter()
        .map(|setting| tried(setting).err().unwrap_or(0))
        .collect())
}
