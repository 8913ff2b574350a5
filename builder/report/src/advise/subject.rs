//! What advice is given on: a Dockerfile and the image that it makes, or an image alone. Unaware of single kinds of advice.

use super::clause::{Clause, clauses};
use super::edit::Edit;
use crate::classify::{Class, Classified, Fate};
use crate::history::Step;
use crate::image::Image;
use crate::stages::continued;
use kiln_cache::Entry;
use kiln_oci::Platform;
use kiln_parser::instruction::{Copy, Instruction, Run};
use kiln_parser::{Dockerfile, Statement};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What advice is given on.
pub struct Subject<'a> {
    /// The Dockerfile, unless only the image is known.
    pub source: Option<Source<'a>>,
    /// The image.
    pub image: &'a Image,
    /// What became of its bytes.
    pub classified: &'a Classified,
    /// Its history.
    pub steps: &'a [Step],
    /// Seconds that a line took when it was executed.
    pub seconds: &'a BTreeMap<u32, f64>,
    /// The build context, if it is a folder.
    pub context: Option<&'a Context>,
    /// The base of the image and those that could take its place.
    pub bases: &'a [Base],
    /// The platform that the image says it is for.
    pub platform: Platform,
    /// Reads the first bytes of a file of a layer, as many as are asked for or there are.
    pub read: &'a ReadStart<'a>,
}

/// Position of a layer, an entry of it, and how many bytes are asked for.
pub type ReadStart<'a> = dyn Fn(usize, &Entry, usize) -> Option<Vec<u8>> + 'a;

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the image {}", self.image.id)
    }
}

/// A Dockerfile.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its text.
    pub text: &'a str,
    /// What it says.
    pub dockerfile: &'a Dockerfile,
    /// Number of the stage that is built.
    pub target: usize,
}

/// The build context.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Files and folders at its top.
    pub names: BTreeSet<String>,
    /// The lines of its `.dockerignore`.
    pub ignored: Vec<String>,
}

/// An image that could be a base.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Whether it is the base of the image.
    pub is_used: bool,
}

/// An instruction of the stages that make the image, and what came of it.
#[derive(Debug)]
pub struct Written<'a> {
    /// 1-based line.
    pub line: u32,
    /// Its bytes in the Dockerfile.
    pub at: Range<usize>,
    /// The bytes of its name.
    pub name: Range<usize>,
    /// What it says.
    pub instruction: &'a Instruction,
    /// Position of its layer in the image.
    pub layer: Option<usize>,
    /// Its commands, if it is a RUN whose commands are understood.
    pub clauses: Vec<Clause>,
}

impl<'a> Written<'a> {
    /// The RUN that it is.
    pub fn run(&self) -> Option<&'a Run> {
        match self.instruction {
            Instruction::Run(run) => Some(run),
            _ => None,
        }
    }

    /// The COPY that it is.
    pub fn copy(&self) -> Option<&'a Copy> {
        match self.instruction {
            Instruction::Copy(copy) => Some(copy),
            _ => None,
        }
    }

    /// Its list of commands without one of them; all of it, with its line, where it has no other.
    pub(super) fn without(&self, clause: &Clause, text: &str) -> Edit {
        let at = self.clauses.iter().position(|other| other == clause);
        let before = at.and_then(|at| self.clauses.get(at.checked_sub(1)?));
        if let Some(before) = before {
            return Edit::remove(before.at.end..clause.at.end);
        }
        if let Some(next) = self.clauses.get(1) {
            return Edit::remove(clause.at.start..next.at.start);
        }
        let line = text.get(self.at.end..).unwrap_or_default();
        let end = line.find('\n').map_or(line.len(), |end| end + 1);
        Edit::remove(self.at.start..self.at.end + end)
    }

    /// What stands between its name and its commands.
    pub(super) fn flags<'t>(&self, text: &'t str) -> &'t str {
        let commands = self
            .clauses
            .first()
            .map_or(self.at.end, |clause| clause.at.start);
        text.get(self.name.end..commands).unwrap_or_default().trim()
    }

    /// Whether its command names one of these programs.
    pub fn mentions(&self, programs: &[&str]) -> bool {
        let command = self.run().map(|run| run.command.text());
        let is_end = |character: char| !character.is_alphanumeric() && !"-_./".contains(character);
        command.is_some_and(|command| {
            let mut words = command.split(is_end);
            words.any(|word| programs.contains(&word.strip_prefix("./").unwrap_or(word)))
        })
    }
}

/// A file of a layer and what became of it.
#[derive(Debug)]
pub struct File<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// What became of it.
    pub fate: Fate,
}

impl File<'_> {
    /// Its path; bytes that are no UTF-8 are replaced.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.entry.path).into_owned()
    }
}

impl<'a> Subject<'a> {
    /// The instructions of the stage that is built and of those that it continues, the first one first, without FROM.
    #[must_use]
    pub fn written(&self) -> Vec<Written<'a>> {
        let Some(source) = self.source else {
            return Vec::new();
        };
        let stages = source.stages();
        let statements = stages
            .iter()
            .flat_map(|stage| &source.dockerfile.stages[*stage].statements);
        let written = statements.filter_map(|statement| self.one(source, statement));
        written.collect()
    }

    fn one(&self, source: Source<'a>, statement: &'a Statement) -> Option<Written<'a>> {
        let line = source.dockerfile.lines.get(statement.line)?;
        Some(Written {
            line: line.first,
            layer: self.layer_of(line.first),
            instruction: &statement.instruction,
            clauses: source.commands(statement).unwrap_or_default(),
            at: line.span.range(),
            name: line.name_span().range(),
        })
    }

    /// The layer that a line made; of a line with several, none.
    fn layer_of(&self, line: u32) -> Option<usize> {
        let steps = self.steps.iter().filter(|step| step.line() == Some(line));
        let mut layers = steps.filter_map(|step| step.position);
        let first = layers.next().filter(|layer| !self.image.is_of_base(*layer));
        first.filter(|_| layers.next().is_none())
    }

    /// The line that made a layer.
    #[must_use]
    pub fn line_of(&self, layer: usize) -> Option<u32> {
        self.step_of(layer).and_then(Step::line)
    }

    /// The step that made a layer.
    #[must_use]
    pub fn step_of(&self, layer: usize) -> Option<&'a Step> {
        self.steps.iter().find(|step| step.position == Some(layer))
    }

    /// The files of a layer.
    pub fn files(&self, layer: usize) -> impl Iterator<Item = File<'a>> + use<'a> {
        let entries = self.image.layers.get(layer).map(|layer| layer.entries());
        let fates = self.classified.layers.get(layer).map(|layer| &layer.fates);
        let entries = entries.unwrap_or_default().iter();
        let fates = fates.into_iter().flatten();
        let files = entries.zip(fates).filter(|(entry, _)| entry.is_file());
        files.map(|(entry, fate)| File { entry, fate: *fate })
    }

    /// The layers that are not the base's.
    #[must_use]
    pub fn own(&self) -> Range<usize> {
        self.image.base.min(self.image.layers.len())..self.image.layers.len()
    }

    /// The files of a class in own layers, by the layers that wrote them and hid them.
    #[must_use]
    pub fn hidden(&self, class: Class) -> BTreeMap<(usize, usize), Vec<File<'a>>> {
        let mut hidden: BTreeMap<_, Vec<File<'a>>> = BTreeMap::new();
        for layer in self.own() {
            for file in self.files(layer).filter(|file| file.fate.class == class) {
                if let Some(by) = file.fate.hidden_by {
                    hidden.entry((layer, by)).or_default().push(file);
                }
            }
        }
        hidden
    }

    /// A layer in a sentence: `line 3`, else the beginning of what the history says.
    #[must_use]
    pub fn name_of(&self, layer: usize) -> String {
        const WIDTH: usize = 40;
        let step = self.step_of(layer);
        let text = step.map(Step::on_one_line).unwrap_or_default();
        match step.and_then(Step::line) {
            Some(line) => format!("line {line}"),
            None if text.is_empty() => format!("layer {}", layer + 1),
            None => format!("`{}`", text.chars().take(WIDTH).collect::<String>()),
        }
    }
}

/// Bytes of files.
pub fn bytes_of(files: &[File<'_>]) -> u64 {
    files.iter().map(|file| file.fate.bytes).sum()
}

/// Whether a path is this one or below it.
pub fn is_within(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Source<'_> {
    /// The commands of a RUN in shell form, if they are understood.
    fn commands(&self, statement: &Statement) -> Option<Vec<Clause>> {
        let line = self.dockerfile.lines.get(statement.line)?;
        let is_run = matches!(statement.instruction, Instruction::Run(_));
        if !is_run || !line.heredocs().is_empty() || line.is_json() {
            return None;
        }
        let start = line.words().first()?.span.start();
        clauses(self.text, start..line.span.end(), self.dockerfile.escape)
    }

    /// The stage that is built after those that it continues.
    pub(super) fn stages(&self) -> Vec<usize> {
        continued(self.dockerfile, self.target)
    }
}
