//! `RUN --mount`: comma-separated fields, quoted as in CSV. The fields are read with the file,
//! their values with the stage, because variables may stand in them.

mod csv;
mod fields;

use crate::code;
use crate::diagnostic::Diagnostic;
use crate::evaluate::StageBuilder;
use crate::graph::{NodeId, RunMount};
use crate::line::{Line, Word};
use crate::path;
use crate::suggest;
pub(crate) use fields::Fields;
use fields::Kind;

/// A `--mount` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// `key[=value]`, CSV quotes removed.
    pub fields: Vec<String>,
    /// `from`, which must be known before variables are.
    pub from: Option<String>,
    /// The whole flag.
    pub flag: Word,
}

impl MountSpec {
    /// Splits the fields and looks at `from`.
    pub(super) fn parse(line: &Line, flag: Word) -> Result<Self, Diagnostic> {
        let error = |message: String| error(line, &flag, message);
        let fields = csv::fields(&flag.text)
            .map_err(|why| error(format!("failed to parse csv mounts: {why}")))?;
        let mut from = None;
        for field in &fields {
            let Some((key, value)) = field.split_once('=') else {
                continue;
            };
            if key.eq_ignore_ascii_case("from") {
                if value
                    .split_once('$')
                    .is_some_and(|(_, after)| !after.is_empty())
                {
                    let help = "give the image a name: FROM $IMAGE AS name";
                    let message =
                        "'from' doesn't support variable expansion, define alias stage instead";
                    return Err(error(message.to_owned()).with_help(help));
                }
                from = Some(value.to_owned()).filter(|from| !from.is_empty());
            }
        }
        let from = from.filter(|_| fields::kind(&fields).is_none_or(Kind::has_source));
        Ok(MountSpec { fields, from, flag })
    }

    /// Expands and checks the fields.
    pub(super) fn resolve(
        &self,
        line: &Line,
        stage: &mut StageBuilder<'_>,
    ) -> Result<RunMount, Diagnostic> {
        let mut expanded = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            expanded.push(match field.split_once('=') {
                Some((key, value)) => {
                    let value = stage.expand_text(value, self.flag.span)?;
                    (key.to_lowercase(), Some(value))
                }
                None => (field.to_lowercase(), None),
            });
        }
        let fields = Fields::read(&expanded).map_err(|why| {
            let found = error(line, &self.flag, why.message);
            match why.near {
                Some(near) => found.with_help(format!("did you mean {near}?")),
                None => found,
            }
        })?;
        self.build(line, fields, stage)
    }

    fn build(
        &self,
        line: &Line,
        fields: Fields,
        stage: &mut StageBuilder<'_>,
    ) -> Result<RunMount, Diagnostic> {
        let target = path::join(&stage.working_dir(), &fields.target);
        let needs_target = matches!(fields.kind, Kind::Bind | Kind::Cache | Kind::Tmpfs);
        if needs_target && target == "/" {
            return Err(error(
                line,
                &self.flag,
                format!("invalid mount target {target:?}"),
            ));
        }
        let source = path::clean(&format!("/{}", fields.source));
        Ok(match fields.kind {
            Kind::Bind => RunMount::Bind {
                from: self
                    .from(&fields, stage)?
                    .unwrap_or_else(|| stage.context(self.flag.span)),
                source,
                target,
                rw: !fields.read_only,
            },
            Kind::Cache => RunMount::Cache {
                id: stage.world.cache_id(&fields),
                target,
                sharing: fields.sharing.unwrap_or_default(),
                from: self.from(&fields, stage)?,
                source,
                mode: fields.mode.unwrap_or(0o755),
                uid: fields.uid.unwrap_or(0),
                gid: fields.gid.unwrap_or(0),
                ro: fields.read_only,
            },
            Kind::Tmpfs => RunMount::Tmpfs {
                target,
                size: fields.size,
            },
            Kind::Secret => secret(fields, target),
            Kind::Ssh => ssh(fields, target),
        })
    }

    fn from(
        &self,
        fields: &Fields,
        stage: &mut StageBuilder<'_>,
    ) -> Result<Option<NodeId>, Diagnostic> {
        match fields.from.as_str() {
            "" => Ok(None),
            from => stage.source(from, self.flag.span).map(Some),
        }
    }
}

fn secret(fields: Fields, target: String) -> RunMount {
    let given = !fields.target.is_empty();
    let id = [fields.source, fields.id]
        .into_iter()
        .find(|name| !name.is_empty());
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let id = id.unwrap_or_else(|| base(&target));
    let target = match (&fields.env, given) {
        (_, true) => Some(target),
        (Some(_), false) => None,
        (None, false) => Some(format!("/run/secrets/{}", base(&path::clean(&id)))),
    };
    RunMount::Secret {
        id,
        target,
        env: fields.env,
        required: fields.required,
        mode: fields.mode.unwrap_or(0o400),
        uid: fields.uid.unwrap_or(0),
        gid: fields.gid.unwrap_or(0),
    }
}

fn ssh(fields: Fields, target: String) -> RunMount {
    let id = [fields.source, fields.id]
        .into_iter()
        .find(|name| !name.is_empty());
    RunMount::Ssh {
        id: id.unwrap_or_else(|| "default".to_owned()),
        target: (!fields.target.is_empty()).then_some(target),
        required: fields.required,
        mode: fields.mode.unwrap_or(0o600),
        uid: fields.uid.unwrap_or(0),
        gid: fields.gid.unwrap_or(0),
    }
}

fn error(line: &Line, flag: &Word, message: String) -> Diagnostic {
    let error = line.error(code::MOUNT, message);
    Diagnostic {
        span: flag.span,
        ..error
    }
}

fn nearest(word: &str, names: &[&'static str]) -> Option<&'static str> {
    suggest::nearest(word, names.iter().copied())
}
