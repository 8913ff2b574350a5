//! `--secret`: contents for `RUN --mount=type=secret`, read before the build begins.

use super::Flag;
use crate::environment;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Secret {
    /// Secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
}

impl Flag for Secret {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for secret in &self.secret {
            let (id, content) = secret_content(secret)?;
            options.secrets.insert(id, content);
        }
        Ok(())
    }
}

/// `id=ID[,src=FILE][,env=NAME][,type=file|env]`; without a source, the variable ID, else the file ID.
fn secret_content(argument: &str) -> Result<(String, Vec<u8>), Failure> {
    let wrong = |why: &str| Failure::usage(format!("--secret {argument}: {why}"));
    let (mut id, mut file, mut variable) = (None, None, None);
    for field in argument.split(',') {
        match field.split_once('=') {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("src" | "source", value)) => file = Some(value.to_owned()),
            Some(("env", value)) => variable = Some(value.to_owned()),
            Some(("type", "file" | "env")) => {}
            _ => return Err(wrong("expected id=ID,src=FILE or id=ID,env=NAME")),
        }
    }
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| wrong("it needs id=ID"))?;
    let content = match (file, variable) {
        (Some(file), _) => {
            std::fs::read(&file).map_err(|error| wrong(&format!("{file}: {error}")))?
        }
        (None, Some(name)) => environment::variable(&name)
            .ok_or_else(|| wrong(&format!("{name} is not set")))?
            .into_bytes(),
        (None, None) => match environment::variable(&id) {
            Some(value) => value.into_bytes(),
            None => std::fs::read(&id).map_err(|error| wrong(&format!("{id}: {error}")))?,
        },
    };
    Ok((id, content))
}
