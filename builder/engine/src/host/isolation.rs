//! In which isolation commands may run. Unaware of how they are run.

/// What a build asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IsolationChoice {
    /// Namespaces where they work; in a container that forbids them, a chroot with a supervisor.
    #[default]
    Auto,
    /// Namespaces, or nothing runs; results of anything weaker do not count.
    Namespaces,
    /// A chroot with a supervisor, also where namespaces work.
    Supervised,
}

impl IsolationChoice {
    /// What a value of `--isolation` means; those of docker, buildah and podman leave the choice to kiln.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "auto" | "default" | "oci" | "rootless" | "process" | "chroot" | "" => Self::Auto,
            "namespaces" => Self::Namespaces,
            "supervised" => Self::Supervised,
            _ => return None,
        })
    }
}
