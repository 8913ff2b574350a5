//! The system calls that rustix does not offer, each behind a safe function. Unaware of what they are used for.
#![allow(unsafe_code)]

pub mod notify;

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::mount::MountAttrFlags;
use rustix::thread::UnshareFlags;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The caller, with the new process's id and a pidfd of it.
    Parent(libc::pid_t, OwnedFd),
    /// The new process.
    Child,
}

/// `fork(2)` that also makes the namespaces of `flags` (`CLONE_NEW*`) and a close-on-exec pidfd.
/// `clone(2)`, not `clone3(2)`: it does everything that is needed here, and no seccomp profile refuses it by its number.
pub fn fork_into(flags: c_int) -> io::Result<Fork> {
    let mut pidfd: c_int = -1;
    let flags = libc::c_long::from(flags | libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack this is fork(2); the process has one thread (the re-executed binary and
    // `enter` check that), so the child may allocate and take locks. The third argument is where CLONE_PIDFD stores, on x86_64 and
    // aarch64 alike; both orders of the two null arguments after it are the same.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        // SAFETY: the kernel has just stored a new descriptor that nobody else owns.
        _ => Ok(Fork::Parent(pid as libc::pid_t, unsafe {
            OwnedFd::from_raw_fd(pidfd)
        })),
    }
}

/// Moves this thread (in a process with one thread: the process) into new namespaces. A new user namespace needs a single thread.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the danger is CLONE_FILES, which lets descriptors differ between threads; no caller passes it.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Ends the process at once: no destructors, no exit handlers of the parent's copy.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit takes any value and does not return.
    unsafe { libc::_exit(code) }
}

/// The answer of `wait4(2)` about an ended child.
#[derive(Debug)]
pub struct Ended {
    /// The wait status.
    pub status: c_int,
    /// The resources that it and its waited-for children used.
    pub usage: libc::rusage,
}

/// Waits for the child `pid` to end.
pub fn wait(pid: libc::pid_t) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live values of the types that wait4 stores.
        let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if ended == pid {
            return Ok(Ended { status, usage });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// `struct mount_attr` of `mount_setattr(2)` (Linux 5.12).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Removes attributes from a mount.
pub fn clear_mount_attributes(mount: impl AsFd, clear: MountAttrFlags) -> io::Result<()> {
    change_mount_attributes(mount, MountAttrFlags::empty(), clear, false)
}

/// Sets attributes of a mount and, if `recursive`, of all mounts below it.
pub fn set_mount_attributes(
    mount: impl AsFd,
    set: MountAttrFlags,
    recursive: bool,
) -> io::Result<()> {
    change_mount_attributes(mount, set, MountAttrFlags::empty(), recursive)
}

fn change_mount_attributes(
    mount: impl AsFd,
    set: MountAttrFlags,
    clear: MountAttrFlags,
    recursive: bool,
) -> io::Result<()> {
    let attr = MountAttr {
        set: u64::from(set.bits()),
        clear: u64::from(clear.bits()),
        ..MountAttr::default()
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal, `attr` has the kernel's layout and its size is given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(answer)
}

/// Marks every descriptor from 3 on close-on-exec, no matter who opened it.
pub fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: integers only; nothing is closed now.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })
}

/// Closes every descriptor but these. Whoever owned one must not use or close it any more: the process ends with [`exit_now`].
pub fn close_all_but<const KEPT: usize>(mut kept: [c_int; KEPT]) {
    kept.sort_unstable();
    let close = |first: c_int, last: libc::c_uint| {
        // SAFETY: integers only. The caller's process uses no other descriptor until it ends, without destructors.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    };
    let mut first = 0;
    for fd in kept {
        if fd > first {
            close(first, (fd - 1).unsigned_abs());
        }
        first = fd + 1;
    }
    close(first, libc::c_uint::MAX);
}

/// The signals that this process ignores: bits of `SigIgn` in its status. All signals, if that cannot be read.
pub fn ignored_signals() -> Vec<c_int> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let bits = bits.unwrap_or(u64::MAX);
    (1..=64)
        .filter(|signal| bits >> (signal - 1) & 1 == 1)
        .collect()
}

/// Resets ignored signals to their default and unblocks all: an ignored signal (Rust ignores SIGPIPE) would stay ignored over exec, while
/// exec itself resets one that has a handler.
pub fn reset_signals(ignored: &[c_int]) {
    // A zeroed `struct kernel_sigaction`: SIG_DFL, no flags, an empty mask. Not through libc, which reserves two signals and starts processes
    // with these ignored.
    let default = [0_u64; 4];
    for signal in ignored {
        // SAFETY: the structure is at least as large as the kernel's and installs no code. SIGKILL and SIGSTOP are refused, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                *signal,
                default.as_ptr(),
                ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: the set is initialised by sigemptyset before it is used; the old mask is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Blocks all signals; they wait for [`next_signal`].
pub fn block_signals() {
    // SAFETY: the set is initialised by sigfillset before it is used; the old mask is not asked for.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
    }
}

/// Waits for a signal that is blocked.
pub fn next_signal() -> c_int {
    let mut signal = 0;
    // SAFETY: the set is initialised by sigfillset before it is used, and both pointers are to live values. Nothing else takes signals
    // in this process, and the only error is an invalid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigwait(&raw const all, &raw mut signal);
    }
    signal
}

/// Sends a signal by its number to the process of a pidfd.
pub fn signal(pidfd: impl AsFd, signal: c_int) -> io::Result<()> {
    let pidfd = pidfd.as_fd().as_raw_fd();
    // SAFETY: integers and a null pointer, which means that the kernel says who sends it.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd,
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
}

/// Replaces the process; returns only an error.
pub fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end in null and point to strings that live until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Loads a seccomp filter; needs CAP_SYS_ADMIN, since no_new_privs is left as it is (su and sudo must work).
pub fn load_filter(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len =
        u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `program` describes the slice, which lives until the call returns; the kernel copies it.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    })
}

/// Sets one resource limit of this process; `u64::MAX` is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` lives over the call, the old limit is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            ptr::null::<libc::rlimit64>(),
        )
    })
}

/// Brings the loopback interface of this network namespace up.
pub fn loopback_up(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: ifreq is plain data, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which is what it is given.
    check(
        unsafe {
            libc::ioctl(
                socket.as_fd().as_raw_fd(),
                libc::SIOCSIFFLAGS as _,
                &raw const request,
            )
        }
        .into(),
    )
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    // SAFETY: umask takes any value and cannot fail.
    unsafe { libc::umask(mask) };
}

fn check(answer: libc::c_long) -> io::Result<()> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
