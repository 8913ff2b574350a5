//! Seccomp user notification (seccomp_unotify(2)), and the ids by which a thread opens files: what the supervisor of a run without
//! namespaces needs of the kernel. Unaware of which calls are notified and of what is answered.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_long, c_ulong};

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    /// By which it is answered.
    pub id: u64,
    /// The thread that makes it.
    pub thread: i32,
    /// The binary interface, `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The number of the call there.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The kernel carries it out, with the caller's own rights.
    Continue,
    /// It gives this.
    Value(i64),
    /// It fails with this error number.
    Errno(i32),
}

/// Loads a filter for this process and all that it executes, and gives the descriptor by which notified calls are answered. Needs
/// no_new_privs.
pub fn load(program: &mut [libc::sock_filter]) -> io::Result<OwnedFd> {
    let len =
        u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_mut_ptr(),
    };
    let listens = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // A signal would make a program repeat a call that is being answered (Linux 5.19 can wait for the answer).
    match load_with(
        &program,
        listens | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    ) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => load_with(&program, listens),
        loaded => loaded,
    }
}

fn load_with(program: &libc::sock_fprog, flags: c_ulong) -> io::Result<OwnedFd> {
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` describes a slice of `load`, which lives until that returns; the kernel copies it.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const *program) };
    descriptor(answer)
}

fn descriptor(answer: c_long) -> io::Result<OwnedFd> {
    let number = c_int::try_from(answer).map_err(|_| io::ErrorKind::InvalidData)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The next call that waits. ENOENT: its thread was killed meanwhile.
pub fn receive(listener: impl AsFd) -> io::Result<Notification> {
    // SAFETY: the structure is plain integers, and the kernel wants it zeroed.
    let mut got: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request stores a seccomp_notif, which is what it is given.
    control(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, unsafe {
        Pointer::new(&raw mut got)
    })?;
    Ok(Notification {
        id: got.id,
        thread: got.pid.cast_signed(),
        arch: got.data.arch,
        number: got.data.nr.cast_unsigned(),
        arguments: got.data.args,
    })
}

/// Answers a call. ENOENT: its thread was killed meanwhile.
pub fn respond(listener: impl AsFd, id: u64, answer: Answer) -> io::Result<()> {
    let mut response = libc::seccomp_notif_resp {
        id,
        val: 0,
        error: 0,
        flags: 0,
    };
    match answer {
        Answer::Continue => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Answer::Value(value) => response.val = value,
        Answer::Errno(errno) => response.error = -errno,
    }
    // SAFETY: the request reads a seccomp_notif_resp, which is what it is given.
    control(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, unsafe {
        Pointer::new(&raw mut response)
    })
    .map(drop)
}

/// Gives the caller a copy of a descriptor, whose number is what the call gives.
pub fn give(
    listener: impl AsFd,
    id: u64,
    given: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<()> {
    let mut request = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: given.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: if close_on_exec {
            libc::O_CLOEXEC.cast_unsigned()
        } else {
            0
        },
    };
    // SAFETY: the request reads a seccomp_notif_addfd, which is what it is given.
    control(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, unsafe {
        Pointer::new(&raw mut request)
    })
    .map(drop)
}

/// Whether the call still waits: then the process of its thread is the one that made it.
pub fn is_waiting(listener: impl AsFd, mut id: u64) -> bool {
    // SAFETY: the request reads a number of 64 bits, which is what it is given.
    control(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe {
        Pointer::new(&raw mut id)
    })
    .is_ok()
}

/// The argument of a request.
struct Pointer(*mut libc::c_void);

impl Pointer {
    /// # Safety
    /// It points to what the request wants, and lives until the request is done.
    unsafe fn new<T>(to: *mut T) -> Self {
        Self(to.cast())
    }
}

fn control(listener: impl AsFd, request: libc::Ioctl, argument: Pointer) -> io::Result<c_int> {
    let listener = listener.as_fd().as_raw_fd();
    loop {
        // SAFETY: whoever made the pointer has vouched for it.
        let answer = unsafe { libc::ioctl(listener, request, argument.0) };
        let error = io::Error::last_os_error();
        match answer {
            -1 if error.kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(error),
            answer => return Ok(answer),
        }
    }
}

/// Sets the ids by which this thread, and no other, is judged when it opens files and looks at processes (setfsuid(2)). With an id other than
/// 0 it also loses its capabilities over files, until it is 0 again.
pub fn open_as(uid: u32, gid: u32) {
    // SAFETY: both calls take any number, and refuse without an effect what is no id here.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

/// Sends a signal to a process; with 0 it is only tried.
pub fn kill(pid: i32, signal: c_int) -> io::Result<()> {
    // SAFETY: integers only.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
