//! The stable codes of errors. A code is never reused for something else.

/// A parser directive is repeated or has an impossible value.
pub const DIRECTIVE: &str = "DF0001";
/// The file holds no instruction.
pub const EMPTY_FILE: &str = "DF0002";
/// The file is larger than [`crate::MAX_SOURCE`] or has more instructions than are read.
pub const TOO_LARGE: &str = "DF0003";
/// A heredoc has no terminator, or its delimiter cannot be read.
pub const HEREDOC: &str = "DF0004";
/// A valid JSON array holds something that is not a string.
pub const JSON_STRINGS: &str = "DF0005";
/// `ENV` or `LABEL` without `=`.
pub const KEY_VALUE: &str = "DF0006";
/// No instruction has this name.
pub const UNKNOWN_INSTRUCTION: &str = "DF0010";
/// Too few, too many or impossible arguments.
pub const ARGUMENTS: &str = "DF0011";
/// A flag that the instruction does not have, that was given twice, or that has a bad value.
pub const FLAG: &str = "DF0012";
/// An instruction before the first `FROM`.
pub const NO_STAGE: &str = "DF0013";
/// More than [`crate::MAX_STAGES`] stages.
pub const TOO_MANY_STAGES: &str = "DF0014";
/// `AS` an invalid name.
pub const STAGE_NAME: &str = "DF0015";
/// A trigger that `ONBUILD` cannot hold.
pub const TRIGGER: &str = "DF0016";
/// A `RUN --mount` that cannot be read.
pub const MOUNT: &str = "DF0017";
/// An invalid duration, signal, port or number.
pub const VALUE: &str = "DF0018";
/// A variable cannot be expanded.
pub const EXPANSION: &str = "DF0020";
/// `FROM` names no image.
pub const BASE: &str = "DF0021";
/// A platform that cannot be read.
pub const PLATFORM: &str = "DF0022";
/// `--target` names no stage.
pub const TARGET: &str = "DF0023";
/// A stage is used before it is defined, or by a number that no stage has.
pub const STAGE_ORDER: &str = "DF0024";
/// `--from` holds a variable.
pub const FROM_VARIABLE: &str = "DF0025";
/// A source that `COPY` or `ADD` cannot have.
pub const SOURCE: &str = "DF0026";
/// An invalid mode, owner or checksum of `COPY` or `ADD`.
pub const COPY_OPTION: &str = "DF0027";
/// Expanded values add up to more than an evaluation may make.
pub const TOO_MUCH: &str = "DF0029";
/// The command line has not granted what `RUN` asks for.
pub const ENTITLEMENT: &str = "DF0028";
/// `error=true` of `# check=`, and a rule found something.
pub const LINT: &str = "DF0030";
/// Several files of a `COPY` or `ADD` went to one path; found when it is executed.
pub const OVERWRITTEN: &str = "DF0032";
/// A name of `--chown`, or `USER` at a `WORKDIR`, that the image does not have; found when it is executed.
pub const UNKNOWN_OWNER: &str = "DF0033";
/// An unknown option of `# check=`.
pub const CHECK_OPTION: &str = "DF0031";
/// `# syntax=` names a frontend with a language of its own.
pub const FRONTEND: &str = "DF0034";
/// A mount asks for another SELinux label.
pub const RELABEL: &str = "DF0035";
/// `COPY --link --chown` gives a folder above its destination to that owner; found when it is executed.
pub const LINKED_OWNER: &str = "DF0036";
/// A list that is almost a JSON array, and is read in another way.
pub const ALMOST_JSON: &str = "DF0037";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_one_of_its_kind() {
        let source = include_str!("code.rs");
        let codes = source.lines().filter(|line| line.starts_with("pub const "));
        let codes: Vec<&str> = codes.filter_map(|line| line.split('"').nth(1)).collect();
        let different: BTreeSet<&str> = codes.iter().copied().collect();
        assert!(codes.len() > 20);
        assert_eq!(codes.len(), different.len());
    }
}
