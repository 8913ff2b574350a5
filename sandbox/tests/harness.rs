//! Runs cases in processes of their own, as different users, and gives them a root file system to play in.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kiln_sandbox::{
    Disabled, EnterOptions, Entered, Exit, Extra, OverlaySpec, RootMount, RunSpec, Running,
    SpawnError, Stdin, Stdio, enter, mount_overlay, run,
};

/// A name and what is done, after `enter`, in a process of its own.
pub type Case = (&'static str, fn(&Ground));

/// Who runs a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    Range { uid: u32, gid: u32, name: String },
    Single,
    Caller,
}

/// Nobody has this id: no name, no range.
const SINGLE: u32 = 54_321;

pub fn main(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--case", name] => {
            let (_, case) = cases.iter().find(|(known, _)| *known == name).unwrap();
            case(&Ground::enter());
            return ExitCode::SUCCESS;
        }
        ["--payload", name] => return crate::payload::main(name),
        _ => {}
    }
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let (users, skipped) = users();
    let (mut passed, mut failed) = (0, 0);
    let chosen = cases.iter().filter(|(name, _)| {
        !name.starts_with('_') && filter.is_none_or(|filter| name.contains(filter.as_str()))
    });
    for (name, _) in chosen {
        for who in &users {
            let start = Instant::now();
            let output = command(who, name).output().unwrap();
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            if output.status.success() {
                passed += 1;
                let said = text
                    .lines()
                    .filter_map(|line| line.strip_prefix("note: "))
                    .collect::<Vec<_>>()
                    .join("; ");
                println!(
                    "ok      {who:?} {name} ({} ms) {said}",
                    start.elapsed().as_millis()
                );
            } else {
                failed += 1;
                println!("FAILED  {who:?} {name}: {}\n{text}", output.status);
            }
        }
    }
    for reason in &skipped {
        println!("skipped {reason}");
    }
    println!(
        "{passed} passed, {failed} failed, {} kinds of users skipped",
        skipped.len()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn users() -> (Vec<Who>, Vec<String>) {
    if !rustix::process::geteuid().is_root() {
        let skipped = ["root", "another user with a range", "a user with one id"]
            .map(|kind| format!("as {kind}: the tests do not run as root"));
        return (vec![Who::Caller], skipped.to_vec());
    }
    match range_user() {
        Some(user) => (vec![Who::Root, user, Who::Single], Vec::new()),
        None => (
            vec![Who::Root, Who::Single],
            vec!["as a user with a range: none in /etc/subuid".to_owned()],
        ),
    }
}

fn range_user() -> Option<Who> {
    let subuid = fs::read_to_string("/etc/subuid").ok()?;
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    subuid
        .lines()
        .filter_map(|line| line.split(':').next())
        .find_map(|name| {
            let line = passwd
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, gid) = (fields[2].parse().ok()?, fields[3].parse().ok()?);
            (uid != 0).then(|| Who::Range {
                uid,
                gid,
                name: name.to_owned(),
            })
        })
}

fn command(who: &Who, case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--case", case]).env_clear();
    match who {
        Who::Root | Who::Caller => {}
        Who::Range { uid, gid, .. } => {
            command.uid(*uid).gid(*gid);
        }
        Who::Single => {
            command.uid(SINGLE).gid(SINGLE);
        }
    }
    command
}

/// A folder with an image to run in.
pub struct Ground {
    pub entered: Entered,
    pub disabled: Cell<Disabled>,
    pub folder: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub output: String,
}

impl Ground {
    fn enter() -> Self {
        let entered = enter(EnterOptions::default()).unwrap();
        // mkdtemp makes it private; the users of images must be able to walk through it.
        let folder = tempfile::Builder::new()
            .prefix("kiln-sandbox-")
            .tempdir()
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ground = Self {
            entered,
            disabled: Cell::default(),
            folder,
        };
        ground.image(
            "image",
            &["/bin", "/etc", "/proc", "/sys", "/dev", "/tmp", "/run"],
        );
        ground
    }

    /// Makes an image of one layer: busybox in `/bin` and the given folders.
    pub fn image(&self, name: &str, folders: &[&str]) -> PathBuf {
        let image = self.folder.path().join(name);
        for folder in ["/bin"].iter().chain(folders) {
            fs::create_dir_all(image.join(folder.trim_start_matches('/'))).unwrap();
        }
        fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox-static is installed");
        for applet in [
            "sh", "true", "cat", "ls", "id", "mount", "unshare", "su", "env", "pwd", "hostname",
            "sleep", "df", "stat", "mknod", "touch", "mkdir", "rm", "mv", "chmod", "ps",
            "printenv", "tty", "wc", "find", "chown", "rmdir", "head", "setsid",
        ] {
            symlink("busybox", image.join("bin").join(applet)).unwrap();
        }
        image
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn mount(&self, lowers: &[PathBuf], upper: &str) -> RootMount {
        let (upper, work) = (self.path(upper), self.path(&format!("{upper}.work")));
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755)).unwrap();
        let spec = OverlaySpec {
            lowers,
            upper: Some((&upper, &work)),
            rootless: self.entered.rootless,
            keeps: false,
        };
        mount_overlay(&spec, self.disabled.get()).unwrap()
    }

    /// Whether other ids than 0 exist.
    pub fn has_users(&self) -> bool {
        !self.entered.ids.is_single()
    }

    /// Puts this test's own (static) program into the image as `/bin/payload`.
    pub fn add_payload(&self) {
        fs::copy("/proc/self/exe", self.path("image/bin/payload")).unwrap();
    }

    /// The default image under a new upper.
    pub fn root(&self, upper: &str) -> RootMount {
        self.mount(&[self.path("image")], upper)
    }

    pub fn sh(&self, upper: &str, script: &str) -> Outcome {
        self.run(&self.root(upper), &shell(script))
    }

    pub fn run(&self, root: &RootMount, spec: &RunSpec) -> Outcome {
        self.try_run(root, spec, &[]).unwrap()
    }

    pub fn try_run(
        &self,
        root: &RootMount,
        spec: &RunSpec,
        extra: &[&RootMount],
    ) -> Result<Outcome, SpawnError> {
        let (running, mut reader) = self.start(root, spec, extra)?;
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        Ok(Outcome {
            exit: running.wait()?,
            output,
        })
    }

    pub fn start(
        &self,
        root: &RootMount,
        spec: &RunSpec,
        extra: &[&RootMount],
    ) -> Result<(Running, File), SpawnError> {
        let (reader, writer) = io::pipe().unwrap();
        let stderr: OwnedFd = writer.as_fd().try_clone_to_owned().unwrap();
        let stdio = Stdio {
            stdin: Stdin::Null,
            stdout: writer.into(),
            stderr,
        };
        let spec = RunSpec {
            disabled: self.disabled.get(),
            ..spec.clone()
        };
        let running = run(
            root,
            &spec,
            stdio,
            Extra {
                roots: extra,
                ..Extra::default()
            },
        )?;
        Ok((running, File::from(OwnedFd::from(reader))))
    }
}

pub fn shell(script: &str) -> RunSpec {
    command_line(&["/bin/sh", "-c", script])
}

pub fn command_line(words: &[&str]) -> RunSpec {
    RunSpec {
        argv: words.iter().map(|word| (*word).to_owned()).collect(),
        ..RunSpec::default()
    }
}

impl Outcome {
    #[track_caller]
    pub fn expect(&self, code: i32, output: &str) {
        assert_eq!(
            (self.exit.code, self.output.as_str()),
            (Some(code), output),
            "{:?}",
            self.exit
        );
    }
}

/// Everything in a tree: relative paths, sorted.
pub fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            found.push(
                path.strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            if path.symlink_metadata().unwrap().is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Waits until `done`, five seconds at most.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Tells the person who reads the test's output.
pub fn note(text: &str) {
    let _ = writeln!(io::stdout(), "note: {text}");
}
