//! What a process writes is shown, to its last word. Others that it has started may hold its streams when it has ended: they are not waited
//! for, since what it wrote itself is there by then. Unaware of where that is shown.

use kiln_sandbox::KillHandle;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::thread::{Builder, JoinHandle};

/// Bytes that are copied at once.
const CHUNK: usize = 16 << 10;
/// At least as many as a pipe or a terminal holds.
const LAST: usize = 1 << 20;

/// Shows what comes `from` a process, on a thread of its own, and does something `then`: it is told if nobody takes what is shown any more.
///
/// # Errors
/// The thread cannot be started.
pub fn show(
    (from, to): (OwnedFd, OwnedFd),
    process: KillHandle,
    then: impl FnOnce(io::Result<()>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let show = move || then(copy(from.into(), to.into(), &process));
    Builder::new().name("screen".to_owned()).spawn(show)
}

fn copy(mut from: File, mut to: File, process: &KillHandle) -> io::Result<()> {
    let (mut text, mut left) = (vec![0; CHUNK], LAST);
    while left > 0
        && let Some(has_ended) = has_more(&from, process)
        // a terminal that nobody holds any more ends with an error
        && let Ok(count @ 1..) = from.read(&mut text)
    {
        to.write_all(&text[..count])?;
        if has_ended {
            left = left.saturating_sub(count);
        }
    }
    Ok(())
}

/// Waits until there is something to read, or its end: with whether the process has ended. None where it has ended and nothing is there.
fn has_more(from: &File, process: &KillHandle) -> Option<bool> {
    // looked at in this order: what a process wrote is seen when its end was
    let mut fds = [
        PollFd::new(process, PollFlags::IN),
        PollFd::new(from, PollFlags::IN),
    ];
    while poll(&mut fds, None).is_err() {}
    let [process, from] = fds;
    (!from.revents().is_empty()).then_some(!process.revents().is_empty())
}
