//! Faults of the machine in a chain of causes: a full or broken disk, no more memory, threads or open files. Unaware of what failed for one.

use kiln_cache::damage_in;
use rustix::io::Errno;
use std::error::Error;

/// What the machine did not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Processes, threads or memory: it has no more, or a limit allows no more.
    Threads,
    /// Open files.
    Files,
    /// Space, or what is on the disk.
    Disk,
}

const FAULTS: [(Errno, Fault); 9] = [
    (Errno::AGAIN, Fault::Threads),
    (Errno::NOMEM, Fault::Threads),
    (Errno::MFILE, Fault::Files),
    (Errno::NFILE, Fault::Files),
    (Errno::IO, Fault::Disk),
    (Errno::UCLEAN, Fault::Disk),
    (Errno::BADMSG, Fault::Disk),
    (Errno::NOSPC, Fault::Disk),
    (Errno::DQUOT, Fault::Disk),
];

impl Fault {
    /// The first one among an error and its causes.
    pub fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        if damage_in(error).is_some() {
            return Some(Fault::Disk);
        }
        let mut cause = Some(error);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            let code = io.and_then(std::io::Error::raw_os_error);
            let fault = FAULTS
                .iter()
                .find(|(errno, _)| code == Some(errno.raw_os_error()));
            if let Some((_, fault)) = fault {
                return Some(*fault);
            }
            // the source of an I/O error is that of what it wraps
            let wrapped = io.and_then(std::io::Error::get_ref);
            cause = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
        }
        None
    }

    /// What helps.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Fault::Threads => Some(
                "allow more processes and threads (ulimit -u, pids.max of the cgroup, docker's --pids-limit), or more memory (ulimit -v)",
            ),
            Fault::Files => Some("allow more open files (ulimit -n)"),
            Fault::Disk => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Kind};
    use std::io;

    #[test]
    fn a_fault_counts_wherever_it_stands() {
        let disk = io::Error::from_raw_os_error(Errno::IO.raw_os_error());
        let wrapped = io::Error::other(io::Error::other(disk));
        assert_eq!(Fault::among(&wrapped), Some(Fault::Disk));
        let missing = io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        assert_eq!(Fault::among(&missing), None);
    }

    #[test]
    fn only_what_the_user_would_be_blamed_for_changes_its_kind() {
        for (before, after) in [
            (Kind::Build, Kind::Environment),
            (Kind::Usage, Kind::Environment),
            (Kind::Interrupted, Kind::Interrupted),
        ] {
            let failure = Failure::new(before, "").for_fault(Some(Fault::Files));
            assert_eq!(failure.kind(), after);
        }
    }
}
