//! Git repositories by ssh: the agent of `--ssh default` opens them, the user's own keys and configuration do not count, hosts are
//! known as they were. Against OpenSSH's server, and against a program that tells how it was called.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::mode::skip;
use crate::support::processes::eventually;
use crate::support::repository::Repository;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    an_agent_opens_repositories,
    a_host_with_another_key_is_refused,
    ssh_gets_nothing_of_the_user,
}

/// A key without a passphrase, of whoever runs kiln, in its own folder.
fn key(space: &Space, name: &str) -> PathBuf {
    let mut keygen = Kiln::of("ssh-keygen", space.account())
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
    keygen.command().current_dir(space.own());
    keygen.ok();
    space.own().join(name)
}

/// OpenSSH's server on a loopback port, which lets one key in as whoever runs the tests.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// `None`, told and counted, where there is none.
    fn start(space: &Space, allowed: &Path) -> Option<Self> {
        let program = Path::new("/usr/sbin/sshd");
        if !program.exists() || !Path::new("/usr/bin/ssh-keygen").exists() {
            skip("git by ssh", space.mode, "there is no openssh-server");
            return None;
        }
        // Its folder for the part without rights; other users' servers need none.
        let _ = std::fs::create_dir("/run/sshd");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = space.path("sshd");
        std::fs::create_dir(&folder).unwrap();
        let host_key = folder.join("host");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&host_key)
            .status();
        assert!(made.unwrap().success());
        std::fs::copy(allowed.with_extension("pub"), folder.join("allowed")).unwrap();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n",
            host_key.display(),
            folder.join("allowed").display()
        );
        std::fs::write(folder.join("config"), configuration).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually("sshd listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Some(Server { process, port })
    }

    /// The address of a repository of the space.
    fn url(&self, space: &Space, name: &str) -> String {
        let user = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let named = |line: &&str| line.split(':').nth(2) == Some(&user.to_string());
        let user = passwd
            .lines()
            .find(named)
            .unwrap()
            .split(':')
            .next()
            .unwrap();
        let path = space.path("repositories").join(name);
        format!("ssh://{user}@127.0.0.1:{}{}", self.port, path.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

fn an_agent_opens_repositories(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("Dockerfile", "FROM scratch\nCOPY file /from-context\n");
    repository.write("file", "text");
    repository.commit();
    let Some((key, server)) = has_server(space) else {
        return;
    };
    let url = server.url(space, "app.git");
    let text = format!("FROM scratch\nADD {url}#main /app/\n");
    // The user's own keys are not looked at, and the reason is told.
    let build = || space.build(&text).env("HOME", space.own());
    build()
        .exits(1)
        .says(&["Permission denied", "--ssh default", &format!("ADD {url}")]);
    let agent = format!("default={}", key.display());
    build().args(["--ssh", &agent]).ok();
    assert_eq!(space.image("app").text("app/file"), "text");
    // Another id is for steps.
    build()
        .args(["--no-cache", "--ssh", &format!("other={}", key.display())])
        .exits(1)
        .says(&["Permission denied"]);
    let mut context = space.kiln([
        "build",
        "-t",
        "context",
        "--ssh",
        &agent,
        &format!("{url}#main"),
    ]);
    context = context.env("HOME", space.own());
    context.ok();
    assert_eq!(space.image("context").text("from-context"), "text");
    space.is_clean();
}

fn has_server(space: &Space) -> Option<(PathBuf, Server)> {
    if !Path::new("/usr/bin/ssh-keygen").exists() {
        skip("git by ssh", space.mode, "there is no openssh-client");
        return None;
    }
    let key = key(space, "key");
    let server = Server::start(space, &key)?;
    Some((key, server))
}

fn a_host_with_another_key_is_refused(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "text");
    repository.commit();
    let Some((key, server)) = has_server(space) else {
        return;
    };
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let known = format!("[127.0.0.1]:{} {public}", server.port);
    let file = space.write_in("home/.ssh", "known_hosts", known);
    space.give(&file);
    let text = format!(
        "FROM scratch\nADD {}#main /app/\n",
        server.url(space, "app.git")
    );
    let build = space.build(&text).env("HOME", space.path("home"));
    let refused = build
        .args(["--ssh", &format!("default={}", key.display())])
        .exits(1);
    refused.says(&["Host key verification failed", "known_hosts"]);
}

fn ssh_gets_nothing_of_the_user(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "text");
    repository.commit();
    let told = space.own().join("told");
    let bare = space.path("repositories/app.git");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > {told}\nenv >> {told}\nexec git -c safe.directory='*' upload-pack {bare}\n",
        told = told.display(),
        bare = bare.display()
    );
    let program = space.write_in("bin", "ssh", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let path = format!("{}:/usr/bin:/bin", space.path("bin").display());
    let text = "FROM scratch\nADD git@example.invalid:team/app.git#main /app/\n";
    let build = space
        .build(text)
        .env("PATH", path)
        .env("SSH_AUTH_SOCK", "/the/users/agent");
    build
        .env("GIT_SSH_COMMAND", "false")
        .env("GIT_DIR", "/nowhere")
        .ok();
    assert_eq!(space.image("app").text("app/file"), "text");
    let told = std::fs::read_to_string(told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["-F", "/dev/null"]);
    for option in [
        "BatchMode=yes",
        "IdentityFile=none",
        "ProxyCommand=none",
        "ForwardAgent=no",
        "PermitLocalCommand=no",
    ] {
        assert!(lines.contains(&option), "{option}: {told}");
    }
    assert!(lines.contains(&"git@example.invalid"), "{told}");
    for name in ["SSH_AUTH_SOCK", "GIT_DIR"] {
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with(&format!("{name}="))),
            "{name}: {told}"
        );
    }
}
