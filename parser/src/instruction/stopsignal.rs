//! `STOPSIGNAL`: how containers are asked to stop.

use super::{Meaning, exactly_one};
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::line::{Form, Line, Word};
use crate::stage::StageBuilder;

/// Linux signal names without `SIG`, as in moby/sys. Real-time signals are checked separately.
const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// `STOPSIGNAL signal`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignal {
    /// Not expanded.
    pub signal: Word,
}

impl Meaning for StopSignal {
    const NAME: &'static str = "STOPSIGNAL";
    const FORM: Form = Form::Text;
    const USAGE: &'static str = "STOPSIGNAL <signal>";
    const DOC: &'static str = "Sets the signal that stops a container: a name or a number, stored as \
        written. Variables are expanded.";

    /// Flags are ignored, as in BuildKit.
    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        Ok(StopSignal {
            signal: exactly_one(line, Self::NAME)?,
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let signal = stage.expand(&self.signal)?;
        if !is_signal(&signal) {
            return Err(line.error_at(
                self.signal.span,
                code::VALUE,
                format!("invalid signal: {signal}"),
            ));
        }
        stage.record(format!("STOPSIGNAL {signal}"));
        stage.state.config.stop_signal = signal;
        Ok(())
    }
}

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let in_range = |prefix: &str, last: u32| {
        let number = name
            .strip_prefix(prefix)
            .and_then(|digits| digits.parse().ok());
        number.is_some_and(|number: u32| (1..=last).contains(&number))
    };
    NAMES.contains(&name) || in_range("RTMIN+", 15) || in_range("RTMAX-", 14)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{evaluation_messages, target};

    #[test]
    fn names_and_numbers() {
        for good in [
            "SIGTERM",
            "term",
            "9",
            "999",
            "RTMIN+3",
            "sigrtmax-14",
            "RTMAX",
        ] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["", "0", "SIGFOO", "RTMIN+16", "RTMIN+x", "SIGSIGTERM"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }

    #[test]
    fn is_stored_as_written() {
        assert_eq!(
            target("FROM scratch\nSTOPSIGNAL sigint").config.stop_signal,
            "sigint"
        );
        let found = evaluation_messages("FROM scratch\nSTOPSIGNAL $X");
        assert_eq!(found, ["invalid signal: "]);
    }
}
