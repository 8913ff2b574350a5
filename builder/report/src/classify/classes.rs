//! The classes of an image's bytes, and how many bytes are in each. Unaware of how a class is found.

use std::iter::Sum;
use std::ops::AddAssign;

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Content that shows in the final tree.
    Live,
    /// Content that shows, and that another file of the final tree has too.
    Duplicate,
    /// A later layer has other content at the path.
    Overwritten,
    /// A later layer has the same content at the path: only its mode, owner, time or attributes were changed.
    Rewritten,
    /// A later layer deleted the file or a folder above it.
    Deleted,
    /// No content: the tar's headers and padding, whiteouts, and what the tar itself replaces.
    Headers,
}

impl Class {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Live,
        Self::Duplicate,
        Self::Overwritten,
        Self::Rewritten,
        Self::Deleted,
        Self::Headers,
    ];

    /// The name that reports and filters use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Duplicate => "duplicate",
            Self::Overwritten => "overwritten",
            Self::Rewritten => "rewritten",
            Self::Deleted => "deleted",
            Self::Headers => "headers",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether bytes of it are of no use to who runs the image.
    #[must_use]
    pub const fn is_waste(self) -> bool {
        !matches!(self, Self::Live | Self::Headers)
    }
}

/// Bytes by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Classes([u64; Class::ALL.len()]);

impl Classes {
    /// Bytes of a class.
    #[must_use]
    pub const fn get(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Adds bytes to a class.
    pub const fn add(&mut self, class: Class, bytes: u64) {
        self.0[class as usize] += bytes;
    }

    /// Bytes of all classes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Bytes of the classes that are waste.
    #[must_use]
    pub fn waste(&self) -> u64 {
        let waste = Class::ALL.into_iter().filter(|class| class.is_waste());
        waste.map(|class| self.get(class)).sum()
    }

    /// Live bytes by all bytes, from 0 to 1; 1 where there are none.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a ratio for people
    pub fn efficiency(&self) -> f64 {
        match self.total() {
            0 => 1.0,
            total => self.get(Class::Live) as f64 / total as f64,
        }
    }
}

impl AddAssign for Classes {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl Sum for Classes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, next| {
            sum += next;
            sum
        })
    }
}
