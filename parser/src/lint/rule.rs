//! What a rule is. Unaware of Dockerfiles.

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// PascalCase: the code of its warnings.
    pub name: &'static str,
    /// The last part of the address of its explanation; empty if it has none.
    pub(super) slug: &'static str,
    /// What it demands.
    pub description: &'static str,
    /// Whether it is asked only where `# check=experimental=…` names it.
    pub experimental: bool,
}

impl Rule {
    pub(super) const fn new(
        name: &'static str,
        slug: &'static str,
        description: &'static str,
    ) -> Self {
        Rule {
            name,
            slug,
            description,
            experimental: false,
        }
    }

    /// Where the rule is explained; empty if it is not.
    pub fn url(&self) -> String {
        match self.slug {
            "" => String::new(),
            slug => format!("https://docs.docker.com/go/dockerfile/rule/{slug}/"),
        }
    }

    pub(crate) fn warning(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.name, span, message)
    }
}
