//! Flags of `docker run` and `podman run` that kiln does not have, a line each. Unaware of what becomes of them.

use crate::flag::foreign::Answer::{self, Accept, Off, Refuse};
use crate::flag::foreign::{Foreign, Table, flags_of_others};

/// Of `kiln run`.
#[derive(Debug)]
pub struct OfRun;

impl Table for OfRun {
    const TABLE: &'static [Foreign] = TABLE;
}

const RESTARTS: &str = "kiln has no daemon that starts a container again: let a unit of systemd, or another supervisor, run `kiln run --rm`";
const CAPABILITIES: Answer = Refuse("a container has the capabilities of docker's default");
const NAMESPACES: Answer = Refuse("every container has namespaces of its own");
const RESOLVER: Answer =
    Refuse("a container uses this machine's /etc/resolv.conf; --add-host adds names");
const DEVICES: Answer = Refuse("kiln gives containers no devices of the host");
const ADDRESSES: Answer = Refuse("kiln has no named networks: --network host, private or none");
const NOT_KEPT: Answer = Accept("containers of kiln have no labels");
const HEALTH: Answer = Accept("kiln does not look after the health of a container");
const LOGS: Answer = Accept("`kiln logs` shows what a container in the background prints");
const LIMITS: Answer = Refuse("see --memory, --cpus and their family");
const VOLUMES: Answer =
    Refuse("kiln has no volumes: -v FOLDER:PATH shows a folder of this machine");

flags_of_others! {
    "restart" Single Off(RESTARTS);
    "expose" List Accept("it only describes an image");
    "privileged" Switch Off("kiln run gives no rights over this machine");
    "cap-add" List CAPABILITIES;
    "cap-drop" List CAPABILITIES;
    "security-opt" List Refuse("a container is confined as docker's default says");
    "group-add" List Refuse("name the group: --user USER:GROUP");
    "device" List DEVICES;
    "gpus" Single DEVICES;
    "device-cgroup-rule" List DEVICES;
    "device-read-bps" List LIMITS;
    "device-read-iops" List LIMITS;
    "device-write-bps" List LIMITS;
    "device-write-iops" List LIMITS;
    "pid" Single NAMESPACES;
    "ipc" Single NAMESPACES;
    "uts" Single NAMESPACES;
    "userns" Single NAMESPACES;
    "cgroupns" Single NAMESPACES;
    "dns" List RESOLVER;
    "dns-option" List RESOLVER;
    "dns-search" List RESOLVER;
    "domainname" Single Refuse("write the whole name as --hostname");
    "ip" Single ADDRESSES;
    "ip6" Single ADDRESSES;
    "link" List ADDRESSES;
    "link-local-ip" List ADDRESSES;
    "mac-address" Single ADDRESSES;
    "network-alias" List ADDRESSES;
    "volumes-from" List VOLUMES;
    "volume-driver" Single VOLUMES;
    "storage-opt" List Refuse("a container may use the store's disk");
    "sysctl" List Refuse("a container sees the settings of this machine");
    "label" 'l' List NOT_KEPT;
    "label-file" List NOT_KEPT;
    "annotation" List NOT_KEPT;
    "cidfile" Single Refuse("`kiln run -d` prints the ID, and --name gives a name");
    "attach" 'a' List Refuse("kiln's own streams are always those of the container; -i passes standard input");
    "detach-keys" Single Accept("a container runs in the background from the beginning, with -d, or never");
    "sig-proxy" Switch Accept("signals always go on to the container");
    "stop-timeout" Single Accept("`kiln stop --time` says how long a container may take to end");
    "health-cmd" Single HEALTH;
    "health-interval" Single HEALTH;
    "health-retries" Single HEALTH;
    "health-start-interval" Single HEALTH;
    "health-start-period" Single HEALTH;
    "health-timeout" Single HEALTH;
    "no-healthcheck" Switch HEALTH;
    "log-driver" Single LOGS;
    "log-opt" List LOGS;
    "blkio-weight" Single LIMITS;
    "blkio-weight-device" List LIMITS;
    "cpu-rt-period" Single LIMITS;
    "cpu-rt-runtime" Single LIMITS;
    "memory-reservation" Single LIMITS;
    "memory-swappiness" Single LIMITS;
    "oom-kill-disable" Switch LIMITS;
    "oom-score-adj" Single LIMITS;
    "pids-limit" Single Refuse("--ulimit nproc=N limits processes");
    "disable-content-trust" Switch Accept("kiln checks no signatures");
    "runtime" Single Accept("kiln runs containers itself");
    "use-api-socket" Switch Off("kiln has no daemon");
}
