//! What a command sees of the machine: `/proc`, `/sys`, `/dev`, the network, other processes.

use kiln_sandbox::{Feature, Network, RunSpec};

use crate::harness::{Ground, shell};

pub fn root_is_the_image(ground: &Ground) {
    ground
        .sh("a", "ls /; cd /..; pwd")
        .expect(0, "bin\ndev\netc\nproc\nrun\nsys\ntmp\n/\n");
    let outcome = ground.sh("b", "cat /proc/self/mountinfo");
    let points: Vec<&str> = outcome
        .output
        .lines()
        .map(|line| line.split(' ').nth(4).unwrap())
        .collect();
    assert_eq!(points[0], "/");
    let known = |point: &&str| {
        *point == "/"
            || ["/proc", "/sys", "/dev"]
                .iter()
                .any(|folder| point.starts_with(folder))
    };
    assert!(points.iter().all(known), "{points:?}");
    let folder = ground.folder.path().to_str().unwrap();
    let unexpected: Vec<_> = outcome
        .output
        .lines()
        .skip(1)
        .filter(|line| line.contains(folder))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

pub fn devices(ground: &Ground) {
    let names = "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";
    ground.sh("a", "ls /dev").expect(0, names);
    let script = "head -c 3 /dev/zero | wc -c; echo x > /dev/null; echo x 2>/dev/null > /dev/full || echo full; \
                  df /dev/shm | while read a size b; do echo $size; done; stat -c %a /dev/shm /dev/pts/ptmx; touch /dev/shm/f; ls /dev/pts";
    let spec = RunSpec {
        shm_size: 1 << 20,
        ..shell(script)
    };
    ground
        .run(&ground.root("b"), &spec)
        .expect(0, "3\nfull\n1K-blocks\n1024\n1777\n666\nptmx\n");
}

/// A run may make device nodes (as real root), but never open them: everything is nodev.
pub fn made_devices_cannot_be_opened(ground: &Ground) {
    let script = "for dir in / /dev /dev/shm /tmp; do mknod $dir/zero2 c 1 5 2>/dev/null || echo refused; \
                  head -c 1 $dir/zero2 2>/dev/null && echo OPENED; done; true";
    let outcome = ground.sh("upper", script);
    let refused = if ground.entered.rootless {
        "refused\n".repeat(4)
    } else {
        String::new()
    };
    outcome.expect(0, &refused);
}

pub fn masked_and_read_only(ground: &Ground) {
    let script = "for f in kcore keys timer_list sched_debug interrupts; do [ -e /proc/$f ] && cat /proc/$f; done; \
                  ls /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap 2>/dev/null | while read x; do case $x in *:|'') ;; *) echo visible $x;; esac; done; \
                  for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/x /sys/x /sys/fs/cgroup/x /proc/sys/vm/drop_caches; do (echo 1 > $f) 2>/dev/null && echo writable $f; done; \
                  mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; echo done";
    ground.sh("upper", script).expect(0, "done\n");
}

pub fn processes(ground: &Ground) {
    let outcome = ground.sh("upper", "ls /proc | while read n; do case $n in [0-9]*) echo $n;; esac; done | head -n 1; echo; while read line; do echo $line; done < /proc/1/comm");
    outcome.expect(0, "1\n\nsh\n");
}

pub fn network(ground: &Ground) {
    let interfaces = "while read name rest; do case $name in *:*) echo ${name%%:*};; esac; done < /proc/net/dev; ls /sys/class/net";
    let alone = RunSpec {
        network: Network::None,
        ..shell(&format!("{interfaces}; cat /sys/class/net/lo/flags"))
    };
    // IFF_UP and IFF_LOOPBACK.
    ground
        .run(&ground.root("a"), &alone)
        .expect(0, "lo\nlo\n0x9\n");
    let host = ground.sh("b", "ls /sys/class/net");
    let here: Vec<_> = std::fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(host.output.lines().count(), here.len());
}

pub fn without_features(ground: &Ground) {
    for (feature, ..) in Feature::ALL {
        ground.disabled.set([feature].into_iter().collect());
        let script = "echo $$; echo x > /etc/f; cat /proc/self/comm; (echo 1 > /sys/x) 2>/dev/null || echo read-only; ls /..";
        ground
            .sh(feature.name(), script)
            .expect(0, "1\ncat\nread-only\nbin\ndev\netc\nproc\nrun\nsys\ntmp\n");
        assert_eq!(
            std::fs::read_to_string(ground.path(feature.name()).join("etc/f")).unwrap(),
            "x\n"
        );
    }
}
