//! `HEALTHCHECK`: how to check that a container is healthy.

use kiln_oci::Healthcheck;

use super::{Meaning, duration};
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec, Flags};
use crate::line::{Form, Line};
use crate::lint::multiple_instructions_disallowed;
use crate::stage::StageBuilder;

/// Docker's shortest duration, in nanoseconds.
const MINIMUM: i64 = 1_000_000;

/// `HEALTHCHECK [--interval=…] CMD command` or `HEALTHCHECK NONE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// As the image's config stores it.
    pub check: Box<Healthcheck>,
}

impl Meaning for HealthCheck {
    const NAME: &'static str = "HEALTHCHECK";
    const FORM: Form = Form::Health;
    const FLAGS: &'static [FlagSpec] = &[
        flags::text("interval", "<duration>", "the time between two checks"),
        flags::text(
            "timeout",
            "<duration>",
            "the time after which a check counts as failed",
        ),
        flags::text(
            "start-period",
            "<duration>",
            "the time during which failures do not count",
        ),
        flags::text(
            "start-interval",
            "<duration>",
            "the time between two checks during the start period",
        ),
        flags::text(
            "retries",
            "<number>",
            "the number of failures in a row that make the container unhealthy",
        ),
    ];
    const USAGE: &'static str = "HEALTHCHECK [options] CMD <command>\n\
        HEALTHCHECK [options] CMD [\"<executable>\", …]\nHEALTHCHECK NONE";
    const DOC: &'static str = "Sets the command that checks a container; `NONE` turns the check off. Durations are written as \
        `1m30s` and are at least `1ms`; 0 and missing ones are inherited. Variables are not expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        super::at_least_one(line, Self::NAME)?;
        let kind = line.words()[0].text.as_str().to_uppercase();
        if kind == "NONE" {
            if line.words().len() > 1 {
                return Err(line.error(code::ARGUMENTS, "HEALTHCHECK NONE takes no arguments"));
            }
            let check = Healthcheck {
                test: vec![kind],
                ..Healthcheck::default()
            };
            let check = check.into();
            return Ok(HealthCheck { check });
        }
        let flags = flags::read(line, Self::FLAGS)?;
        let check = Healthcheck {
            test: test(line, &kind)?,
            interval: interval(line, &flags, "interval")?,
            timeout: interval(line, &flags, "timeout")?,
            start_period: interval(line, &flags, "start-period")?,
            start_interval: interval(line, &flags, "start-interval")?,
            retries: retries(line, &flags)?,
            ..Healthcheck::default()
        };
        let check = check.into();
        Ok(HealthCheck { check })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        multiple_instructions_disallowed::look_at(line, Self::NAME, stage);
        super::look_for_slip(line, stage, "a text for the shell");
        let check = &self.check;
        stage.record(format!(
            "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
            check.test.join(" "),
            duration::format(check.interval),
            duration::format(check.timeout),
            duration::format(check.start_period),
            duration::format(check.start_interval),
            check.retries
        ));
        stage.state.config.healthcheck = Some(Healthcheck::clone(check));
        Ok(())
    }
}

fn test(line: &Line, kind: &str) -> Result<Vec<String>, Diagnostic> {
    if kind != "CMD" {
        let message = format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)");
        return Err(line.error(code::ARGUMENTS, message));
    }
    let command = line.words()[1..].iter().map(|word| word.text.to_string());
    let kind = if line.is_json() { "CMD" } else { "CMD-SHELL" };
    let test: Vec<String> = std::iter::once(kind.to_owned()).chain(command).collect();
    if test.len() == 1 {
        return Err(line.error(code::ARGUMENTS, "Missing command after HEALTHCHECK CMD"));
    }
    Ok(test)
}

fn interval(line: &Line, flags: &Flags, name: &str) -> Result<i64, Diagnostic> {
    let Some(word) = flags.text(name) else {
        return Ok(0);
    };
    let message = match duration::parse(&word.text) {
        Ok(nanoseconds) if nanoseconds == 0 || nanoseconds >= MINIMUM => return Ok(nanoseconds),
        Ok(_) => format!(
            "Interval {name:?} cannot be less than {}",
            duration::format(MINIMUM)
        ),
        Err(message) => message,
    };
    Err(line.error_at(word.span, code::VALUE, message))
}

fn retries(line: &Line, flags: &Flags) -> Result<i64, Diagnostic> {
    let Some(word) = flags.text("retries") else {
        return Ok(0);
    };
    let message = match word.text.parse::<i32>() {
        Ok(retries) if retries >= 0 => return Ok(retries.into()),
        Ok(retries) => format!("--retries cannot be negative ({retries})"),
        Err(_) => format!("--retries is not a number: {:?}", word.text),
    };
    Err(line.error_at(word.span, code::VALUE, message))
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn both_forms_and_none() {
        let stage = target("FROM scratch\nHEALTHCHECK --interval=1m --retries=3 CMD curl $X");
        let check = stage.config.healthcheck.unwrap();
        assert_eq!(check.test, ["CMD-SHELL", "curl $X"]);
        assert_eq!((check.interval, check.retries), (60_000_000_000, 3));
        assert_eq!(
            stage.history[0].created_by,
            "HEALTHCHECK {Test:[CMD-SHELL curl $X] Interval:1m0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}"
        );
        let stage = target("FROM scratch\nHEALTHCHECK cmd [\"a\", \"b\"]");
        assert_eq!(stage.config.healthcheck.unwrap().test, ["CMD", "a", "b"]);
        let stage = target("FROM scratch\nHEALTHCHECK none");
        assert_eq!(stage.config.healthcheck.unwrap().test, ["NONE"]);
    }

    #[test]
    fn wrong_ones_are_refused() {
        let bad = [
            "",
            "NONE x",
            "CMD",
            "FOO x",
            "--interval=5 CMD x",
            "--timeout=1us CMD x",
            "--retries=-1 CMD x",
            "--retries=x CMD x",
            "--foo=1 CMD x",
            "CMD []",
        ];
        for arguments in bad {
            let found = messages(&format!("FROM x\nHEALTHCHECK {arguments}"));
            assert_eq!(found.len(), 1, "{arguments}");
        }
    }
}
