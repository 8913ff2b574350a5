//! Package managers, and the paths of their databases in an image. Unaware of what is in them.
//!
//! | manager | database |
//! | --- | --- |
//! | dpkg | `/var/lib/dpkg/status`, `/var/lib/dpkg/status.d/*` (distroless) |
//! | apk | `/lib/apk/db/installed`, `/usr/lib/apk/db/installed` |
//! | rpm | `rpmdb.sqlite` in `/var/lib/rpm` or `/usr/lib/sysimage/rpm`; older formats are told, not read |
//! | pip | `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, but for Debian's own in `dist-packages` of `/usr/lib` |
//! | npm | `package.json` directly in a package's folder of a `node_modules` |

use kiln_cache::path;

/// Who installed a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// Debian's.
    Dpkg,
    /// Alpine's.
    Apk,
    /// That of Fedora, openSUSE and their kin.
    Rpm,
    /// Python's.
    Pip,
    /// That of Node.js.
    Npm,
}

impl Manager {
    /// The word of reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pip => "pip",
            Self::Npm => "npm",
        }
    }

    /// Whose database a path is.
    #[must_use]
    pub fn of(path: &[u8]) -> Option<Self> {
        let (folder, name) = (path::parent(path).unwrap_or_default(), path::name(path));
        match (folder, name) {
            (b"var/lib/dpkg", b"status") => Some(Self::Dpkg),
            (b"var/lib/dpkg/status.d", name) if !name.ends_with(b".md5sums") => Some(Self::Dpkg),
            (b"lib/apk/db" | b"usr/lib/apk/db", b"installed") => Some(Self::Apk),
            (
                b"var/lib/rpm" | b"usr/lib/sysimage/rpm",
                b"rpmdb.sqlite" | b"Packages.db" | b"Packages",
            ) => Some(Self::Rpm),
            (folder, b"METADATA" | b"PKG-INFO") if is_python_package(folder) => Some(Self::Pip),
            (folder, b"package.json") if is_node_module(folder) => Some(Self::Npm),
            _ => None,
        }
    }

    /// Whether a database says something that its path does not.
    #[must_use]
    pub fn needs_content(self) -> bool {
        self != Self::Pip
    }
}

/// Whether a folder is that of a package: `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME`.
fn is_node_module(folder: &[u8]) -> bool {
    let mut parts = path::components(folder).rev().skip(1);
    match parts.next() {
        Some(b"node_modules") => true,
        Some(scope) if scope.starts_with(b"@") => parts.next() == Some(b"node_modules"),
        _ => false,
    }
}

/// Whether a folder describes a package of Python; what Debian installs is dpkg's.
fn is_python_package(folder: &[u8]) -> bool {
    let is_one = [&b".dist-info"[..], b".egg-info"];
    let is_one = is_one.iter().any(|end| folder.ends_with(end));
    is_one && path::parent(folder) != Some(b"usr/lib/python3/dist-packages")
}
