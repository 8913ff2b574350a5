//! `RUN --mount=type=ssh` with OpenSSH's own agent: keys can be used, not taken, removed or kept.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::mode::skip;
use crate::support::process::{Finished, Kiln, Running};
use crate::support::{Space, cases};

cases! {
    an_agent_is_forwarded,
    keys_get_an_agent_of_their_own,
    without_openssh_it_says_what_is_needed,
    sockets_have_owners_and_places,
    agents_may_be_absent,
}

/// Programs of OpenSSH for RUN.
const MORE: &str = "more=host-tools:ssh-add,ssh-keygen";
const BASE: &str = "FROM tools
COPY --from=more / /
RUN mkdir -p /etc /tmp && echo root:x:0:0:root:/:/bin/sh > /etc/passwd
";

fn has_openssh(space: &Space) -> bool {
    let found = ["ssh-agent", "ssh-add", "ssh-keygen"]
        .iter()
        .all(|name| Path::new("/usr/bin").join(name).exists());
    if !found {
        skip("ssh agents", space.mode, "there is no openssh-client");
    }
    found
}

fn openssh(space: &Space, words: &[&str]) -> Finished {
    let mut program = Kiln::of(words[0], space.account()).args(&words[1..]);
    program.command().current_dir(space.own());
    program.env("SSH_AUTH_SOCK", "agent.sock").ok()
}

/// A key of whoever runs kiln; its public line as far as it tells keys apart.
fn key(space: &Space, name: &str) -> (PathBuf, String) {
    openssh(
        space,
        &[
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            name,
        ],
    );
    let public = std::fs::read_to_string(space.own().join(format!("{name}.pub"))).unwrap();
    (
        space.own().join(name),
        public.split(' ').nth(1).unwrap().to_owned(),
    )
}

/// An agent, ended with the case.
struct Agent(Option<Running>);

impl Agent {
    fn start(space: &Space) -> Self {
        let socket = space.own().join("agent.sock");
        let mut command = Kiln::of("ssh-agent", space.account()).args(["-D", "-a", "agent.sock"]);
        command.command().current_dir(space.own());
        let agent = Agent(Some(command.spawn()));
        let begun = Instant::now();
        while !socket
            .metadata()
            .is_ok_and(|meta| meta.file_type().is_socket())
        {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "ssh-agent does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(agent) = self.0.take() {
            agent.signal(Signal::TERM);
            let _ = agent.wait();
        }
    }
}

fn an_agent_is_forwarded(space: &Space) {
    if !has_openssh(space) {
        return;
    }
    let (file, public) = key(space, "key");
    let agent = Agent::start(space);
    openssh(space, &["ssh-add", "-q", "key"]);
    let text = format!(
        "{BASE}RUN --mount=type=ssh echo $SSH_AUTH_SOCK && ssh-add -L && ! ssh-add -D && ! ssh-add -x < /dev/null && echo kept
RUN --mount=type=ssh ssh-add -L > /tmp/key.pub && echo data > /tmp/data && ssh-keygen -q -Y sign -n test -f /tmp/key.pub /tmp/data && cat /tmp/data.sig && rm /tmp/*
RUN --network=none --mount=type=ssh ssh-add -l > /dev/null && echo also without a network
RUN echo \"[$SSH_AUTH_SOCK]\"; ls /run 2> /dev/null; true
"
    );
    let build = |text: &str| {
        let build = space
            .build_json(text)
            .args(["--build-context", MORE, "--ssh", "default"]);
        build.env("SSH_AUTH_SOCK", space.own().join("agent.sock"))
    };
    let built = build(&text).env("KILN_PROGRESS", "plain").ok();
    let output = built.output();
    assert_eq!(output[0], "/run/buildkit/ssh_agent.0", "{built}");
    assert!(output[1].contains(&public), "{built}");
    built.says(&[
        "| kept",
        "BEGIN SSH SIGNATURE",
        "| also without a network",
        "| []",
    ]);
    // The agent still has its key, the image has nothing of it.
    assert!(openssh(space, &["ssh-add", "-L"]).stdout.contains(&public));
    let image = space.image("app");
    assert!(!image.has("run"), "{:?}", image.below("run"));
    assert_eq!(image.below("tmp"), [""; 0]);
    // Another key is no reason to run again.
    std::fs::remove_file(file).unwrap();
    key(space, "other");
    openssh(space, &["ssh-add", "-q", "other"]);
    assert_eq!(build(&text).ok().events().ran(), [""; 0]);
    drop(agent);
    let none = build(&text).env("KILN_PROGRESS", "plain").exits(2);
    none.says(&["agent.sock"]);
    // A socket that nobody serves: what is cached needs none, what runs does.
    let socket = space.own().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    space.give(&socket);
    build(&text).ok();
    let gone = build(&text)
        .arg("--no-cache")
        .env("KILN_PROGRESS", "plain")
        .exits(1);
    gone.says(&["agent.sock", "cannot be reached"]);
}

fn keys_get_an_agent_of_their_own(space: &Space) {
    if !has_openssh(space) {
        return;
    }
    let (_, first) = key(space, "first");
    let (_, second) = key(space, "second");
    let text = format!(
        "{BASE}RUN --mount=type=ssh,id=both ssh-add -L\nRUN --mount=type=ssh,id=both,required ssh-add -l > /dev/null && echo again\n"
    );
    let build = || space.build(&text).args(["--build-context", MORE, "--ssh"]);
    let built = build().arg("both=first,second").ok();
    built.says(&[&first, &second, "| again"]);
    let agents = |_: &Space| {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let cwd = all.filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
        cwd.filter(|cwd| cwd.starts_with(space.store())).count()
    };
    assert_eq!(agents(space), 0, "an agent is left");
    // One with a passphrase cannot be asked for, no key is none, and there is one kind only.
    openssh(
        space,
        &[
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "secret",
            "-f",
            "closed",
        ],
    );
    let closed = build().arg("both=closed").arg("--no-cache").exits(1);
    closed
        .says(&["closed", "passphrase"])
        .never_says(&["BEGIN"]);
    std::fs::write(space.own().join("text"), "no key").unwrap();
    space.give(&space.own().join("text"));
    build()
        .arg("both=text")
        .arg("--no-cache")
        .exits(1)
        .says(&["text", "ssh-add"]);
    build().arg("both=/no/such").exits(2).says(&["/no/such"]);
    build()
        .arg("both=first")
        .args(["--ssh", "both=second"])
        .exits(2)
        .says(&["twice"]);
}

/// The image is made before: its programs are looked for in the same path.
fn without_openssh_it_says_what_is_needed(space: &Space) {
    if !has_openssh(space) {
        return;
    }
    key(space, "first");
    let base = space.build("FROM tools\n").args(["-t", "base"]);
    base.ok();
    space.write("Dockerfile", "FROM base\nRUN --mount=type=ssh true\n");
    let lacking = space
        .kiln(["build", "--ssh", "default=first"])
        .arg(space.context());
    lacking
        .env("PATH", "/nowhere")
        .exits(1)
        .says(&["ssh-agent", "OpenSSH"]);
}

fn sockets_have_owners_and_places(space: &Space) {
    if !has_openssh(space) {
        return;
    }
    key(space, "key");
    let id = if space.mode.has_one_id() { 0 } else { 1234 };
    let text = format!(
        "FROM tools
RUN --mount=type=ssh,target=/own/socket,mode=0640,uid={id},gid={id} --mount=type=ssh,id=two stat -c '%n %F %a %u %g' /own/socket /run/buildkit/ssh_agent.1 && echo $SSH_AUTH_SOCK
"
    );
    let options = ["--ssh", "default=key", "--ssh", "two=key"];
    let built = space.build(&text).args(options).ok();
    let expected = [
        format!("/own/socket socket 640 {id} {id}"),
        "/run/buildkit/ssh_agent.1 socket 600 0 0".to_owned(),
        "/own/socket".to_owned(),
    ];
    assert_eq!(built.output(), expected, "{built}");
    let image = space.image("app");
    assert!(!image.has("own") && !image.has("run"));
}

fn agents_may_be_absent(space: &Space) {
    let optional = "FROM tools\nRUN --mount=type=ssh [ ! -e /run/buildkit ] && echo none\n";
    space.build(optional).ok().says(&["| none"]);
    let required = "FROM tools\nRUN --mount=type=ssh,id=deploy,required true\n";
    let refused = space.build(required).exits(1);
    refused.says(&["deploy", "--ssh deploy"]);
    let unset = space.build(optional).args(["--ssh", "default"]).exits(2);
    unset.says(&["SSH_AUTH_SOCK", "ssh-add"]);
}
