//! `--unsetenv`, `--unsetlabel`, `--unsetannotation`, `--inherit-labels`, `--omit-history`: what the image does not say, although its
//! base, the Dockerfile or another flag says it. As in buildah; unaware of what RUN sees, which stays the same.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::{Level, Request};

#[derive(Debug, clap::Args)]
pub struct LeaveOut {
    /// Variable that the image does not set; RUN still sees it (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetenv: Vec<String>,
    /// Label that the image does not have (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetlabel: Vec<String>,
    /// Annotation that the image does not have; those of a base are never taken over (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetannotation: Vec<String>,
    /// Whether stages take over the labels of their base [default: true]
    #[arg(long, action = clap::ArgAction::SetFalse)]
    inherit_labels: bool,
    /// Write no history into the image
    #[arg(long)]
    omit_history: bool,
}

impl Flag for LeaveOut {
    /// Comes after the flags that set these.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let given = [
            ("--unsetenv", &self.unsetenv),
            ("--unsetlabel", &self.unsetlabel),
            ("--unsetannotation", &self.unsetannotation),
        ];
        for (flag, names) in given {
            if let Some(wrong) = names
                .iter()
                .find(|name| name.is_empty() || name.contains('='))
            {
                return Err(Failure::usage(format!("{flag} {wrong}: expected a name")));
            }
        }
        request.language.unset_env = self.unsetenv.iter().cloned().collect();
        request.language.unset_labels = self.unsetlabel.iter().cloned().collect();
        request.language.inherit_labels = self.inherit_labels;
        request.form.omit_history = self.omit_history;
        let is_left =
            |level, key: &String| level != Level::Manifest || !self.unsetannotation.contains(key);
        request
            .form
            .annotations
            .retain(|annotation| is_left(annotation.level, &annotation.key));
        Ok(())
    }
}
