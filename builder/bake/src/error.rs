//! What is wrong with a definition, or only odd, and where it stands. Unaware of how that is shown.

/// A part of the text of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Which of the files that were read.
    pub file: usize,
    /// Its first byte.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

impl Place {
    /// From the beginning of this to the end of another.
    pub(crate) fn to(self, other: Place) -> Place {
        Place {
            end: other.end.max(self.start),
            ..self
        }
    }
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One sentence.
    pub message: String,
    /// Where it is, if it has a place.
    pub place: Option<Place>,
    /// A way out.
    pub help: Option<String>,
}

/// Why a definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Box<Finding>);

/// What may fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;
/// What may fail for a reason in words, which somebody else knows the place of.
pub(crate) type Worded<T> = std::result::Result<T, String>;

impl Error {
    /// Without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Error(Box::new(Finding {
            message: message.into(),
            place: None,
            help: None,
        }))
    }

    /// At a place.
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Error::new(message).or_at(place)
    }

    /// The same with a place, where it has none yet.
    pub(crate) fn or_at(mut self, place: Place) -> Self {
        self.0.place.get_or_insert(place);
        self
    }

    /// The same with a way out.
    pub(crate) fn help(mut self, help: Option<String>) -> Self {
        self.0.help = help;
        self
    }

    /// What happened, told as a part of something else.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn finding(&self) -> &Finding {
        &self.0
    }
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        *error.0
    }
}
