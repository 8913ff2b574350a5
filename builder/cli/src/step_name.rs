//! What a person calls a step: `STAGE N/M` or `STAGE N`, as progress shows it, or `Dockerfile:LINE`, as errors do. Unaware of what is asked
//! about the step.

use std::str::FromStr;

/// What a command's help says of it.
pub const SYNTAX: &str = "STAGE N/M, STAGE N or Dockerfile:LINE";

/// A step, as somebody has named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepName {
    /// By its place in a stage.
    InStage {
        /// The stage's name, or its number; of several platforms, the platform before it.
        stage: String,
        /// Position within the stage, from 1.
        number: usize,
        /// Steps of the stage, if that was said too.
        of: Option<usize>,
    },
    /// By its first line.
    InFile {
        /// The Dockerfile, or the end of its path.
        file: String,
        /// From 1.
        line: u32,
    },
}

/// Where a step is.
#[derive(Debug, Clone, Copy)]
pub struct StepPlace<'a> {
    /// The Dockerfile.
    pub file: &'a str,
    /// Its first line there, from 1; 0 for none.
    pub line: u32,
    /// The stage, as progress calls it.
    pub stage: &'a str,
    /// Position within the stage, from 1.
    pub number: usize,
    /// Steps of the stage.
    pub of: usize,
}

impl FromStr for StepName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // as it stands in progress
        let inside = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let text = inside.unwrap_or(text);
        let found = in_stage(text).or_else(|| in_file(text));
        found.ok_or_else(|| format!("{text:?} is not a step: expected {SYNTAX}"))
    }
}

fn in_stage(text: &str) -> Option<StepName> {
    let (stage, place) = text.rsplit_once(char::is_whitespace)?;
    let (number, of) = match place.split_once('/') {
        None => (place, None),
        Some((number, of)) => (number, Some(of.parse().ok()?)),
    };
    Some(StepName::InStage {
        stage: stage.trim_end().to_owned(),
        number: number.parse().ok()?,
        of,
    })
}

fn in_file(text: &str) -> Option<StepName> {
    let (file, line) = text.rsplit_once(':')?;
    let line = line.parse().ok().filter(|line| *line > 0)?;
    let file = file.to_owned();
    Some(StepName::InFile { file, line }).filter(|_| !text.starts_with(':'))
}

impl StepName {
    /// Whether it names the step at this place.
    pub fn names(&self, place: StepPlace<'_>) -> bool {
        match self {
            StepName::InStage { stage, number, of } => {
                let is_stage = stage.eq_ignore_ascii_case(place.stage)
                    || place.stage.strip_prefix("stage-") == Some(stage);
                is_stage && *number == place.number && of.is_none_or(|of| of == place.of)
            }
            StepName::InFile { file, line } => {
                let before = place.file.strip_suffix(file.as_str());
                let is_file = before.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
                is_file && *line == place.line
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: StepPlace<'_> = StepPlace {
        file: "docker/Dockerfile",
        line: 7,
        stage: "linux/amd64 build",
        number: 2,
        of: 5,
    };

    #[test]
    fn steps_are_named_as_they_are_shown() {
        let names = |text: &str| text.parse::<StepName>().unwrap().names(PLACE);
        for text in [
            "linux/amd64 build 2/5",
            "[linux/amd64 BUILD 2/5]",
            "linux/amd64 build 2",
            " Dockerfile:7",
            "docker/Dockerfile:7",
        ] {
            assert!(names(text), "{text}");
        }
        for text in [
            "build 2/5",
            "linux/amd64 build 2/4",
            "linux/amd64 build 3",
            "Dockerfile:8",
            "file:7",
            "x/docker/Dockerfile:7",
        ] {
            assert!(!names(text), "{text}");
        }
        let unnamed = StepPlace {
            stage: "stage-1",
            ..PLACE
        };
        for text in ["1 2", "stage-1 2/5"] {
            assert!(text.parse::<StepName>().unwrap().names(unnamed), "{text}");
        }
    }

    #[test]
    fn what_is_no_step_is_said() {
        for text in [
            "",
            "build",
            "build x",
            "build 1/",
            ":7",
            "Dockerfile:",
            "Dockerfile:0",
        ] {
            let error = text.parse::<StepName>().unwrap_err();
            assert!(
                error.contains("is not a step: expected STAGE N/M"),
                "{error}"
            );
        }
    }
}
