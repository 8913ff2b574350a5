//! Runs the filter in a small interpreter of the instructions that it uses.

use libc::{ENOSYS, EPERM, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter};

use super::{action, filter, table::ABIS};

const ALLOW: u32 = SECCOMP_RET_ALLOW;

fn errno(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | errno as u32
}

fn run(code: &[sock_filter], arch: u32, number: u32, argument: u32) -> u32 {
    let (mut at, mut value) = (0, 0);
    loop {
        let sock_filter {
            code: operation,
            jt,
            jf,
            k,
        } = code[at];
        at += 1;
        let condition = match operation {
            0x20 => {
                value = match k {
                    0 => number,
                    4 => arch,
                    16 => argument,
                    _ => panic!("load of {k}"),
                };
                continue;
            }
            0x06 => return k,
            0x05 => {
                at += k as usize;
                continue;
            }
            0x15 => value == k,
            0x35 => value >= k,
            0x45 => value & k != 0,
            _ => panic!("instruction {operation:#x}"),
        };
        at += usize::from(if condition { jt } else { jf });
    }
}

fn number(abi: &super::Abi, name: &str) -> u32 {
    abi.allowed().find(|(_, known)| *known == name).unwrap().0
}

#[test]
fn every_number_of_every_interface_gets_its_answer() {
    let code = filter(&action);
    assert!(code.len() < 1000, "{} instructions", code.len());
    for abi in &ABIS {
        let special = ["clone", "clone3", "personality", "socket"].map(|name| number(abi, name));
        let newest = abi.allowed().map(|(number, _)| number).max().unwrap();
        for number in (0..2000).filter(|number| !special.contains(number)) {
            let allowed = abi.allowed().any(|(known, _)| known == number);
            let expected = if allowed {
                ALLOW
            } else {
                errno(if number > newest { ENOSYS } else { EPERM })
            };
            assert_eq!(
                run(&code, abi.audit_arch, number, 7),
                expected,
                "{:#x} {number}",
                abi.audit_arch
            );
        }
    }
}

#[test]
fn arguments_are_looked_at() {
    let code = filter(&action);
    for abi in &ABIS {
        let ask = |name, argument| run(&code, abi.audit_arch, number(abi, name), argument);
        assert_eq!(ask("clone", libc::SIGCHLD as u32), ALLOW);
        for flag in [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWCGROUP,
        ] {
            assert_eq!(ask("clone", flag as u32 | 17), errno(EPERM));
        }
        assert_eq!(ask("clone3", 0), errno(ENOSYS));
        for personality in [0, 8, 0x20000, 0x20008, u32::MAX] {
            assert_eq!(ask("personality", personality), ALLOW);
        }
        for personality in [1, 7, 9, 0x1ffff, 0x20001, 0x0040_0000, u32::MAX - 1] {
            assert_eq!(ask("personality", personality), errno(EPERM));
        }
        let denied = [12, 19, 20, 23, 25, 34, 37, 38, 40, 46, u32::MAX];
        for family in (0..60).chain([u32::MAX]) {
            let expected = if denied.contains(&family) || family > 45 {
                errno(EPERM)
            } else {
                ALLOW
            };
            assert_eq!(ask("socket", family), expected, "family {family}");
        }
    }
}

#[test]
fn other_interfaces_are_answered_not_killed() {
    let code = filter(&action);
    assert_eq!(run(&code, 0x4000_0028, 1, 0), errno(ENOSYS), "arm");
    assert_eq!(
        run(&code, ABIS[0].audit_arch, 0x4000_0001, 0),
        errno(ENOSYS),
        "x32"
    );
}

/// The numbers that libc knows are those of the table.
#[test]
fn native_numbers_are_libcs() {
    for (name, expected) in [
        ("read", libc::SYS_read),
        ("ptrace", libc::SYS_ptrace),
        ("chroot", libc::SYS_chroot),
        ("lseek", libc::SYS_lseek),
        ("newfstatat", libc::SYS_newfstatat),
        ("sendfile", libc::SYS_sendfile),
        ("mmap", libc::SYS_mmap),
        ("prlimit64", libc::SYS_prlimit64),
        ("openat2", libc::SYS_openat2),
        ("faccessat2", libc::SYS_faccessat2),
        ("futex_waitv", libc::SYS_futex_waitv),
        ("fchmodat2", libc::SYS_fchmodat2),
        ("mseal", libc::SYS_mseal),
    ] {
        assert_eq!(i64::from(number(&ABIS[0], name)), expected, "{name}");
    }
    let known: Vec<_> = ABIS[0].allowed().map(|(_, name)| name).collect();
    for absent in [
        "mount",
        "unshare",
        "setns",
        "keyctl",
        "io_uring_setup",
        "bpf",
        "userfaultfd",
        "kexec_load",
        "reboot",
        "swapon",
    ] {
        assert!(!known.contains(&absent), "{absent} is allowed");
    }
}
