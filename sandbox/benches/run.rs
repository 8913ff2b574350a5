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
    Disabled, EnterOptions, Entered, Mount, MountKind, Network, OverlaySpec, RunSpec, Stdin, Stdio,
    enter, main_if_reexecuted, mount_overlay, run,
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
    measure(rounds, "RUN", || bench.run(&spec()));
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
    measure(rounds, "RUN with three files (stubs)", || {
        bench.run(&RunSpec {
            mounts: files.clone(),
            ..spec()
        })
    });
    measure(rounds, "RUN without network", || {
        bench.run(&RunSpec {
            network: Network::None,
            ..spec()
        })
    });
    measure(rounds, "RUN privileged (no filter, masks)", || {
        bench.run(&RunSpec {
            privileged: true,
            ..spec()
        })
    });
    ExitCode::SUCCESS
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
        let exit = run(&root, spec, stdio, &[]).unwrap().wait().unwrap();
        assert_eq!(exit.code, Some(0));
    }
}

fn spec() -> RunSpec {
    RunSpec {
        argv: vec!["/bin/true".to_owned()],
        ..RunSpec::default()
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

fn measure(rounds: usize, what: &str, mut round: impl FnMut()) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        round();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_micros();
    println!(
        "{what:34} {:>8} µs min {:>8} p50 {:>8} p95",
        at(0),
        at(50),
        at(95)
    );
}
