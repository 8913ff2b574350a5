//! `--network`: what a RUN reaches on a network of its own, on the machine's, and on none.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::Signal;

use crate::support::mode::skip;
use crate::support::processes::{appears, descendants, eventually, unique_nap};
use crate::support::{Kiln, Space, cases, plain_cases};

cases! {
    a_private_network_is_apart_from_the_machine,
    nothing_that_connects_it_outlives_the_build,
}

plain_cases! {
    a_missing_program_is_named,
    a_dockerfile_does_not_leave_the_network_that_it_is_given,
    what_a_private_network_has_not_is_told,
}

/// Shows the devices, the servers for names, and which abstract sockets there are.
const SHOW: &str = "while read name rest; do case $name in *:) echo dev=${name%:};; esac; done < /proc/self/net/dev\n\
    while read word rest; do echo $word=$rest; done < /etc/resolv.conf\n\
    while read line; do case $line in *@*) echo abstract=${line##*@};; esac; done < /proc/self/net/unix\n";

/// A step of the commands, which is not the step of another build.
fn run(space: &Space, commands: &str) -> Kiln {
    let text = format!("FROM tools\nCOPY --from=more / /\nRUN <<EOF\n{commands}EOF\n");
    let more = "more=host-tools:bash";
    space
        .build(&text)
        .args(["--build-context", more, "--no-cache"])
}

fn has(output: &[&str], line: &str) -> bool {
    output.contains(&line)
}

/// Why no private network can be had here.
pub fn lacks(space: &Space, program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    if !path
        .split(':')
        .any(|folder| Path::new(folder).join(program).is_file())
    {
        return Some(format!("{program} is not installed"));
    }
    let device = "/dev/net/tun";
    let for_all = fs::metadata(device).is_ok_and(|found| {
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o006 == 0o006
    });
    let opens = match space.mode.is_rootless() {
        true => for_all,
        false => access(device, Access::READ_OK | Access::WRITE_OK).is_ok(),
    };
    (!opens).then(|| format!("this user may not open {device}"))
}

/// The networks that can be had here; tells what is left out.
fn networks(space: &Space) -> Vec<&'static str> {
    let can = |program: &&'static str| match lacks(space, program) {
        Some(why) => {
            skip("run_network", space.mode, &why);
            false
        }
        None => true,
    };
    let programs: Vec<&str> = ["pasta", "slirp4netns"].into_iter().filter(can).collect();
    let any = (!programs.is_empty()).then_some("private");
    any.into_iter().chain(programs).collect()
}

fn a_private_network_is_apart_from_the_machine(space: &Space) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("kiln-test-{}", unique_nap());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let commands = format!(
        "{SHOW}bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo reached || echo apart\n"
    );
    let shared = run(space, &commands).ok();
    let abstract_name = format!("abstract={name}");
    assert!(
        has(&shared.output(), "reached") && has(&shared.output(), &abstract_name),
        "{shared}"
    );
    for network in networks(space) {
        let ended = run(space, &commands).args(["--network", network]).run();
        // pasta wants a route to somewhere, which a machine for tests may not have
        if network == "pasta" && ended.stderr.contains("network cannot be connected") {
            skip(
                "run_network",
                space.mode,
                ended.stderr.lines().last().unwrap_or_default(),
            );
            continue;
        }
        assert!(ended.status.success(), "{network} {ended}");
        let lines = ended.output();
        assert!(
            has(&lines, "apart") && !has(&lines, &abstract_name),
            "{network} {ended}"
        );
        assert!(has(&lines, "nameserver=10.0.2.3"), "{network} {ended}");
        let devices = lines.iter().filter(|line| line.starts_with("dev=")).count();
        assert_eq!(devices, 2, "{network} {ended}");
    }
}

fn nothing_that_connects_it_outlives_the_build(space: &Space) {
    if networks(space).is_empty() {
        return;
    }
    let nap = unique_nap();
    let build = run(space, &format!("sleep {nap}\n")).args(["--network", "private"]);
    let running = build.spawn();
    appears(&nap);
    let stacks: Vec<(i32, String)> = descendants(running.id())
        .into_iter()
        .filter(|(_, name)| name.starts_with("pas") || name.starts_with("slirp4netns"))
        .collect();
    assert!(!stacks.is_empty());
    running.signal(Signal::KILL);
    running.wait();
    eventually("a network stack is left", || {
        stacks.iter().all(|(pid, name)| {
            let now = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            now.trim_end() != name
        })
    });
}

fn a_missing_program_is_named(space: &Space) {
    space
        .build("FROM tools\nLABEL a=b\n")
        .args(["-t", "base"])
        .ok();
    let text = "FROM base\nRUN echo ran\n";
    let nothing = space.own_folder("bin");
    let bare = || space.build(text).env("PATH", &nothing);
    let build = |network: &str| bare().args(["--network", network]);
    let failed = build("private").exits(3);
    failed.says(&[
        "a private network needs pasta or slirp4netns",
        "passt",
        "--network default",
    ]);
    build("slirp4netns")
        .exits(3)
        .says(&["needs slirp4netns"])
        .never_says(&["needs pasta"]);
    let by_default = bare().env("KILN_NETWORK", "private").exits(3);
    by_default.says(&["a private network needs"]);
    // what is known needs no network, and which one it was made on does not count
    build("default").ok();
    let cached = build("private").ok();
    assert_eq!(cached.output(), [""; 0]);
}

fn a_dockerfile_does_not_leave_the_network_that_it_is_given(space: &Space) {
    let step = |network: &str| {
        let text = format!("FROM tools\nRUN --network={network} <<EOF\n{SHOW}EOF\n");
        space.build(&text).args(["--network", "none", "--no-cache"])
    };
    let devices = |output: Vec<&str>| {
        output
            .iter()
            .filter(|line| line.starts_with("dev="))
            .count()
    };
    assert_eq!(devices(step("default").ok().output()), 1);
    step("host").exits(1).says(&["--allow network.host"]);
    let hosts = fs::read_to_string("/proc/self/net/dev")
        .unwrap()
        .matches(':')
        .count();
    let allowed = step("host").args(["--allow", "network.host"]).ok();
    assert_eq!(devices(allowed.output()), hosts);
}

fn what_a_private_network_has_not_is_told(space: &Space) {
    let text = "FROM scratch\nCOPY Dockerfile /\n";
    let gateway = ["--network", "private", "--add-host", "me:host-gateway"];
    space
        .build(text)
        .args(gateway)
        .exits(2)
        .says(&["host-gateway"]);
    let other = ["--network", "private", "--add-host", "me:10.1.2.3"];
    space.build(text).args(other).ok();
    let options = space
        .build(text)
        .args(["--network", "pasta:--ipv4-only"])
        .ok();
    options.says(&["warning", "--ipv4-only", "no effect"]);
    space.build(text).args(["--network", "default:x"]).exits(2);
}
