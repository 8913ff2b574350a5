//! kiln where namespaces are refused: in a user namespace whose root has docker's capabilities, may make no other namespace and may mount nothing,
//! as in a container with docker's default profile. Real containers are tried by tests/interop/containers.

use super::{Kiln, Space};

/// Docker's default capabilities (moby, oci/caps/defaults.go).
pub const CAPABILITIES: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,\
                            +mknod,+audit_write,+setfcap";

const TOOLS: &str = "host-tools:sh,cat,ls,id,mkdir,rm,ln,chmod,touch,sleep,stat,mv,cp,env,readlink,perl,mkfifo,truncate";

/// A command of kiln as in such a container that shares the machine's processes.
pub fn contained(space: &Space, command: &str) -> Kiln {
    within(space, "", CAPABILITIES, command)
}

/// The same with processes of its own, by which it is known as a container, and with these capabilities.
pub fn in_container(space: &Space, capabilities: &str, command: &str) -> Kiln {
    within(
        space,
        "--pid --fork --kill-child --mount-proc",
        capabilities,
        command,
    )
}

fn within(space: &Space, more: &str, capabilities: &str, command: &str) -> Kiln {
    let inner = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set={capabilities} --inh-caps=-all kiln {command}"
    );
    space.shell(&format!(
        "exec unshare --user --map-root-user {more} sh -euc '{inner}'"
    ))
}

/// The command that builds a Dockerfile.
pub fn command(space: &Space, text: &str, flags: &str) -> String {
    space.write("Dockerfile", text);
    let context = space.context();
    let context = context.display();
    format!("build -t app --progress plain --build-context tools={TOOLS} {flags} {context}")
}

/// Builds the Dockerfile there.
pub fn build(space: &Space, text: &str, flags: &str) -> Kiln {
    let flags = format!("--isolation supervised {flags}");
    contained(space, &command(space, text, &flags)).env("SOURCE_DATE_EPOCH", "1700000000")
}

/// Builds it again where namespaces work.
pub fn in_namespaces(space: &Space, isolation: &str) -> Kiln {
    let tools = format!("tools={TOOLS}");
    let flags = [
        "build",
        "-t",
        "app",
        "--progress",
        "plain",
        "--build-context",
        &tools,
    ];
    let kiln = space.kiln(flags).args(["--isolation", isolation]);
    kiln.arg(space.context())
        .env("SOURCE_DATE_EPOCH", "1700000000")
}
