//! The course that kiln came from, on containers: an image is built, run in every way, looked into, changed and made an image again.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::run_network::lacks;
use crate::support::mode::skip;
use crate::support::processes::{eventually, nothing_left};
use crate::support::{Finished, Space, user_cases};

user_cases! {
    the_course,
    ports_lead_into_a_container,
    ports_are_forwarded_all_the_same,
}

const TOOLS: &str = "tools=host-tools:sh,cat,ls,rm,mkdir,sleep,env,busybox";

fn kiln(space: &Space, words: &[&str]) -> Finished {
    space.kiln(words).ok()
}

/// An image `course` with an entrypoint that says what it is given.
pub fn image(space: &Space) {
    let text = "FROM tools\nENV GREETING=hello\nEXPOSE 8000\nWORKDIR /app\nRUN echo page > index.html\n\
        ENTRYPOINT [\"sh\", \"-c\", \"echo $GREETING $0 $*\"]\nCMD [\"world\"]\n";
    space.write("Dockerfile", text);
    let build = ["build", "-t", "course", "--build-context", TOOLS];
    space.kiln(build).arg(space.context()).ok();
}

fn the_course(space: &Space) {
    image(space);
    let prints = |words: &[&str], expected: &str| {
        let words = [&["run", "--rm"], words].concat();
        assert_eq!(kiln(space, &words).stdout, expected, "{words:?}");
    };
    // entrypoint and command
    prints(&["course"], "hello world\n");
    prints(&["course", "you", "there"], "hello you there\n");
    prints(&["--entrypoint", "cat", "course", "index.html"], "page\n");
    // environment
    fs::write(space.own().join("settings"), "GREETING=file\nOTHER=x\n").unwrap();
    prints(&["--env", "GREETING=hi", "course"], "hi world\n");
    prints(&["--env-file", "settings", "course"], "file world\n");
    prints(
        &["--env-file", "settings", "-e", "GREETING=line", "course"],
        "line world\n",
    );
    volumes(space);
    service(space);
    prints(&["course:2"], "state\nmore\n");
    assert_eq!(kiln(space, &["ps", "-aq"]).stdout, "");
    nothing_left(&space.store());
    space.is_clean();
}

/// A container with a name, whose shell gets a script.
fn run(space: &Space, name: &str, flags: &[&str], script: &str) -> Finished {
    let before = ["run", "--name", name];
    let shell = ["--entrypoint", "sh", "course", "-c"];
    let words = before.iter().chain(flags).chain(&shell).chain([&script]);
    space.kiln(words).run()
}

fn volumes(space: &Space) {
    // volumes: one that is only read, and one that two containers share
    let shared = space.own_folder("own/shared");
    fs::write(shared.join("given"), "given\n").unwrap();
    let read_only = run(
        space,
        "reader",
        &["-v", "./shared:/data:ro"],
        "cat /data/given; echo x > /data/new",
    );
    assert!(
        !read_only.status.success() && read_only.stdout == "given\n",
        "{read_only}"
    );
    run(
        space,
        "writer",
        &["-v", "./shared:/data"],
        "echo written > /data/new",
    );
    let other = run(
        space,
        "other",
        &["-v", "./shared:/data:ro"],
        "cat /data/new",
    );
    assert_eq!(other.stdout, "written\n");
    assert_eq!(fs::read_to_string(shared.join("new")).unwrap(), "written\n");
    // one that ended is there
    let ended = kiln(space, &["ps", "-a", "--format", "{{.Names}} {{.State}}"]).stdout;
    assert_eq!(ended, "other exited\nwriter exited\nreader exited\n");
    kiln(space, &["rm", "other", "writer", "reader"]);
}

fn service(space: &Space) {
    // in the background: logs, another command, files, an image, the end
    let script = "trap 'echo bye; exit 0' TERM; echo up; echo state > /app/state; while :; do sleep 0.1; done";
    let ran = run(space, "service", &["-d"], script);
    assert!(ran.status.success(), "{ran}");
    let following = space.kiln(["logs", "-f", "service"]).spawn();
    eventually("it writes nothing", || {
        space.kiln(["exec", "service", "cat", "state"]).run().stdout == "state\n"
    });
    kiln(
        space,
        &["exec", "service", "sh", "-c", "echo more >> state"],
    );
    kiln(space, &["cp", "service:/app/state", "state"]);
    assert_eq!(
        fs::read_to_string(space.own().join("state")).unwrap(),
        "state\nmore\n"
    );
    kiln(space, &["stop", "service"]);
    assert_eq!(following.wait().stdout, "up\nbye\n");
    let changes = ["-c", "ENTRYPOINT []", "-c", "CMD [\"cat\", \"state\"]"];
    let commit = [
        &["commit", "-m", "a lesson", "-a", "me"],
        &changes[..],
        &["service", "course:2"],
    ];
    kiln(space, &commit.concat());
    kiln(space, &["rm", "service"]);
}

/// What a server at a port of this machine answers, once it does.
pub fn fetched(port: u16) -> String {
    let mut text = String::new();
    eventually("nothing answers", || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        text.clear();
        stream
            .write_all(b"GET /index.html HTTP/1.0\r\n\r\n")
            .is_ok()
            && stream.read_to_string(&mut text).is_ok()
            && text.contains("page")
    });
    text
}

/// The port of this machine that leads to the one of the server.
fn published(space: &Space, address: &str) -> u16 {
    let shown = kiln(space, &["ps", "--format", "{{.Ports}}"]).stdout;
    let port = shown
        .strip_prefix(address)
        .and_then(|rest| rest.split_once("->8000/tcp\n"));
    port.unwrap_or_else(|| panic!("{shown}")).0.parse().unwrap()
}

/// Also where no network stack is, or may be used: nothing is needed for that.
fn ports_are_forwarded_all_the_same(space: &Space) {
    image(space);
    let flags = "run -d --name web -p 127.0.0.1::8000 --entrypoint busybox course httpd -f -p 8000";
    let started = space.kiln(flags.split(' ')).env("PATH", "/nowhere").ok();
    started.says(&["warning: ", "reached at its ports", "pasta nor slirp4netns"]);
    fetched(published(space, "127.0.0.1:"));
    kiln(space, &["rm", "-f", "web"]);
    nothing_left(&space.store());
    packets_are_relayed(space);
}

/// An image `echoes` that sends back what comes to its port 8000 of UDP.
pub fn echoes(space: &Space) {
    let echo = "socket(S, 2, 2, 17); bind(S, pack('SnC4x8', 2, 8000, 0, 0, 0, 0)); \
                while ($from = recv(S, $packet, 99, 0)) { send(S, $packet, 0, $from) }";
    let build = "build -q -t echoes --build-context tools=host-tools:perl -f -";
    let build = space.kiln(build.split(' ')).arg(space.context());
    let text = format!("FROM tools\nCMD [\"perl\", \"-e\", \"{echo}\"]\n");
    build.stdin(text).ok();
}

/// UDP: what a server sends back comes back to who has sent to it.
fn packets_are_relayed(space: &Space) {
    echoes(space);
    let flags = "run -d --name echo -p 127.0.0.1::8000/udp echoes".split(' ');
    let started = space.kiln(flags).env("PATH", "/nowhere").ok();
    started.says(&["reached at its ports"]);
    let shown = kiln(space, &["port", "echo", "8000/udp"]).stdout;
    for word in [b"one", b"two"] {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(shown.trim_end()).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut packet = [0; 9];
        // nobody may listen yet, and what is sent then is lost
        eventually("nothing comes back", || {
            let _ = client.send(word);
            std::thread::sleep(Duration::from_millis(20));
            client
                .recv(&mut packet)
                .is_ok_and(|length| &packet[..length] == word)
        });
    }
    kiln(space, &["rm", "-f", "echo"]);
    nothing_left(&space.store());
}

fn ports_lead_into_a_container(space: &Space) {
    for program in ["pasta", "slirp4netns"] {
        if let Some(why) = lacks(space, program) {
            skip("course", space.mode, &why);
            continue;
        }
        image(space);
        let server = [
            "--entrypoint",
            "busybox",
            "course",
            "httpd",
            "-f",
            "-p",
            "8000",
        ];
        let flags = [
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            program,
            "-p",
            "127.0.0.1::8000",
        ];
        kiln(space, &[&flags[..], &server].concat());
        let port = published(space, "127.0.0.1:");
        fetched(port);
        let place = format!("127.0.0.1:{port}\n");
        assert_eq!(kiln(space, &["port", "web", "8000"]).stdout, place);
        let line = format!("8000/tcp -> {place}");
        assert_eq!(kiln(space, &["port", "web"]).stdout, line);
        let none = space.kiln(["port", "web", "80/udp"]).exits(1);
        none.says(&["no public port 80/udp", "kiln port web"]);
        // the port is taken
        let taken = format!("127.0.0.1:{port}:1");
        let again = ["run", "--rm", "--network", program, "-p", &taken, "course"];
        let refused = space.kiln(again).exits(125);
        refused.says(&["cannot be taken", &port.to_string(), "another port"]);
        refused.never_says(&["pasta", "kiln doctor"]);
        kiln(space, &["rm", "-f", "web"]);
        // all that the image says it listens at
        let flags = ["run", "-d", "--name", "web", "--network", program, "-P"];
        kiln(space, &[&flags[..], &server].concat());
        fetched(published(space, "0.0.0.0:"));
        kiln(space, &["rm", "-f", "web"]);
        nothing_left(&space.store());
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "the port stays"
        );
    }
}
