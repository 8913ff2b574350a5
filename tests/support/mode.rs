//! The modes that every case runs in, and the macro that makes a test of each (case, mode). Unaware of what cases do.
//!
//! A mode that cannot run here is skipped: its reason and a running count go to standard error, past the harness's capture.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::space::Space;
use super::users::{self, Account};

/// Who runs kiln, and which kernel features it must do without (`KILN_DISABLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whoever runs the tests.
    Caller,
    /// Real root.
    Root,
    /// An ordinary user with a range of ids.
    Range,
    /// An ordinary user without one.
    Single,
    /// A user with a range that is not used.
    WithoutIdrange,
    /// Overlays by `mount(2)`, paths walked by component.
    OldKernel,
    /// The host's `/proc` and `/sys` bound.
    BoundFolders,
}

impl Mode {
    /// What `KILN_DISABLE` holds.
    pub fn disable(self) -> &'static str {
        match self {
            Mode::Caller | Mode::Root | Mode::Range | Mode::Single => "",
            Mode::WithoutIdrange => "idrange",
            Mode::OldKernel => "lowerdir-append,openat2",
            Mode::BoundFolders => "procfs,sysfs",
        }
    }

    /// Whether RUN has one id only: no other users, no owners on disk.
    pub fn has_one_id(self) -> bool {
        let caller = || !users::is_root() && !users::caller_has_range();
        matches!(self, Mode::Single | Mode::WithoutIdrange) || (self == Mode::Caller && caller())
    }

    /// Whether kiln is not the machine's root.
    pub fn is_rootless(self) -> bool {
        self.has_one_id() || self == Mode::Range || !users::is_root()
    }

    /// Who runs kiln; `None` for whoever runs the tests.
    ///
    /// # Errors
    /// Why this machine, or this user, cannot run the mode.
    pub fn account(self) -> Result<Option<Account>, String> {
        match (users::is_root(), self) {
            (true, Mode::Range | Mode::WithoutIdrange) => users::with_range().map(Some),
            (true, Mode::Single) => users::without_range().map(Some),
            (true, _) | (false, Mode::Caller) => Ok(None),
            (false, Mode::Root) => Err("the tests do not run as root".to_owned()),
            (false, Mode::Single) if users::caller_has_range() => {
                Err("the user of the tests has a range of ids".to_owned())
            }
            (false, Mode::Single) => Ok(None),
            (false, _) if users::caller_has_range() => Ok(None),
            (false, _) => Err("the user of the tests has no range of ids".to_owned()),
        }
    }
}

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Tells that something was not tested; shown although the harness captures what tests print.
pub fn skip(what: &str, mode: Mode, reason: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
    let line = format!("skipped: {what} [{mode:?}]: {reason} ({count} skipped so far)\n");
    // Nobody may read it; that is no failure of the case.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Runs a case in a mode, in a space of its own.
pub fn run(module: &str, mode: Mode, case: fn(&Space)) {
    let name = module.trim_start_matches("e2e::");
    match Space::new(mode) {
        Ok(space) => case(&space),
        Err(reason) => skip(name, mode, &reason),
    }
}

/// Registers cases, which are functions `fn name(space: &Space)` of the same file: a `#[test]` for each in each mode. The forced
/// fallbacks take most of the time and seldom find what the others miss: they are built in with `KILN_MODES=all` only. Where root runs
/// the tests, so is a user with one id.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::support::cases! { @modes $name {} root Root, range Range }
            $crate::support::cases! { @modes $name
                { #[cfg_attr(not(kiln_single), ignore = "only with KILN_MODES=all")] }
                single Single }
            $crate::support::cases! { @modes $name
                { #[cfg_attr(not(kiln_modes_all), ignore = "only with KILN_MODES=all")] }
                without_idrange WithoutIdrange, old_kernel OldKernel, bound_folders BoundFolders }
        })+
    };
    (@users $($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::support::cases! { @modes $name {} root Root, range Range }
            $crate::support::cases! { @modes $name
                { #[cfg_attr(not(kiln_single), ignore = "only with KILN_MODES=all")] }
                single Single }
        })+
    };
    (@plain $($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::support::cases! { @modes $name {} caller Caller }
            $crate::support::cases! { @modes $name
                { #[cfg_attr(not(kiln_modes_all), ignore = "only with KILN_MODES=all")] }
                single Single }
        })+
    };
    (@modes $name:ident {} $($test:ident $mode:ident),+) => {
        $(#[test]
        fn $test() {
            $crate::support::mode::run(module_path!(), $crate::support::Mode::$mode, super::$name);
        })+
    };
    (@modes $name:ident { #[$attribute:meta] } $($test:ident $mode:ident),+) => {
        $(#[test]
        #[$attribute]
        fn $test() {
            $crate::support::mode::run(module_path!(), $crate::support::Mode::$mode, super::$name);
        })+
    };
}
pub(crate) use cases;

/// As `cases!`, without the forced fallbacks: for what depends on who runs kiln, and not on what the kernel can do.
#[allow(unused_macros)]
macro_rules! user_cases {
    ($($name:ident),+ $(,)?) => { $crate::support::cases! { @users $($name),+ } };
}
#[allow(unused_imports)]
pub(crate) use user_cases;

/// As `cases!`, in one mode, as whoever runs the tests: for what depends neither on who runs RUN nor on what the kernel can do. An ordinary
/// user is tried with `KILN_MODES=all`.
#[allow(unused_macros)]
macro_rules! plain_cases {
    ($($name:ident),+ $(,)?) => { $crate::support::cases! { @plain $($name),+ } };
}
#[allow(unused_imports)]
pub(crate) use plain_cases;
