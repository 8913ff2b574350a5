//! What is known of containers: what `inspect` and `top` show, files that are not as kiln writes them, and what `fsck` mends of them.

use std::fs;

use crate::containers::{kiln, sleeping};
use crate::run_containers::{prepare, run};
use crate::support::{Space, plain_cases};

plain_cases! {
    containers_are_inspected,
    files_that_kiln_has_not_written_are_refused,
    damaged_containers_are_found_and_mended,
}

fn containers_are_inspected(space: &Space) {
    prepare(space, "");
    space.own_folder("own/shared");
    let flags = "--name web -v ./shared:/data:ro --tmpfs /t --memory 64m --network none";
    let command = ["app", "sh", "-c", "exit 4"];
    run(space, flags.split(' ').chain(command)).exits(4);
    let image = kiln(space, &["inspect", "-f", "{{.Id}}", "app"]).stdout;
    for (format, expected) in [
        (
            "{{.Name}} {{.State.Status}} {{.State.Running}}",
            "/web exited false",
        ),
        (
            "{{.State.ExitCode}} {{.Path}} {{json .Args}}",
            "4 sh [\"-c\",\"exit 4\"]",
        ),
        (
            "{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}",
            "/data false;/t true;",
        ),
        (
            "{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}}",
            "67108864 none",
        ),
        ("{{.Config.Image}} {{.Config.Hostname}}", "app web"),
        ("{{.Image}}", image.trim_end()),
    ] {
        let shown = kiln(space, &["inspect", "-f", format, "web"]).stdout;
        assert_eq!(shown, format!("{expected}\n"), "{format}");
    }
    what_runs_is_inspected(space);
    // each kind alone finds no other
    kiln(space, &["container", "inspect", "web"]);
    let image = space.kiln(["image", "inspect", "web"]).exits(1);
    image.says(&["web"]);
    let container = space.kiln(["inspect", "--type=container", "app"]).exits(1);
    container.says(&["no container app"]);
}

fn what_runs_is_inspected(space: &Space) {
    let nap = sleeping(space, "runs", "true");
    let state = "{{.State.Running}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.ExitCode}}";
    let shown = |format: &str, name: &str| kiln(space, &["inspect", "-f", format, name]).stdout;
    assert_eq!(shown(state, "runs"), "true false false 0\n");
    assert_eq!(
        shown("{{.State.FinishedAt}}", "runs"),
        "0001-01-01T00:00:00Z\n"
    );
    let pid = shown("{{.State.Pid}}", "runs");
    let words = fs::read(format!("/proc/{}/cmdline", pid.trim_end())).unwrap();
    assert!(words.starts_with(b"sh\0"), "{pid}");
    assert_eq!(shown("{{.State.Pid}}", "web"), "0\n");
    // only what `ps` shows is of this machine
    if std::process::Command::new("ps").arg("-V").output().is_ok() {
        let listed = kiln(space, &["top", "runs"]).stdout;
        let mut lines = listed.lines();
        assert!(lines.next().unwrap().starts_with("UID "), "{listed}");
        assert!(lines.any(|line| line.contains(&nap)), "{listed}");
        assert!(lines.count() < 3 && listed.contains(pid.trim_end()));
        let listed = kiln(space, &["container", "top", "runs", "-o", "pid,comm"]).stdout;
        assert!(
            listed.starts_with("PID  ") && listed.contains("sleep"),
            "{listed}"
        );
        let wrong = space.kiln(["top", "runs", "-o", "comm"]).exits(2);
        wrong.says(&["column PID"]);
    }
    space.kiln(["top", "web"]).exits(1).says(&["does not run"]);
    kiln(space, &["rm", "-f", "runs"]);
}

fn files_that_kiln_has_not_written_are_refused(space: &Space) {
    prepare(space, "");
    run(space, ["--name", "web", "app", "id", "-u"]).ok();
    let id = kiln(space, &["ps", "-aq"]).stdout.trim_end().to_owned();
    let record = space
        .store()
        .join("containers")
        .join(&id)
        .join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    for wrong in [
        text.replace("\"format\": 1", "\"format\": 2"),
        text.replace("\"web\"", "\"../web\""),
        text.replace(&id, "0123456789ab"),
        text.replacen("\"sha256:", "\"sha256:0", 2),
        "{".to_owned(),
    ] {
        fs::write(&record, wrong).unwrap();
        let said = space.kiln(["rm", &id]).exits(3);
        said.says(&["record.json cannot be used"]);
        kiln(space, &["ps", "-a"]).says(&["warning: ", "record.json"]);
    }
    fs::write(&record, text).unwrap();
    kiln(space, &["rm", "web"]);
}

/// What fsck mends of a container keeps what it has changed.
fn damaged_containers_are_found_and_mended(space: &Space) {
    prepare(space, "");
    let script = "echo kept > /kept";
    run(space, ["--name", "web", "app", "sh", "-c", script]).ok();
    let id = kiln(space, &["ps", "-aq"]).stdout.trim_end().to_owned();
    let folder = space.store().join("containers").join(&id);
    let [record, layers] = ["record.json", "layers"].map(|name| folder.join(name));
    let texts = [&record, &layers].map(|file| fs::read_to_string(file).unwrap());
    assert_eq!(kiln(space, &["fsck"]).stdout, "clean\n");
    let checked = |code, flag: &[&str], said: &str| {
        let checked = space.kiln(["fsck"]).args(flag.iter().copied()).exits(code);
        let said = format!("container {id}: {said}");
        assert!(checked.stdout.contains(&said), "{checked}");
    };
    // one of another kiln stays as it is
    fs::write(&record, texts[0].replace("\"format\": 1", "\"format\": 2")).unwrap();
    checked(3, &["--repair"], "another kiln has written");
    fs::write(&record, &texts[0]).unwrap();
    // what says on which layers it stands
    fs::write(&layers, "nothing\n").unwrap();
    checked(3, &[], "on which layers it stands cannot be read");
    checked(
        0,
        &["--repair"],
        "on which layers it stands cannot be read: it stands",
    );
    assert_eq!(fs::read_to_string(&layers).unwrap(), texts[1]);
    // both: nothing tells what it was, and what it has changed stays
    fs::write(&layers, "nothing\n").unwrap();
    fs::remove_file(&record).unwrap();
    checked(3, &["--repair"], "neither what it is can be read");
    assert!(folder.join("upper/kept").exists());
    fs::write(&layers, &texts[1]).unwrap();
    // what it is
    checked(0, &["--repair"], "what it is cannot be read: it is a shell");
    let shown = kiln(space, &["cp", &format!("{id}:/kept"), "-"]).stdout;
    assert!(shown.contains("kept"));
    assert_eq!(kiln(space, &["fsck"]).stdout, "clean\n");
    // a folder with nothing in it
    kiln(space, &["rm", &id]);
    fs::create_dir(&folder).unwrap();
    fs::write(&layers, "nothing\n").unwrap();
    space.give(&folder);
    space.give(&layers);
    checked(0, &["--repair"], "neither what it is can be read");
    assert!(!folder.exists());
}
