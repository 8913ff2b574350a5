//! The syntax tree of a Dockerfile: every line as written, and stages of checked instructions that refer to their lines. Unaware of values.

use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::instruction::{self, Arg, Argument, From, Instruction};
use crate::lexer::{self, Directive, Lexer};
use crate::line::{self, Line};
use crate::source::Span;

/// The longest Dockerfile, in bytes.
pub const MAX_SOURCE: usize = 16 << 20;

/// How many stages a Dockerfile may have.
pub const MAX_STAGES: usize = 10_000;

/// How many instructions a Dockerfile may have. Each takes about 700 bytes of memory. A file of the largest size has more only if its
/// instructions are shorter than `RUN echo x`.
pub const MAX_INSTRUCTIONS: usize = 1_500_000;

/// How many errors of each kind are reported.
const MAX_ERRORS: usize = 100;

/// A Dockerfile, as far as it was readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The escape character in force.
    pub escape: char,
    /// Parser directives as tools find them, in order.
    pub directives: Vec<Directive>,
    /// All instructions as written, even those that have errors.
    pub lines: Vec<Line>,
    /// The `ARG`s before the first `FROM`.
    pub globals: Vec<Global>,
    /// The stages in order.
    pub stages: Vec<StageAst>,
}

impl Dockerfile {
    /// What the `ARG`s before the first `FROM` declare, in order.
    pub(crate) fn global_arguments(&self) -> impl DoubleEndedIterator<Item = &Argument> {
        self.globals.iter().flat_map(|global| &global.arg.arguments)
    }

    /// The names of the stages that have one, in order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        let stages = self.stages.iter();
        stages.filter_map(|stage| stage.from.name.as_deref())
    }
}

/// An `ARG` before the first `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Position in [`Dockerfile::lines`].
    pub line: usize,
    /// The arguments.
    pub arg: Arg,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageAst {
    /// Position of the `FROM` in [`Dockerfile::lines`].
    pub line: usize,
    /// What it is based on, its name and platform.
    pub from: From,
    /// Its instructions without `FROM` (and without those that have errors).
    pub statements: Vec<Statement>,
}

/// A checked instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Position in [`Dockerfile::lines`].
    pub line: usize,
    /// What it says.
    pub instruction: Instruction,
}

/// The answer of [`parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// As far as it was readable. It can be evaluated only if there are no errors.
    pub dockerfile: Dockerfile,
    /// What is wrong, syntax first.
    pub errors: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the Dockerfile cannot be evaluated.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// Reads a Dockerfile. Never fails: the answer says what is wrong, several errors at once.
pub fn parse(source: &str) -> Parsed {
    let mut reader = Reader::default();
    let end = Span::new(source.len(), source.len());
    let syntax = |code, message: &str| Diagnostic::error(code, Phase::Syntax, end, message);
    if source.len() > MAX_SOURCE {
        let message = format!("the Dockerfile is larger than {MAX_SOURCE} bytes");
        reader.syntax(syntax(code::TOO_LARGE, &message));
        return reader.finish(Lexer::new(""), Vec::new());
    }
    let mut lexer = Lexer::new(source);
    reader.make_room(source);
    while reader.next_line(&mut lexer) {}
    if reader.lines.is_empty() && reader.syntax.is_empty() {
        let error = syntax(code::EMPTY_FILE, "file with no instructions");
        reader.syntax(error.at_line(lexer.lines()));
    }
    reader.finish(lexer, lexer::declared(source))
}

/// Collects lines into stages.
#[derive(Default)]
struct Reader {
    lines: Vec<Line>,
    globals: Vec<Global>,
    stages: Vec<StageAst>,
    syntax: Vec<Diagnostic>,
    semantic: Vec<Diagnostic>,
    /// A `FROM` that has errors still begins a stage.
    broken_from: bool,
}

impl Reader {
    /// False at the end.
    fn next_line(&mut self, lexer: &mut Lexer<'_>) -> bool {
        if self.lines.len() >= MAX_INSTRUCTIONS {
            self.too_many();
            return false;
        }
        match lexer.next_line() {
            Ok(None) => return false,
            Ok(Some(logical)) => {
                let first = logical.first;
                match line::read(logical, lexer, instruction::shape) {
                    Ok(line) => self.line(line),
                    Err(error) => self.syntax(error.at_line(first)),
                }
            }
            Err(error) => self.syntax(error.at_line(lexer.lines())),
        }
        true
    }

    fn syntax(&mut self, error: Diagnostic) {
        if self.syntax.len() < MAX_ERRORS {
            self.syntax.push(error);
        }
    }

    fn semantic(&mut self, error: Diagnostic) {
        if self.semantic.len() < MAX_ERRORS {
            self.semantic.push(error);
        }
    }

    /// Makes room for the instructions of a file of this many lines: growing would copy everything that was read.
    fn make_room(&mut self, source: &str) {
        const MOST: usize = 1 << 16;
        let lines = source.bytes().filter(|byte| *byte == b'\n').take(MOST);
        self.lines.reserve(lines.count());
    }

    fn too_many(&mut self) {
        let message = format!("more than {MAX_INSTRUCTIONS} instructions");
        let last = self.lines.last();
        let error = last.map(|line| line.error(code::TOO_LARGE, message));
        self.syntax
            .extend(error.map(|error| error.in_phase(Phase::Syntax)));
    }

    fn line(&mut self, line: Line) {
        let number = self.lines.len();
        let is_from = line.name().eq_ignore_ascii_case("FROM");
        match Instruction::parse(&line) {
            Ok(instruction) => self.place(number, &line, instruction),
            Err(error) => {
                self.broken_from |= is_from;
                self.semantic(error);
            }
        }
        self.lines.push(line);
    }

    fn place(&mut self, number: usize, line: &Line, instruction: Instruction) {
        let has_room = self.stages.len() < MAX_STAGES;
        match (instruction, self.stages.last_mut()) {
            (Instruction::From(from), _) if has_room => self.stages.push(StageAst {
                line: number,
                from,
                statements: Vec::new(),
            }),
            (Instruction::From(_), _) => {
                let message = format!("more than {MAX_STAGES} stages");
                self.semantic(line.error(code::TOO_MANY_STAGES, message));
            }
            (instruction, Some(stage)) => stage.statements.push(Statement {
                line: number,
                instruction,
            }),
            (Instruction::Arg(arg), None) => self.globals.push(Global { line: number, arg }),
            (_, None) if self.broken_from => {}
            (_, None) => {
                let error = line.error(code::NO_STAGE, "no build stage in current context");
                self.semantic(error.with_help("begin with FROM"));
            }
        }
    }

    fn finish(mut self, lexer: Lexer<'_>, directives: Vec<Directive>) -> Parsed {
        let has_stage = self.broken_from || !self.stages.is_empty();
        if !has_stage && self.syntax.is_empty() && self.semantic.is_empty() {
            let message = "dockerfile contains no stages to build";
            let last = self.lines.last();
            let error = last.map(|line| line.error(code::NO_STAGE, message));
            self.semantic.extend(error);
        }
        let mut errors = self.syntax;
        errors.append(&mut self.semantic);
        let dockerfile = Dockerfile {
            escape: lexer.escape(),
            directives,
            lines: self.lines,
            globals: self.globals,
            stages: self.stages,
        };
        Parsed { dockerfile, errors }
    }
}
