//! System calls fail (strace injects the errors), one moment after the other: each command ends well or with a cause that the user can act on,
//! never in a panic and never late; the store is whole, and the next build works.
//!
//! `read` and `fcntl` are left out: what fails there is the pipe of a child, or the release of a lock, which no local disk lets fail.
//! The seed is told and can be given as `KILN_SEED`; `KILN_NIGHTLY=1` takes all calls, errors and moments instead of two of each command.

use std::fs;

use crate::support::mode::skip;
use crate::support::random::{Random, is_nightly, seed, tell};
use crate::support::registry::{Guard, Registry};
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    of_a_build,
    of_a_build_without_run,
    of_a_save,
    of_a_load,
    of_a_push,
    of_a_prune,
    of_a_check,
}

/// Calls that fail together, and with what.
const CALLS: [(&str, &[&str]); 9] = [
    (
        "open,openat,openat2",
        &["EIO", "EMFILE", "EACCES", "ENOMEM"],
    ),
    (
        "write,pwrite64,writev,copy_file_range,ftruncate",
        &["EIO", "ENOSPC"],
    ),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC", "EACCES"]),
    ("fsync,fdatasync,syncfs,sync_file_range", &["EIO", "ENOSPC"]),
    ("mmap", &["ENOMEM"]),
    ("clone,clone3,fork,vfork", &["EAGAIN", "ENOMEM"]),
    ("flock", &["EIO", "ENOMEM"]),
    (
        "mount,fsopen,fsconfig,fsmount,open_tree,move_mount",
        &["EIO", "ENOMEM", "EACCES"],
    ),
    (
        "mkdir,mkdirat,link,linkat,unlink,unlinkat",
        &["EIO", "ENOSPC", "EACCES"],
    ),
];
/// Which call of a thread fails.
const MOMENTS: [u32; 16] = [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40, 60, 90, 130];

const TEXT: &str =
    "FROM base\nCOPY folder /folder\nRUN cat /folder/* > /all; mkdir /made\nCOPY folder/0 /made/\n";
const PLAIN: &str = "FROM scratch\nCOPY folder /folder\nCOPY folder/0 /last\n";

/// One error at one moment.
struct Fault {
    calls: &'static str,
    error: &'static str,
    moment: u32,
}

/// What is tried, and what came of it.
struct Campaign<'a> {
    space: &'a Space,
    /// Before each attempt.
    prepare: String,
    /// Arguments of kiln.
    command: String,
    /// The ID of the image that the next build gives.
    id: String,
    ended_well: u32,
    ended_with_a_cause: u32,
}

fn campaign(space: &Space, prepare: &str, command: &str) {
    if !space
        .shell("exec strace -f -qq -e inject=close:error=EIO:when=99 true")
        .run()
        .status
        .success()
    {
        return skip("faults", space.mode, "strace cannot inject errors here");
    }
    for number in 0..3 {
        space.write(
            &format!("folder/{number}"),
            format!("{number}\n").repeat(900),
        );
    }
    space.write("Dockerfile", TEXT);
    space.write("plain.Dockerfile", PLAIN);
    space.build("FROM tools\n").args(["-t", "base"]).ok();
    space.write("Dockerfile", TEXT);
    let mut campaign = Campaign {
        space,
        prepare: prepare.to_owned(),
        command: command.to_owned(),
        id: String::new(),
        ended_well: 0,
        ended_with_a_cause: 0,
    };
    campaign.id = campaign.build().ok().stdout;
    space.kiln(["save", "-o", "app.tar", "app"]).ok();
    campaign.run(&mut Random::new(seed("faults", space)));
    let (well, cause) = (campaign.ended_well, campaign.ended_with_a_cause);
    tell(&format!(
        "faults of {command}: {well} ended well, {cause} with a cause"
    ));
}

impl Campaign<'_> {
    fn build(&self) -> crate::support::Kiln {
        let build = self
            .space
            .kiln(["build", "-q", "-t", "app", "--pull=never"]);
        let build = build.env("SOURCE_DATE_EPOCH", "1600000000");
        build.arg(self.space.context())
    }

    fn run(&mut self, random: &mut Random) {
        if !is_nightly() {
            for _ in 0..2 {
                let (calls, errors) = CALLS[random.index(CALLS.len())];
                let moment = MOMENTS[random.index(8)];
                let error = random.of(errors);
                self.attempt(&Fault {
                    calls,
                    error,
                    moment,
                });
            }
            return;
        }
        for (calls, errors) in CALLS {
            for error in errors {
                let mut moments = MOMENTS.into_iter();
                while moments.next().is_some_and(|moment| {
                    self.attempt(&Fault {
                        calls,
                        error,
                        moment,
                    })
                }) {}
            }
        }
    }

    /// Whether there was such a moment.
    fn attempt(&mut self, fault: &Fault) -> bool {
        let Fault {
            calls,
            error,
            moment,
        } = fault;
        if !self.prepare.is_empty() {
            self.space.shell(&self.prepare).ok();
        }
        let inject = format!("-e trace={calls} -e inject={calls}:error={error}:when={moment}");
        let script = format!(
            "exec strace --seccomp-bpf -f -qq -o trace {inject} kiln {}",
            self.command
        );
        let ended = self
            .space
            .shell(&script)
            .env("SOURCE_DATE_EPOCH", "1600000000")
            .run();
        let trace = fs::read_to_string(self.space.own().join("trace")).unwrap_or_default();
        let injected: Vec<&str> = trace
            .lines()
            .filter(|line| line.ends_with("(INJECTED)"))
            .collect();
        let what = format!(
            "{} at {error} of {calls}, {moment}: {injected:#?}\n{ended}",
            self.command
        );
        assert!(ends_as_it_should(&ended, &injected), "{what}");
        let checked = self.space.kiln(["fsck"]).run();
        assert!(checked.stdout == "clean\n", "{what}\n{checked}");
        let next = self.build().run();
        assert!(next.stdout == self.id, "{what}\nthe next build: {next}");
        match ended.status.success() {
            true => self.ended_well += 1,
            false => self.ended_with_a_cause += 1,
        }
        !injected.is_empty()
    }
}

fn ends_as_it_should(ended: &Finished, injected: &[&str]) -> bool {
    let says = |text: &str| ended.stderr.contains(text);
    // before the first line of kiln's own, and before that of a thread
    let is_of_the_language = says("failed to allocate an alternative stack")
        || says("failed to set up alternative stack");
    let is_unheard = injected.iter().any(|call| call.contains("write(2,"));
    // of what it reads, it may be the user's
    let is_forbidden = injected.iter().any(|call| call.contains("EACCES"));
    match ended.status.code() {
        _ if is_of_the_language => true,
        _ if says("bug in kiln") || says("panicked") => false,
        Some(0) => true,
        Some(3) => is_unheard || says("/") || says(".tar") || says("thread cannot be started"),
        Some(1) => is_forbidden || says("exit code"),
        Some(2) => is_forbidden,
        _ => false,
    }
}

fn of_a_build(space: &Space) {
    campaign(
        space,
        "",
        "build -q --no-cache --pull=never -t app ../context",
    );
}

fn of_a_build_without_run(space: &Space) {
    let build = "build -q --no-cache -t plain -f ../context/plain.Dockerfile -o type=oci,dest=out.tar ../context";
    campaign(space, "", build);
}

fn of_a_save(space: &Space) {
    campaign(space, "", "save --compress gzip -o ./out.tar app");
}

fn of_a_load(space: &Space) {
    campaign(space, "kiln rmi -f app; kiln prune", "load -q -i ./app.tar");
}

fn of_a_push(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app", registry.host);
    campaign(
        space,
        &format!("kiln tag app {name}"),
        &format!("push -q --retry 0 {name}"),
    );
}

fn of_a_prune(space: &Space) {
    let prepare = "printf 'FROM scratch\\nCOPY <<E /file\\n'$$'\\nE\\n' | kiln build -q -t gone -f - ../context
         kiln rmi gone";
    campaign(space, prepare, "prune");
}

fn of_a_check(space: &Space) {
    campaign(space, "", "fsck --repair");
}
