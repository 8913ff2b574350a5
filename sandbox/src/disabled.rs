//! Kernel features that can be switched off by name, so that every fallback can be tested on a new kernel.
//! Unaware of where the names come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One feature with a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// User namespaces. Without them only real root can enter.
    Userns,
    /// The uid and gid range of `/etc/subuid` and `/etc/subgid`. Without it a user namespace holds one id.
    Idrange,
    /// Overlay through `fsopen` with `lowerdir+` (Linux 6.5). Without it `mount(2)`, with fewer lowers.
    LowerdirAppend,
    /// `openat2(RESOLVE_IN_ROOT)` (Linux 5.6, refused by some seccomp profiles). Without it a walk by component.
    Openat2,
    /// A fresh procfs for the PID namespace (refused in containers that mask theirs). Without it a bind mount of `/proc`.
    Procfs,
    /// A fresh sysfs for the network namespace. Without it a read-only bind mount of `/sys`.
    Sysfs,
    /// Cgroups. Without them no run is limited.
    Cgroups,
    /// Namespaces of all kinds. Without them nothing can be run.
    Namespaces,
    /// `sethostname` (refused by podman's default profile). Without it a run keeps the caller's host name.
    Sethostname,
    /// `pivot_root` (refused by docker's and containerd's profiles, impossible on an initramfs). Without it the new root is mounted
    /// over the old one.
    PivotRoot,
    /// Upper folders where the caller puts them. Without them, as on a file system that cannot hold any.
    OverlayUpper,
    /// Upper folders in memory.
    TmpfsUpper,
}

impl Feature {
    /// Each feature with its name and one line for a manual page.
    pub const ALL: [(Self, &'static str, &'static str); 12] = [
        (
            Self::Userns,
            "userns",
            "user namespaces (then only real root can build)",
        ),
        (
            Self::Idrange,
            "idrange",
            "the id range from newuidmap (then one id)",
        ),
        (
            Self::LowerdirAppend,
            "lowerdir-append",
            "overlay by fsopen and lowerdir+ (then mount(2))",
        ),
        (
            Self::Openat2,
            "openat2",
            "openat2 (then a walk by path component)",
        ),
        (
            Self::Procfs,
            "procfs",
            "a fresh /proc for each run (then a bind of the host's)",
        ),
        (
            Self::Sysfs,
            "sysfs",
            "a fresh /sys for each run (then a bind of the host's)",
        ),
        (
            Self::Cgroups,
            "cgroups",
            "cgroups (then limits have no effect)",
        ),
        (
            Self::Namespaces,
            "namespaces",
            "all namespaces (then only what runs nothing is built)",
        ),
        (
            Self::Sethostname,
            "sethostname",
            "sethostname (then a run keeps the host's name)",
        ),
        (
            Self::PivotRoot,
            "pivot-root",
            "pivot_root (then the root is mounted over the old one)",
        ),
        (
            Self::OverlayUpper,
            "overlay-upper",
            "uppers in the store (then in memory)",
        ),
        (
            Self::TmpfsUpper,
            "tmpfs-upper",
            "uppers in memory (then the tree is copied)",
        ),
    ];

    /// The name by which [`FromStr`] finds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(feature, ..)| *feature == self)
            .map_or("", |(_, name, _)| name)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not in [`Feature::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown feature {0:?}; known: userns, idrange, lowerdir-append, openat2, procfs, sysfs, cgroups, namespaces, sethostname, \
     pivot-root, overlay-upper, tmpfs-upper"
)]
pub struct UnknownFeature(pub String);

impl FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        found
            .map(|(feature, ..)| *feature)
            .ok_or_else(|| UnknownFeature(name.to_owned()))
    }
}

/// The set of features that are not used. The default is empty.
///
/// ```
/// use kiln_sandbox::{Disabled, Feature};
///
/// let disabled: Disabled = "openat2, procfs".parse().unwrap();
/// assert!(disabled.has(Feature::Openat2) && !disabled.has(Feature::Sysfs));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Disabled(u32);

impl Disabled {
    /// Whether `feature` must not be used.
    #[must_use]
    pub fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }

    /// The set with `feature` added.
    #[must_use]
    pub fn with(self, feature: Feature) -> Self {
        Self(self.0 | (1 << feature as u32))
    }

    /// The features of the set, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .into_iter()
            .map(|(feature, ..)| feature)
            .filter(move |feature| self.has(*feature))
    }
}

impl FromIterator<Feature> for Disabled {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::default(), Self::with)
    }
}

/// Comma-separated names, blanks around them ignored: `openat2, idrange`. The empty text is the empty set.
impl FromStr for Disabled {
    type Err = UnknownFeature;

    fn from_str(names: &str) -> Result<Self, Self::Err> {
        names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(Feature::from_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_feature() {
        for (feature, name, _) in Feature::ALL {
            assert_eq!(name.parse(), Ok(feature));
            assert_eq!(feature.to_string(), name);
            assert!(
                UnknownFeature(String::new()).to_string().contains(name),
                "{name} is not listed in the error"
            );
        }
    }

    #[test]
    fn parses_lists() {
        let set: Disabled = " openat2, idrange,".parse().unwrap();
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Feature::Idrange, Feature::Openat2]
        );
        assert!(!set.has(Feature::Procfs));
        assert_eq!("".parse(), Ok(Disabled::default()));
        assert_eq!(
            "openat2,erofs".parse::<Disabled>(),
            Err(UnknownFeature("erofs".to_owned()))
        );
    }
}
