//! `--secret`: contents for `RUN --mount=type=secret`, read before the build begins.

use super::Flag;
use crate::environment;
use crate::failure::Failure;
use kiln_engine::{Request, Secret as Content};
use std::io::Read;

/// BuildKit's limit.
const MAX_SECRET: u64 = 500 << 10;

#[derive(Debug, clap::Args)]
pub struct Secret {
    /// Secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
}

impl Flag for Secret {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for secret in &self.secret {
            let (id, content) = secret_content(secret)?;
            request.run.secrets.insert(id, content);
        }
        Ok(())
    }
}

/// `id=ID[,src=FILE][,env=NAME][,type=file|env]`; without a source, the variable ID, else the file ID.
fn secret_content(argument: &str) -> Result<(String, Content), Failure> {
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
        (Some(file), _) => read(&file).map_err(|error| wrong(&format!("{file}: {error}")))?,
        (None, Some(name)) => environment::variable(&name)
            .ok_or_else(|| wrong(&format!("{name} is not set")))?
            .into_bytes(),
        (None, None) => match environment::variable(&id) {
            Some(value) => value.into_bytes(),
            None => read(&id).map_err(|error| wrong(&format!("{id}: {error}")))?,
        },
    };
    if content.len() as u64 > MAX_SECRET {
        return Err(wrong(&format!("it has more than {MAX_SECRET} bytes")));
    }
    Ok((id, Content::new(content)))
}

/// A pipe is as good as a file; neither is read for ever.
fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_SECRET + 1).read_to_end(&mut content)?;
    Ok(content)
}
