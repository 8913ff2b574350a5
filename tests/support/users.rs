//! The ordinary users that kiln is tested as: made once by root, and left on the machine. Unaware of kiln.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// Ids of a range, docker's and useradd's number.
const RANGE: u32 = 65_536;
/// The first id that useradd gives to ranges.
const FIRST: u32 = 100_000;

/// Who runs a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Account {
    /// Makes `command` run as this user, without other groups.
    pub fn apply(&self, command: &mut Command) {
        // Setting the user id as root drops the supplementary groups of root as well.
        command.uid(self.uid).gid(self.gid);
    }

    /// A program that becomes this user and then executes `env` with its arguments.
    pub fn launcher(&self) -> Command {
        let mut command = Command::new("/usr/bin/setpriv");
        command.arg(format!("--reuid={}", self.uid));
        command.arg(format!("--regid={}", self.gid));
        command.args(["--clear-groups", "/usr/bin/env"]);
        command
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user with lines in `/etc/subuid` and `/etc/subgid`.
pub fn with_range() -> Result<Account, String> {
    static USER: OnceLock<Result<Account, String>> = OnceLock::new();
    USER.get_or_init(|| {
        has_newuidmap()?;
        let user = ensure("kiln-test-range")?;
        ensure_range(&user.name)?;
        has_namespaces(user)
    })
    .clone()
}

/// The user without such lines.
pub fn without_range() -> Result<Account, String> {
    static USER: OnceLock<Result<Account, String>> = OnceLock::new();
    USER.get_or_init(|| has_namespaces(ensure("kiln-test-single")?))
        .clone()
}

/// Whether whoever runs the tests has a range of ids.
pub fn caller_has_range() -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    let name = line.and_then(|line| line.split(':').next());
    has_newuidmap().is_ok() && name.is_some_and(|name| lists("/etc/subuid", name))
}

fn has_newuidmap() -> Result<(), String> {
    let found = ["/usr/bin/newuidmap", "/bin/newuidmap"]
        .iter()
        .any(|path| fs::exists(path).unwrap_or(false));
    if found {
        Ok(())
    } else {
        Err("newuidmap is not installed".to_owned())
    }
}

/// Asked of util-linux, so that a kiln that cannot enter is a failure and not a skip.
fn has_namespaces(user: Account) -> Result<Account, String> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "true"]);
    user.apply(&mut command);
    match command.output() {
        Ok(output) if output.status.success() => Ok(user),
        Ok(output) => Err(format!(
            "user namespaces do not work here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

fn ensure(name: &str) -> Result<Account, String> {
    let _turn = turn()?;
    if let Some(user) = find(name) {
        return Ok(user);
    }
    // A system user gets no range of its own accord.
    tool(
        "useradd",
        &["--system", "--no-create-home", "--user-group", name],
    )?;
    find(name).ok_or_else(|| format!("useradd made no user {name}"))
}

fn ensure_range(name: &str) -> Result<(), String> {
    let _turn = turn()?;
    if lists("/etc/subuid", name) && lists("/etc/subgid", name) {
        return Ok(());
    }
    let first = first_free().max(FIRST);
    let ids = format!("{first}-{}", first + RANGE - 1);
    tool(
        "usermod",
        &["--add-subuids", &ids, "--add-subgids", &ids, name],
    )
}

/// The first id above all ranges that anybody has.
fn first_free() -> u32 {
    let text =
        ["/etc/subuid", "/etc/subgid"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let end = |line: &str| {
        let mut fields = line.split(':').skip(1);
        let start: u32 = fields.next()?.parse().ok()?;
        Some(start + fields.next()?.parse::<u32>().ok()?)
    };
    text.iter()
        .flat_map(|text| text.lines())
        .filter_map(end)
        .max()
        .unwrap_or(FIRST)
}

fn lists(file: &str, name: &str) -> bool {
    fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .any(|line| line.split(':').next() == Some(name))
}

fn find(name: &str) -> Option<Account> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some(Account {
        name: name.to_owned(),
        uid: ids.next()?.ok()?,
        gid: ids.next()?.ok()?,
    })
}

/// One test process at a time changes the machine's users.
fn turn() -> Result<File, String> {
    let path = std::env::temp_dir().join("kiln-e2e-users.lock");
    let failed = |error| format!("{}: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

fn tool(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
