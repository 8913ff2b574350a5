//! How long one trivial RUN takes: overlay, supervisor, namespaces, mounts, exec of a static `true`, wait, unmount.
//!
//! `cargo bench -p kiln-sandbox [-- ROUNDS]`, as root or as an ordinary user. Not a benchmark harness, since a run executes this program again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kiln_sandbox::{
    Disabled, EnterOptions, Entered, Extra, Mount, MountKind, Network, OverlaySpec, RunSpec, Stdin,
    Stdio, enter, main_if_reexecuted, mount_overlay, run,
};

fn main() -> ExitCode {
    if let Some(code) = main_if_reexecuted() {
        return code;
    }
    let rounds = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(200);
    let start = Instant::now();
    let entered = enter(EnterOptions::default()).unwrap();
    println!(
        "{:34} {:>8} µs once ({})",
        "enter",
        start.elapsed().as_micros(),
        entered.ids.key()
    );
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let bench = Bench {
        folder: folder.path(),
        lowers: vec![image],
        entered,
    };
    measure(rounds, "spawn and wait, no sandbox", || {
        assert!(
            Command::new("/bin/busybox")
                .arg("true")
                .status()
                .unwrap()
                .success()
        );
    });
    measure(rounds, "overlay: mount and unmount", || {
        drop(bench.mount(0))
    });
    for (what, spec) in specs() {
        measure(rounds, what, || bench.run(&spec));
    }
    ExitCode::SUCCESS
}

fn specs() -> [(&'static str, RunSpec); 4] {
    let plain = RunSpec {
        argv: vec!["/bin/true".to_owned()],
        ..RunSpec::default()
    };
    let file = |target: &str| Mount {
        target: target.to_owned(),
        kind: MountKind::File {
            content: b"x".to_vec(),
            mode: 0o644,
            uid: 0,
            gid: 0,
        },
        read_only: false,
    };
    let files = vec![
        file("/etc/resolv.conf"),
        file("/etc/hosts"),
        file("/etc/hostname"),
    ];
    [
        (
            "RUN with three files (stubs)",
            RunSpec {
                mounts: files,
                ..plain.clone()
            },
        ),
        (
            "RUN without network",
            RunSpec {
                network: Network::None,
                ..plain.clone()
            },
        ),
        (
            "RUN privileged (no filter, masks)",
            RunSpec {
                privileged: true,
                ..plain.clone()
            },
        ),
        ("RUN", plain),
    ]
}

struct Bench<'a> {
    folder: &'a Path,
    lowers: Vec<PathBuf>,
    entered: Entered,
}

impl Bench<'_> {
    fn mount(&self, number: u32) -> kiln_sandbox::RootMount {
        let (upper, work) = (
            self.folder.join(format!("upper{number}")),
            self.folder.join(format!("work{number}")),
        );
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        let spec = OverlaySpec {
            lowers: &self.lowers,
            upper: Some((&upper, &work)),
            rootless: self.entered.rootless,
            keeps: false,
        };
        mount_overlay(&spec, Disabled::default()).unwrap()
    }

    fn run(&self, spec: &RunSpec) {
        let root = self.mount(1);
        let null = || {
            File::options()
                .write(true)
                .open("/dev/null")
                .unwrap()
                .into()
        };
        let stdio = Stdio {
            stdin: Stdin::Null,
            stdout: null(),
            stderr: null(),
        };
        let exit = run(&root, spec, stdio, Extra::default())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(exit.code, Some(0));
    }
}

fn image(folder: &Path) -> PathBuf {
    let image = folder.join("image");
    for name in ["bin", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(image.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox-static is installed");
    symlink("busybox", image.join("bin/true")).unwrap();
    image
}

/// Wall times, and the CPU time of this process and all that it waited for: the wall of a busy machine says little.
fn measure(rounds: usize, what: &str, mut round: impl FnMut()) {
    let mut times: Vec<Duration> = Vec::new();
    let cpu = cpu_time();
    for _ in 0..rounds {
        let start = Instant::now();
        round();
        times.push(start.elapsed());
    }
    let cpu = (cpu_time() - cpu) / rounds as f64 * 1e6;
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_micros();
    println!(
        "{what:34} {:>8} µs min {:>8} p50 {:>8} p95 {cpu:>8.0} cpu",
        at(0),
        at(50),
        at(95)
    );
}

/// In seconds, to 10 ms: fields 14 to 17 of `/proc/self/stat` (proc(5)), in ticks of 1/100 s.
fn cpu_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields
        .split(' ')
        .skip(11)
        .take(4)
        .map(|field| field.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}
