//! `kiln advise`: builds an image, or takes one, and tells what would make it smaller, faster to build, or right; with `--apply` it makes
//! the edits that need no judgement. Unaware of the kinds of advice.

mod apply;
mod facts;
mod shown;

use crate::building::{Builder, Made, Order};
use crate::command::compare::variants::is_dockerfile;
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::flag::context::find_file;
use crate::form::{Format, json};
use crate::pflag::Takes;
use crate::printable::printable;
use crate::render::{self, Ending, Shown};
use crate::weigh::Scale;
use crate::{session, stdout, table};
use apply::Edited;
use clap::Args;
use facts::Facts;
use kiln_cache::Store;
use kiln_report::advise::{Finding, RULES};
use kiln_report::compressed::Effort;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `kiln advise`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Dockerfile, which is built, or an image, as `kiln size` takes it
    #[arg(value_name = "DOCKERFILE|IMAGE", default_value = "Dockerfile")]
    subject: PathBuf,
    /// Files for COPY and ADD
    #[arg(long, value_name = "DIR", default_value = ".", add = Takes::Single)]
    context: PathBuf,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE", add = Takes::Single)]
    target: Option<String>,
    /// Give only this kind of advice (may be repeated)
    #[arg(long, value_name = "KIND", value_parser = kind, add = Takes::List)]
    only: Vec<&'static str>,
    /// Edit the Dockerfile and its .dockerignore where nobody has to judge, build, and print what it saved; on a
    /// failure nothing is written
    #[arg(long, add = Takes::Switch)]
    apply: bool,
    /// Check that all files stay the same, but for those that an edit is about; needs --apply
    #[arg(long, requires = "apply", add = Takes::Switch)]
    verify: bool,
    /// Command that must succeed in the new image; needs --apply
    #[arg(long, value_name = "COMMAND", requires = "apply", add = Takes::Single)]
    test: Option<String>,
    /// How to show the advice
    #[arg(long, value_enum, default_value = "text", add = Takes::Single)]
    format: Format,
    #[command(flatten)]
    shown: Shown,
    /// Flags of `kiln build`
    #[arg(last = true, value_name = "BUILD FLAGS")]
    build: Vec<OsString>,
}

fn kind(text: &str) -> Result<&'static str, String> {
    let mut names = RULES.iter().map(|rule| rule.name);
    names.find(|name| *name == text).ok_or_else(|| {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        format!(
            "there is no such kind of advice; there are {}",
            names.join(", ")
        )
    })
}

/// Advises.
///
/// # Errors
/// The Dockerfile cannot be built, the image is not there, or the edits do not do what they should.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = Ending::new(arguments.shown.progress(), None, "advise");
    ending.tell(advised(&arguments, globals))
}

fn advised(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    if is_dockerfile(&arguments.subject, &arguments.context) {
        return of_dockerfile(arguments, globals);
    }
    if arguments.apply {
        return Err(Failure::usage("--apply needs a Dockerfile"));
    }
    let name = arguments.subject.display().to_string();
    let store = session::store(globals)?;
    let facts = Facts::of_image(&scale(globals, &store), &name)?;
    let found = facts.advice(None);
    arguments.print(&name, arguments.wanted(found))
}

fn of_dockerfile(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    let order = arguments.order()?;
    let globals = order.globals(globals)?;
    let builder = Builder::open(&globals)?;
    let made = builder.build(&order, arguments.shown.progress())?;
    let scale = scale(&globals, builder.store());
    let facts = Facts::of_build(&scale, &made, &order)?;
    let text = made.dockerfile.text.clone();
    let target = arguments.target.as_deref();
    let found = facts.advice(Some((&text, target)));
    let found = arguments.wanted(found);
    if !arguments.apply {
        return arguments.print(&made.dockerfile.name, found);
    }
    arguments.print(&made.dockerfile.name, found.clone())?;
    let work = Apply {
        arguments,
        builder: &builder,
        scale,
        facts,
        order: &order,
        made: &made,
    };
    work.apply(&found)
}

/// What is used to apply edits.
struct Apply<'a> {
    arguments: &'a Arguments,
    builder: &'a Builder,
    scale: Scale<'a>,
    facts: Facts,
    order: &'a Order,
    made: &'a Made,
}

impl Apply<'_> {
    /// Applies the edits of findings; where they break something, those of all kinds but one.
    fn apply(&self, findings: &[Finding]) -> Result<(), Failure> {
        let all = self.edited(findings, None)?;
        if all.is_nothing() {
            render::note("nothing can be edited without a person");
            return Ok(());
        }
        let failure = match self.build(&all) {
            Ok(()) => return Ok(()),
            Err(failure) if failure.kind() != Kind::Build => return Err(failure),
            Err(failure) => failure,
        };
        for kind in all.kinds() {
            let fewer = self.edited(findings, Some(kind))?;
            if !fewer.is_nothing() && self.build(&fewer).is_ok() {
                render::note(failure.text(false).trim_end());
                render::warning(&format!(
                    "the edits of {kind} were left out: the build above fails with them"
                ));
                return Ok(());
            }
        }
        Err(failure.hint("nothing was written: the files are as before"))
    }

    /// The Dockerfile with the edits of all kinds but one.
    fn edited(&self, findings: &[Finding], without: Option<&str>) -> Result<Edited, Failure> {
        let mut findings = findings.to_vec();
        findings.retain(|finding| Some(finding.rule) != without);
        let dockerfile = &self.made.dockerfile;
        let path = find_file(&self.arguments.subject, &self.arguments.context);
        let path = path.unwrap_or_else(|| self.arguments.subject.clone());
        if dockerfile.is_repaired {
            let why = "it has bytes that are not UTF-8, so it cannot be edited";
            return Err(Failure::new(
                Kind::Build,
                format!("{}: {why}", dockerfile.name),
            ));
        }
        Edited::of(self.order, (&path, dockerfile), findings)
    }

    /// Builds and checks, then writes the files and tells what was saved.
    fn build(&self, edited: &Edited) -> Result<(), Failure> {
        let (scale, facts) = (&self.scale, &self.facts);
        let after = edited.build(self.arguments, self.builder, scale, facts)?;
        edited.write()?;
        table::line(&apply::saving(&facts.weighed, &after));
        Ok(())
    }
}

fn scale<'a>(globals: &'a Globals, store: &'a Store) -> Scale<'a> {
    Scale {
        globals,
        store,
        effort: Effort::Estimate,
    }
}

impl Arguments {
    fn order(&self) -> Result<Order, Failure> {
        let file = ["--file".into(), self.subject.clone().into()];
        let target = self
            .target
            .iter()
            .flat_map(|target| ["--target".into(), target.into()]);
        let context = ["--context".into(), self.context.clone().into()];
        let line = file
            .into_iter()
            .chain(target)
            .chain(self.build.iter().cloned());
        Order::to_look(line.chain(context))
    }

    fn wanted(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        findings.retain(|finding| self.only.is_empty() || self.only.contains(&finding.rule));
        findings
    }

    fn print(&self, name: &str, findings: Vec<Finding>) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                let text = shown::text(name, &findings);
                table::print_text(&printable(&text, false));
            }
            Format::Json => stdout::print(json(&findings)?.as_bytes()),
        }
        Ok(())
    }
}
