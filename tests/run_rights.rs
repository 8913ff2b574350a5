//! What a step may do: rights that have to be granted, devices, limits.

use crate::support::{Space, cases};

cases! {
    rights_have_to_be_granted,
    insecure_steps_are_privileged,
    devices_are_refused,
    limits_are_set,
}

fn rights_have_to_be_granted(space: &Space) {
    let needs = [
        ("RUN --security=insecure true", "security.insecure"),
        ("RUN --network=host true", "network.host"),
    ];
    for (step, right) in needs {
        let text = format!("FROM tools\n{step}\n");
        let refused = space.build(&text).exits(1);
        refused.says(&[
            &format!("granting entitlement {right} is not allowed"),
            &format!("--allow {right}"),
            step,
        ]);
        space.build(&text).args(["--allow", right]).ok();
        space
            .build(&text)
            .args(["--allow", "network.host,security.insecure"])
            .ok();
    }
    space
        .build("FROM scratch\nLABEL a=b\n")
        .args(["--allow", "moon"])
        .exits(2)
        .says(&["security.insecure"]);
}

fn insecure_steps_are_privileged(space: &Space) {
    let script = "while read name value; do case $name in CapEff:|Seccomp:) echo ${name}$value;; esac; done < /proc/self/status
mount -t tmpfs none /mnt && echo mounted
[ -w /proc/sys/kernel/hostname ] && echo changed > /proc/sys/kernel/hostname && cat /proc/sys/kernel/hostname; true";
    let text = |flag: &str| {
        format!(
            "FROM tools\nCOPY --from=more / /\nRUN mkdir /mnt\nRUN {flag} <<EOF\n{script}\nEOF\n"
        )
    };
    let build = |flag: &str| {
        let build = space
            .build(&text(flag))
            .args(["--build-context", "more=host-tools:mount"]);
        build.args(["--allow", "security.insecure"])
    };
    let built = build("--security=insecure").ok();
    built.says(&["| Seccomp:0", "| mounted"]);
    if !space.mode.is_rootless() {
        built.says(&["| changed"]);
    }
    let output = built.output();
    let effective = output
        .iter()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    let effective = u64::from_str_radix(effective, 16).unwrap();
    assert_eq!(
        effective & (1 << 21),
        1 << 21,
        "CAP_SYS_ADMIN is missing: {effective:x}"
    );
    // It is another step than the confined one, whose result does not count for it.
    let confined = build("--security=sandbox").run();
    confined
        .says(&["| Seccomp:2", "CapEff:00000000a80405fb"])
        .never_says(&["| mounted", "| changed"]);
}

fn devices_are_refused(space: &Space) {
    let text = |flag: &str| format!("FROM tools\nRUN --device={flag} echo ran\n");
    let denied = space.build(&text("vendor.com/class=name")).exits(1);
    denied.says(&[
        "granting entitlement device is not allowed",
        "--allow device",
    ]);
    let allowed = |flag: &str| space.build(&text(flag)).args(["--allow", "device"]);
    allowed("vendor.com/class=name,required")
        .exits(1)
        .says(&["--device=vendor.com/class=name", "no devices"]);
    allowed("vendor.com/class")
        .ok()
        .says(&["| ran", "warning", "no devices"]);
    space.build(&text("required")).exits(1).says(&["no name"]);
}

fn limits_are_set(space: &Space) {
    let text = "FROM tools\nRUN echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -Sc)\n";
    let build = |limits: &[&str]| {
        let build = space.build(text).env("KILN_PROGRESS", "plain");
        limits
            .iter()
            .fold(build, |build, limit| build.args(["--ulimit", limit]))
    };
    assert_eq!(
        build(&["nofile=123:456", "core=0"]).ok().output(),
        ["123 456 0"]
    );
    assert_eq!(
        build(&["core=0", "nofile=123:456"]).ok().output(),
        [""; 0],
        "the same limits"
    );
    assert_eq!(
        build(&["nofile=124:456", "core=0"]).ok().output(),
        ["124 456 0"]
    );
    for bad in ["nofile", "moon=1", "nofile=2:1", "nofile=x"] {
        build(&[bad]).exits(2).says(&["--ulimit", bad]);
    }
    if space.mode.is_rootless() {
        build(&["nofile=999999999"])
            .exits(3)
            .says(&["nofile", "hard limit"]);
    }
}
