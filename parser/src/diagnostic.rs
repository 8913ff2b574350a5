//! Errors and warnings with their place in the Dockerfile. Unaware of how they are shown.

use serde::Serialize;

use crate::source::Span;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable: `DF0012` for errors, a rule's name (`StageNameCasing`) for warnings.
    pub code: &'static str,
    /// Whether the build can go on.
    pub severity: Severity,
    /// One sentence without a final full stop.
    pub message: String,
    /// The bytes of the source that it is about.
    pub span: Span,
    /// The 1-based line where its instruction begins; 0 if it belongs to none.
    pub line: u32,
    /// What to write beside the marked bytes; may be empty.
    pub label: String,
    /// A way out: `did you mean RUN?`
    pub help: Option<String>,
    /// The step that found it.
    pub phase: Phase,
}

/// Whether the build can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

/// The step that found a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Splitting lines: the file has no instructions that could be examined.
    Syntax,
    /// Single instructions and stages.
    Semantic,
    /// [`crate::evaluate`].
    Evaluate,
    /// The engine, while it executed the instruction.
    Execute,
}

impl Diagnostic {
    /// An error without label and help.
    pub fn error(code: &'static str, phase: Phase, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            line: 0,
            label: String::new(),
            help: None,
            phase,
        }
    }

    /// A warning without label and help.
    pub fn warning(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(rule, Phase::Semantic, span, message)
        }
    }

    /// The same, found in another step.
    #[must_use]
    pub fn in_phase(self, phase: Phase) -> Self {
        Diagnostic { phase, ..self }
    }

    /// The same, at the instruction that begins at this line.
    #[must_use]
    pub fn at_line(self, line: u32) -> Self {
        Diagnostic { line, ..self }
    }

    /// Adds what to write beside the marked bytes.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
