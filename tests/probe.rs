//! A step that tries what a hostile one would: files, processes, credentials, devices and rights of the machine or the container. It gets what
//! SECURITY.md says that it gets, in each mode, and nothing else. Networks are tried by `run_network.rs`.

use crate::support::contained::build;
use crate::support::mode::Mode;
use crate::support::{Space, plain_cases, user_cases};

user_cases! {
    a_step_in_namespaces_reaches_nobody_else,
}

mod supervised {
    use super::*;

    plain_cases! {
        a_step_reaches_nobody_else,
    }

    fn a_step_reaches_nobody_else(space: &Space) {
        space.write("probe", probe(space, "1, 2, $above"));
        let text = "FROM tools
COPY probe /probe
RUN perl /probe 2>&1
RUN kill -TERM -1 2> /dev/null; echo alive
RUN for number in 3 4 5 6 7 8 9 10; do readlink /proc/self/fd/$number; done; echo closed
";
        let told = build(space, text, "--no-cache").ok();
        assert_eq!(told.output(), ["probed", "alive", "closed"], "{told}");
    }
}

/// What a hostile step tries. It prints what it could do.
const PROBE: &str = r#"
sub got { print "got @_\n" }
sub call { my ($name, $number, @rest) = @_; my @own = map { $_ } @rest; syscall($number, @own) >= 0 and got($name) }
# the first ancestor that has no file here is not of this step
my $above = $$;
while (open(my $file, "<", "/proc/$above/status")) {
    (join("", <$file>) =~ /PPid:\t(\d+)/ and $1) or last;
    $above = $1;
}
for my $pid (PROCESSES) {
    for my $name ("root/etc/passwd", "environ", "mem", "cwd/.", "fd/0", "maps", "auxv", "stack", "syscall", "ns/mnt") {
        open(my $file, "<", "/proc/$pid/$name") and read($file, my $text, 1) and got("/proc/$pid/$name");
    }
    -e "/proc/$pid/exe" and got("/proc/$pid/exe");
    kill(0, $pid) and got("signal $pid");
    call("trace $pid", 101, 16, $pid, 0, 0);
    call("seize $pid", 101, 0x4206, $pid, 0, 0);
    call("descriptor of $pid", 434, $pid, 0);
    call("priority of $pid", 141, 0, $pid, 5);
    call("processors of $pid", 203, $pid, 8, "\1\0\0\0\0\0\0\0");
    call("group of $pid", 109, $pid, 0);
    call("queue to $pid", 129, $pid, 0, "\0" x 128);
    call("limits of $pid", 302, $pid, 7, 0, "\0" x 16);
    my $memory = pack("QQ", 0, 8);
    call("memory of $pid", 310, $pid, $memory, 1, $memory, 1, 0);
}
opendir(my $proc, "/proc") or die "no list";
my @others = grep { /^\d+$/ && ($_ < 3 || $_ == $above) } readdir($proc);
@others and got("processes @others");
chdir($proc) or die "no folder";
for my $up ("..", "../..", "../../..", "../../../../../..") {
    -e "$up/PLACE" and got("$up");
}
chdir("/proc/self/fd") and -e "../../../../../../PLACE" and got("fd");
mkdir("/x") and chroot("/x") and got("chroot");
for my $way ("/proc/self/root", "/proc/self/cwd", "/proc/$$/root", "/proc/thread-self/root", "/proc/self/task/$$/cwd") {
    -e "$way/PLACE" and got($way);
    -e "$way/../../../../../../PLACE" and got("$way/..");
}
my ($none, $x, $tmpfs) = ("none", "/x", "tmpfs");
call("mount", 165, $none, $x, $tmpfs, 0, 0);
call("unshare", 272, 0x10000000);
call("mount namespace", 272, 0x20000);
call("tree", 428, -100, "/", 1);
call("file system", 430, $tmpfs, 0);
call("handle", 304, -100, "\0" x 64, 0);
call("ring", 425, 8, "\0" x 120);
call("key", 250, 0, -3, 1);
call("program", 321, 0, "\0" x 128, 128);
call("event", 298, "\0" x 128, 0, -1, -1, 0);
call("watch of all", 300, 0, 0);
call("module", 313, 0, "", 0);
call("host name", 170, "x", 1);
call("swap", 167, "/x", 0);
call("log", 103, 10, 0, 0);
call("kcmp", 312, 1, $above, 0, 0, 0);
for my $name ("kernel/hostname", "kernel/core_pattern", "vm/drop_caches", "net/ipv4/ip_forward") {
    open(my $file, ">", "/proc/sys/$name") and got("write to /proc/sys/$name");
}
for my $name ("/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/fuse", "/sys/power/state") {
    open(my $file, "+<", $name) and got("open $name");
}
call("node", 133, "/disk", 0060600, 0x800) and open(my $disk, "<", "/disk") and got("disk");
fcntl(STDIN, 8, 1) and got("F_SETOWN");
print "probed\n";
"#;

/// The probe, as it looks for files of this space and for other processes than its own: by number where it would see them.
fn probe(space: &Space, processes: &str) -> String {
    let place = space.own();
    let place = place.strip_prefix("/").unwrap().display().to_string();
    PROBE
        .replace("PLACE", &place)
        .replace("PROCESSES", processes)
}

/// It sees itself, as process 1. It may leave a root folder for another one of its own, and root makes nodes that nobody can open.
fn a_step_in_namespaces_reaches_nobody_else(space: &Space) {
    space.write("probe", probe(space, "1 .. 0"));
    let text = "FROM tools\nCOPY --from=perl / /\nCOPY probe /probe\nRUN exec perl /probe 2>&1\n";
    let perl = "perl=host-tools:perl";
    let told = space
        .build(text)
        .args(["--no-cache", "--build-context", perl]);
    let told = told.ok();
    let node = (space.mode == Mode::Root).then_some("got node");
    let own = ["got processes 1", "got chroot"].into_iter().chain(node);
    let expected: Vec<_> = own.chain(["got F_SETOWN", "probed"]).collect();
    assert_eq!(told.output(), expected, "{told}");
}
