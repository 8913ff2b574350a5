//! Tries things in a child that cannot be undone. Unaware of what is tried.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::sys::{self, Fork};

/// Does `work` in a child with new namespaces of `flags`. The caller has one thread.
///
/// The child reports before it ends, and nobody waits for its end, since the kernel takes milliseconds to take a mount namespace apart.
/// So it is the child of a child that has already ended, and no child of this process.
pub fn in_child(flags: libc::c_int, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (answer, say) = pipe_with(PipeFlags::CLOEXEC)?;
    let Fork::Parent(pid, _) = sys::fork_into(0)? else {
        let done = match sys::fork_into(flags) {
            Ok(Fork::Child) => work(),
            Ok(Fork::Parent(..)) => sys::exit_now(0),
            Err(error) => Err(error),
        };
        let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        // If the caller is gone, nobody wants to know.
        let _ = File::from(say).write_all(&done.err().map_or(0, errno).to_ne_bytes());
        sys::exit_now(0)
    };
    drop(say);
    sys::wait(pid)?;
    let mut errno = [0; 4];
    File::from(answer).read_exact(&mut errno)?;
    match i32::from_ne_bytes(errno) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
