//! A project is edited at random and built after each edit: what a store gives that has seen all before is what another store gives with
//! `--no-cache`, and what a third gives that takes the results of the first through `--cache-from`.
//!
//! The seed is told and can be given as `KILN_SEED`; `KILN_MODES=all` makes 30 rounds, `KILN_NIGHTLY=1` 600.

use crate::support::project::Project;
use crate::support::project::files::Files;
use crate::support::random::{Random, often, seed, tell};
use crate::support::space::TOOLS;
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    a_hit_is_as_good_as_a_run,
}

/// One store with its own copy of the project's files.
struct Machine<'a> {
    space: &'a Space,
    name: &'static str,
    /// Whether its files stay, and only what changes is written.
    keeps: bool,
    /// What its files are.
    written: Option<Project>,
    /// What its image `base` was made of.
    base: Option<(Files, &'static str)>,
}

impl Machine<'_> {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.space.own().join(self.name).join(name)
    }

    fn command(&self, arguments: &[&str], epoch: &str) -> Kiln {
        let kiln = self.space.kiln(arguments).env("SOURCE_DATE_EPOCH", epoch);
        kiln.env("KILN_STORE", self.path("store"))
    }

    fn kiln_build(&self, context: &str, epoch: &str) -> Kiln {
        let build = self.command(&["build", "-q", "--build-context"], epoch);
        let build = build.arg(format!("tools=host-tools:{TOOLS}"));
        build.arg(self.path(context))
    }

    fn write(&mut self, project: &Project) {
        let folders = [self.path("context"), self.path("extra"), self.path("base")];
        let all =
            |project: &Project| [&project.context, &project.extra, &project.base].map(Clone::clone);
        let before = self.written.as_ref().filter(|_| self.keeps).map(all);
        for (number, (files, folder)) in all(project).iter().zip(&folders).enumerate() {
            match &before {
                Some(before) => files.write_after(&before[number], folder),
                None => files.write(folder),
            }
        }
        self.written = Some(project.clone());
        std::fs::write(self.path("Dockerfile"), project.text()).unwrap();
        std::fs::write(self.path("ignored"), "c.txt\nd/y\n").unwrap();
    }

    /// The image `base`, where it is another one now.
    fn make_base(&mut self, project: &Project, flags: &[&str]) {
        let (files, text) = project.base();
        if self
            .base
            .as_ref()
            .is_some_and(|(made, of)| made == files && *of == text)
        {
            return;
        }
        std::fs::write(self.path("base.Dockerfile"), text).unwrap();
        let build = self
            .kiln_build("base", "1550000000")
            .args(["-t", "base", "-f"]);
        build.arg(self.path("base.Dockerfile")).args(flags).ok();
        self.base = Some((files.clone(), text));
    }

    fn build(&mut self, project: &Project, flags: &[&str]) -> Finished {
        self.write(project);
        let of_base: &[&str] = if flags == ["--no-cache"] { flags } else { &[] };
        self.make_base(project, of_base);
        let build = self.kiln_build("context", project.epoch);
        let build = build.args(["-t", "app", "-f"]).arg(self.path("Dockerfile"));
        let build = build.arg(format!(
            "--build-context=extra={}",
            self.path("extra").display()
        ));
        build.args(project.flags()).args(flags).run()
    }

    /// The files of its last image, as one archive.
    fn files(&self) -> Vec<u8> {
        self.command(&["export", "app", "-o", "-"], "1600000000")
            .stdout()
    }

    fn is_clean(&self) {
        let checked = self.command(&["fsck"], "1600000000").ok();
        assert_eq!(checked.stdout, "clean\n", "{}: {checked}", self.name);
    }
}

fn machine<'a>(space: &'a Space, name: &'static str) -> Machine<'a> {
    space.own_folder(&format!("own/{name}"));
    Machine {
        space,
        name,
        keeps: false,
        written: None,
        base: None,
    }
}

fn a_hit_is_as_good_as_a_run(space: &Space) {
    let seed = seed("key fuzz", space);
    let random = &mut Random::new(seed);
    let mut first = machine(space, "first");
    let mut anew = machine(space, "anew");
    let mut other = machine(space, "other");
    first.keeps = true;
    let mut built = Vec::new();
    let rounds = often(30);
    for round in 0..rounds {
        let project = next(&built, random);
        let flags: Vec<String> = project.flags().collect();
        let told = format!(
            "round {round} of KILN_SEED={seed}\n{flags:?} at {}\n{}",
            project.epoch,
            project.text()
        );
        let machines = [&mut first, &mut anew, &mut other];
        if is_built(&project, machines, random, &told) {
            built.push(project);
        }
        if round % 50 == 49 {
            tell(&format!("key fuzz: {} of {} built", built.len(), round + 1));
        }
    }
    assert!(built.len() as u64 * 3 > rounds, "most projects are no good");
    let machines = [first, anew, other];
    let used = machines.iter().filter(|machine| machine.base.is_some());
    used.for_each(Machine::is_clean);
}

/// One that could be built, the last or an earlier one, with some edits.
fn next(built: &[Project], random: &mut Random) -> Project {
    let Some(last) = built.last() else {
        return Project::new(random);
    };
    let mut project = match random.once_in(4) {
        true => built[random.index(built.len())].clone(),
        false => last.clone(),
    };
    for _ in 0..=random.below(3) {
        project.edit(random);
    }
    project
}

/// Builds the project on each machine; whether it can be.
fn is_built(
    project: &Project,
    [first, anew, other]: [&mut Machine<'_>; 3],
    random: &mut Random,
    told: &str,
) -> bool {
    let cache = first.path("cache").display().to_string();
    let (to, from) = (
        format!("--cache-to=type=local,mode=max,dest={cache}"),
        format!("--cache-from=type=local,src={cache}"),
    );
    let is_shared = random.once_in(3);
    let exported: &[&str] = if is_shared { &[&to] } else { &[] };
    let hit = first.build(project, exported);
    let run = anew.build(project, &["--no-cache"]);
    same(&hit, &run, told);
    if !hit.status.success() {
        return false;
    }
    if is_shared {
        if random.once_in(2) {
            drop(std::fs::remove_dir_all(other.path("store")));
            other.base = None;
        }
        same(&other.build(project, &[&from]), &run, told);
        assert!(other.files() == anew.files(), "other files: {told}");
    }
    if random.once_in(4) {
        same(&first.build(project, &[]), &run, told);
        assert!(first.files() == anew.files(), "other files: {told}");
    }
    true
}

fn same(hit: &Finished, run: &Finished, told: &str) {
    let end = |built: &Finished| (built.status.code(), built.stdout.clone());
    assert!(end(hit) == end(run), "hit: {hit}\nrun: {run}\n{told}");
    let is_users = matches!(hit.status.code(), Some(0..=2));
    // a user id that this mode does not have: the machine is to blame
    let is_modes = hit.stderr.contains("the build has no range of ids");
    assert!(is_users || is_modes, "{hit}\n{told}");
}
