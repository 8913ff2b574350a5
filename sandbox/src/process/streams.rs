//! Whether standard output was open when the process started. Before `main`, Rust's runtime opens `/dev/null` in place of a closed one, so
//! that no file gets its number; after that nobody could tell that what is written there is lost. Unaware of what is written.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: functions of .init_array are called once, before main and on its thread, and as C functions, which may ignore the arguments
// that some systems pass.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: F_GETFD takes no pointer, and changes nothing whatever the descriptor is.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    STDOUT_WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Whether the process was started without a standard output (`>&-`).
#[must_use]
pub fn stdout_was_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}
