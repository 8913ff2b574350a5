//! What busybox cannot ask the kernel: this program, run inside the sandbox.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::process::ExitCode;

pub fn main(name: &str) -> ExitCode {
    match name {
        "syscalls" => syscalls(),
        "ids" => println!(
            "{} {}",
            rustix::process::getuid().as_raw(),
            rustix::process::geteuid().as_raw()
        ),
        "descriptors" => descriptors(),
        "write-to-self" => write_to_self(),
        "greet" => greet(),
        "probe" => {
            for check in kiln_sandbox::probe(
                "/tmp/kiln-probe-no-such-store".as_ref(),
                kiln_sandbox::Disabled::default(),
            ) {
                println!("{}: {:?}: {}", check.name, check.status, check.detail);
            }
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// Prints the answer of calls that the filter treats in each of its ways.
fn syscalls() {
    let call = |name: &str, number: i64, arguments: [i64; 3]| {
        // SAFETY: every call here is given integers, or null where it reads.
        let answer = unsafe { libc::syscall(number, arguments[0], arguments[1], arguments[2]) };
        let errno = if answer < 0 {
            io::Error::last_os_error().raw_os_error().unwrap_or(0)
        } else {
            0
        };
        println!("{name} {errno}");
    };
    call(
        "unshare",
        libc::SYS_unshare,
        [i64::from(libc::CLONE_NEWUSER), 0, 0],
    );
    call("keyctl", libc::SYS_keyctl, [0, 0, 0]);
    call("clone3", libc::SYS_clone3, [0, 0, 0]);
    call(
        "clone",
        libc::SYS_clone,
        [i64::from(libc::CLONE_NEWNS), 0, 0],
    );
    call("unknown", 1999, [0, 0, 0]);
    call(
        "alg",
        libc::SYS_socket,
        [38, libc::SOCK_SEQPACKET.into(), 0],
    );
    call("vsock", libc::SYS_socket, [40, libc::SOCK_STREAM.into(), 0]);
    call(
        "inet",
        libc::SYS_socket,
        [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0],
    );
    call("personality", libc::SYS_personality, [0x0040_0000, 0, 0]);
    call("chroot", libc::SYS_chroot, [0, 0, 0]);
    println!("i386 getpid {}", i386(20));
    println!("i386 mount {}", i386(21));
    // to no function of sockets: every i386 glibc of Debian opens its sockets so
    println!("i386 socketcall {}", i386(102));
}

/// A call through the 32-bit interface.
#[cfg(target_arch = "x86_64")]
fn i386(number: i32) -> i32 {
    let answer;
    // SAFETY: the calls made take no pointers, or null; int 0x80 clobbers r8 to r11.
    unsafe {
        std::arch::asm!("push rbx", "xor ebx, ebx", "int 0x80", "pop rbx", inlateout("eax") number => answer,
            in("ecx") 0, in("edx") 0, in("esi") 0, in("edi") 0, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    answer
}

#[cfg(not(target_arch = "x86_64"))]
fn i386(number: i32) -> i32 {
    match number {
        20 => 1,
        102 => -libc::EINVAL,
        _ => -libc::EPERM,
    }
}

/// Every open descriptor but the one that lists them.
fn descriptors() {
    let listing = File::open("/proc/self/fd").unwrap();
    let mut names: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    drop(listing);
    println!("{names:?}");
}

/// Sends a line to the socket `/run/socket`, prints the answer.
fn greet() {
    use std::io::{Read, Write};
    let mut socket = std::os::unix::net::UnixStream::connect("/run/socket").unwrap();
    socket.write_all(b"hello").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    println!("{answer}");
}

/// Whether the file that this process executes lies on a read-only mount, and why it cannot be opened for writing.
fn write_to_self() {
    let flags = rustix::fs::statvfs("/proc/self/exe").unwrap().f_flag;
    let error = File::options()
        .write(true)
        .open("/proc/self/exe")
        .unwrap_err();
    let refused =
        [libc::EROFS, libc::ETXTBSY, libc::EACCES].contains(&error.raw_os_error().unwrap_or(0));
    println!(
        "{} {refused}",
        flags.contains(rustix::fs::StatVfsMountFlags::RDONLY)
    );
}
