//! Nothing outlives its run, and no run its caller.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio as Std};
use std::time::{Duration, Instant};

use kiln_sandbox::SpawnError;

use crate::harness::{Ground, eventually, shell};

/// A number that only our sleeping commands have in their command lines.
fn marker(what: u32) -> String {
    format!(
        "{}",
        1_000_000 + u64::from(std::process::id()) * 10 + u64::from(what)
    )
}

fn processes_with(marker: &str) -> Vec<u32> {
    let with_marker = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        // A zombie has no command line; it is no process of the run any more.
        String::from_utf8_lossy(&line)
            .contains(&format!("sleep\0{marker}"))
            .then_some(pid)
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| with_marker(entry.unwrap()))
        .collect()
}

pub fn background(ground: &Ground) {
    let marker = marker(1);
    let start = Instant::now();
    ground
        .sh(
            "upper",
            &format!("sleep {marker} & (trap '' TERM HUP; sleep {marker}) & echo started"),
        )
        .expect(0, "started\n");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(processes_with(&marker), [0; 0]);
}

pub fn kill_handle(ground: &Ground) {
    let marker = marker(2);
    let (running, mut output) = ground
        .start(
            &ground.root("upper"),
            &shell(&format!("sleep {marker} & sleep {marker}; wait")),
            &[],
        )
        .unwrap();
    eventually("two processes", || processes_with(&marker).len() == 2);
    let handle = running.kill_handle();
    std::thread::spawn(move || handle.kill()).join().unwrap();
    output.read_to_string(&mut String::new()).unwrap();
    let handle = running.kill_handle();
    let exit = running.wait().unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    assert_eq!(processes_with(&marker), [0; 0]);
    handle.kill();
}

pub fn dropped(ground: &Ground) {
    let marker = marker(3);
    let (running, _output) = ground
        .start(
            &ground.root("upper"),
            &shell(&format!("sleep {marker}; true")),
            &[],
        )
        .unwrap();
    eventually("a process", || processes_with(&marker).len() == 1);
    drop(running);
    assert_eq!(processes_with(&marker), [0; 0]);
    assert_eq!(children(), [0; 0], "a zombie");
}

fn children() -> Vec<u32> {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap();
    children
        .split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

pub fn thread_ends(ground: &Ground) {
    let root = ground.root("upper");
    let (running, mut output) = std::thread::scope(|scope| {
        let disabled = ground.disabled.get();
        let start = move || {
            let (reader, writer) = std::io::pipe().unwrap();
            let stderr = writer.try_clone().unwrap();
            let stdio = kiln_sandbox::Stdio {
                stdin: kiln_sandbox::Stdin::Null,
                stdout: writer.into(),
                stderr: stderr.into(),
            };
            let spec = kiln_sandbox::RunSpec {
                disabled,
                ..shell("sleep 0.3; echo alive")
            };
            (
                kiln_sandbox::run(&root, &spec, stdio, kiln_sandbox::Extra::default()).unwrap(),
                reader,
            )
        };
        scope.spawn(start).join().unwrap()
    });
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(
        (text.as_str(), running.wait().unwrap().code),
        ("alive\n", Some(0))
    );
}

/// The other process of the next case: a run that sleeps, and says so.
pub fn engine(ground: &Ground) {
    let marker = std::env::var("MARKER").unwrap();
    let (running, _output) = ground
        .start(
            &ground.root("upper"),
            &shell(&format!("setsid sleep {marker} & sleep {marker}; true")),
            &[],
        )
        .unwrap();
    eventually("two processes", || processes_with(&marker).len() == 2);
    println!("{}", ground.folder.path().display());
    running.wait().unwrap();
}

pub fn caller_is_killed(ground: &Ground) {
    if !ground.has_users() {
        // A nested user namespace of one id cannot map again; root and the range show it.
        return;
    }
    let marker = marker(4);
    let mut engine = Command::new(std::env::current_exe().unwrap());
    let mut engine = engine
        .args(["--case", "_engine"])
        .env("MARKER", &marker)
        .stdout(Std::piped())
        .spawn()
        .unwrap();
    let mut folder = String::new();
    BufReader::new(engine.stdout.take().unwrap())
        .read_line(&mut folder)
        .unwrap();
    assert_eq!(processes_with(&marker).len(), 2);
    let supervisors = supervisors_of(engine.id());
    assert_eq!(supervisors.len(), 1);
    engine.kill().unwrap();
    engine.wait().unwrap();
    eventually("processes are left", || processes_with(&marker).is_empty());
    eventually("the supervisor is left", || {
        supervisors.iter().all(|pid| !is_alive(*pid))
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(folder.trim()), "a mount is left");
    fs::remove_dir_all(folder.trim()).unwrap();
}

fn supervisors_of(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children
        .split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub fn supervisor_is_killed(ground: &Ground) {
    let marker = marker(5);
    let (running, _output) = ground
        .start(
            &ground.root("upper"),
            &shell(&format!("sleep {marker} & sleep {marker}; true")),
            &[],
        )
        .unwrap();
    eventually("two processes", || processes_with(&marker).len() == 2);
    let supervisor = children();
    assert_eq!(supervisor.len(), 1);
    let pid = rustix::process::Pid::from_raw(supervisor[0].cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(matches!(running.wait(), Err(SpawnError::Lost(_))));
    eventually("processes are left", || processes_with(&marker).is_empty());
}

/// The other process of the next case: starts runs one after the other.
pub fn starter(ground: &Ground) {
    let marker = std::env::var("MARKER").unwrap();
    println!("{}", ground.folder.path().display());
    for number in 0.. {
        let spec = shell(&format!("sleep {marker} & true"));
        let (running, _output) = ground
            .start(&ground.root(&format!("upper{number}")), &spec, &[])
            .unwrap();
        running.wait().unwrap();
    }
}

pub fn at_any_time(ground: &Ground) {
    if !ground.has_users() {
        return;
    }
    let marker = marker(6);
    for round in 0..20 {
        let mut starter = Command::new(std::env::current_exe().unwrap());
        let mut starter = starter
            .args(["--case", "_starter"])
            .env("MARKER", &marker)
            .stdout(Std::piped())
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(starter.stdout.take().unwrap())
            .read_line(&mut folder)
            .unwrap();
        std::thread::sleep(Duration::from_micros(3000 + 700 * round));
        starter.kill().unwrap();
        starter.wait().unwrap();
        eventually("processes are left", || {
            processes_with(&marker).is_empty() && supervisors().is_empty()
        });
        fs::remove_dir_all(folder.trim()).unwrap();
    }
}

/// All supervisors that execute this test's program: the tests run one after the other, so there is none.
fn supervisors() -> Vec<u32> {
    let this = fs::metadata("/proc/self/exe").unwrap();
    let same = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let exe = fs::metadata(entry.path().join("exe")).ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        (exe.ino() == this.ino() && exe.dev() == this.dev() && line.starts_with(b"kiln-init"))
            .then_some(pid)
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| same(entry.unwrap()))
        .collect()
}
