//! `--name=value` options, checked against the flags of an instruction. Unaware of what they do.

use crate::code;
use crate::diagnostic::Diagnostic;
use crate::line::{Line, Word};
use crate::suggest;

/// A flag that an instruction has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagSpec {
    /// Without `--`.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// What it does, for the reference.
    pub doc: &'static str,
}

/// The values of a flag.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// None, `true` or `false`.
    Bool,
    /// A text, described for the reference.
    Text(&'static str),
    /// A text; the flag may be repeated.
    List(&'static str),
}

/// The flags of one line.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    given: Vec<(&'static str, Word)>,
}

pub(crate) const fn boolean(name: &'static str, doc: &'static str) -> FlagSpec {
    let kind = Kind::Bool;
    FlagSpec { name, kind, doc }
}

pub(crate) const fn text(name: &'static str, value: &'static str, doc: &'static str) -> FlagSpec {
    let kind = Kind::Text(value);
    FlagSpec { name, kind, doc }
}

pub(crate) const fn list(name: &'static str, value: &'static str, doc: &'static str) -> FlagSpec {
    let kind = Kind::List(value);
    FlagSpec { name, kind, doc }
}

impl FlagSpec {
    /// `--name=<value>`
    pub(crate) fn usage(&self) -> String {
        match self.kind {
            Kind::Bool => format!("--{}[=<boolean>]", self.name),
            Kind::Text(value) => format!("--{}={value}", self.name),
            Kind::List(value) => format!("--{}={value} …", self.name),
        }
    }
}

/// Checks the flags of a line.
pub(crate) fn read(line: &Line, known: &[FlagSpec]) -> Result<Flags, Diagnostic> {
    let mut flags = Flags::default();
    for word in line.flags() {
        let error = |message: String| line.error_at(word.span, code::FLAG, message);
        let body = &word.text[2..];
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let Some(spec) = known.iter().find(|spec| spec.name == name) else {
            let mut error = error(format!("unknown flag: --{name}"));
            let near = suggest::nearest(name, known.iter().map(|spec| spec.name));
            error.help = near.map(|near| format!("did you mean --{near}?"));
            return Err(error);
        };
        let once = !matches!(spec.kind, Kind::List(_));
        if once && flags.given.iter().any(|(other, _)| *other == spec.name) {
            return Err(error(format!("duplicate flag specified: --{name}")));
        }
        let value = Word::new(check(spec, value).map_err(error)?, word.span);
        flags.given.push((spec.name, value));
    }
    Ok(flags)
}

fn check(spec: &FlagSpec, value: Option<&str>) -> Result<String, String> {
    let name = spec.name;
    match (spec.kind, value) {
        (Kind::Bool, None) => Ok("true".to_owned()),
        (Kind::Bool, Some("")) => Err(format!("missing a value on flag: --{name}")),
        (Kind::Bool, Some(value)) => match value.to_ascii_lowercase() {
            lower if lower == "true" || lower == "false" => Ok(lower),
            _ => Err(format!(
                "expecting boolean value for flag --{name}, not: {value}"
            )),
        },
        (_, None) => Err(format!("missing a value on flag: --{name}")),
        (_, Some(value)) => Ok(value.to_owned()),
    }
}

impl Flags {
    /// The value of a flag that was given and is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<Word> {
        let mut given = self.list(name).into_iter();
        given.find(|word| !word.text.is_empty())
    }

    /// The value of a boolean that was given.
    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name).map(|word| word.text == "true")
    }

    /// All values of a flag, in order.
    pub(crate) fn list(&self, name: &str) -> Vec<Word> {
        let given = self.given.iter().filter(|(other, _)| *other == name);
        given.map(|(_, value)| value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    fn message(source: &str) -> String {
        let parsed = crate::parse(&format!("FROM x\n{source}\n"));
        parsed
            .errors
            .first()
            .map_or(String::new(), |found| found.message.clone())
    }

    #[test]
    fn flags_are_checked() {
        assert_eq!(message("COPY --form=a b c"), "unknown flag: --form");
        assert_eq!(
            message("COPY --from=a --from=a b c"),
            "duplicate flag specified: --from"
        );
        assert_eq!(message("COPY --exclude=a --exclude=b b c"), "");
        assert_eq!(
            message("COPY --from b c"),
            "missing a value on flag: --from"
        );
        assert_eq!(
            message("COPY --link= b c"),
            "missing a value on flag: --link"
        );
        assert_eq!(message("COPY --link=TRUE b c"), "");
        assert_eq!(
            message("COPY --link=maybe b c"),
            "expecting boolean value for flag --link, not: maybe"
        );
    }
}
