//! `LABEL`: free-form metadata.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Meaning, env};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line, Pair};
use crate::lint::legacy_key_value_format;
use crate::stage::StageBuilder;

/// `LABEL key=value …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// At least one; not expanded.
    pub pairs: Arc<[Pair]>,
}

impl Meaning for Label {
    const NAME: &'static str = "LABEL";
    const FORM: Form = Form::Pairs;
    const USAGE: &'static str = "LABEL <key>=<value> …\nLABEL <key> <value>";
    const DOC: &'static str = "Adds metadata to the image. Variables are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        flags::read(line, Self::FLAGS)?;
        Ok(Label {
            pairs: env::pairs(line, Self::NAME)?,
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let mut history = "LABEL".to_owned();
        let expanded = env::expand(&self.pairs, stage)?;
        for (pair, (key, value)) in self.pairs.iter().zip(expanded) {
            legacy_key_value_format::look_at(line, pair, stage);
            // Writing to a String cannot fail.
            let _ = write!(history, " {key}={value}");
            stage.state.config.labels.insert(key, value);
        }
        stage.record(history);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::target;

    #[test]
    fn keys_and_values_are_expanded() {
        let stage = target("FROM scratch\nENV A=x\nLABEL \"k $A\"='$A' l=\"a \\\n b\"");
        assert_eq!(stage.config.labels["k x"], "$A");
        assert_eq!(stage.config.labels["l"], "a  b");
        assert_eq!(stage.history[1].created_by, "LABEL k x=$A l=a  b");
    }
}
