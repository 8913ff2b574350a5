//! What a build takes from outside and does not get: it is not there, or a policy forbids it.

use super::FetchError;
use kiln_parser::source::Span;
use thiserror::Error;

/// An image that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// As the Dockerfile names it, variables expanded.
    pub reference: String,
    /// The place that asks.
    pub span: Span,
    /// Why it cannot be used, when the reason is another than absence.
    pub problem: Option<String>,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// What was probably meant, if another name is near.
    pub near: Option<String>,
}

/// A source of `ADD` that is not there.
#[derive(Debug)]
pub struct MissingSource {
    /// Why not.
    pub error: FetchError,
    /// The place that asks.
    pub span: Option<Span>,
}

/// A source that a policy forbids, or cannot be used as a policy wants.
#[derive(Debug)]
pub struct RefusedSource {
    /// Why.
    pub refusal: Refusal,
    /// The place that asks; none on the command line.
    pub span: Option<Span>,
}

/// Why a source is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A rule says so.
    #[error("{identifier} is denied by {rule}")]
    Denied {
        /// The source.
        identifier: String,
        /// The rule, for people.
        rule: String,
    },
    /// Nobody can tell what it means.
    #[error("{identifier}: {problem}")]
    Unclear {
        /// The source, without its credentials.
        identifier: String,
        /// What is wrong.
        problem: String,
    },
    /// Rules convert it in a circle.
    #[error("{0} is converted again and again by the source policy")]
    Endless(String),
    /// What a rule makes of it cannot be used in its place.
    #[error("{rule} makes {made} of {identifier}: {problem}")]
    Unusable {
        /// The source as it was.
        identifier: String,
        /// What it became.
        made: String,
        /// The rule, for people.
        rule: String,
        /// What is wrong with that.
        problem: String,
    },
}
