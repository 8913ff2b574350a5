//! `--cache-from` and `--cache-to`: caches that builds on several machines share; `--cache-repo`, as kaniko calls both. What the kinds of
//! caches know stands in `kiln_engine::shared`.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::export::{Attributes, ExportError};
use kiln_engine::options::BuildOptions;
use kiln_engine::shared::{cache_from, cache_to, foreign};
use kiln_parser::csv;

#[derive(Debug, clap::Args)]
pub struct SharedCache {
    /// Cache whose results are used: NAME in a registry, or type=registry|local,ref=NAME|src=FOLDER,… (may be repeated)
    #[arg(long, value_name = "CACHE")]
    cache_from: Vec<String>,
    /// Cache that gets the results, mode=max all of them: NAME in a registry, or type=registry|local,ref=NAME|dest=FOLDER,mode=min|max,…
    /// (may be repeated)
    #[arg(long, value_name = "CACHE")]
    cache_to: Vec<String>,
    /// Both, with mode=max: a repository, as kaniko has it (may be repeated)
    #[arg(long, value_name = "NAME")]
    cache_repo: Vec<String>,
}

/// One cache as the command line has it.
type Pairs = Vec<(String, String)>;

impl Flag for SharedCache {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for text in &self.cache_from {
            each("--cache-from", text, options, |pairs, options| {
                options.cache_from.push(cache_from(Attributes::new(pairs))?);
                Ok(())
            })?;
        }
        for text in &self.cache_to {
            each("--cache-to", text, options, |pairs, options| {
                options.cache_to.push(cache_to(Attributes::new(pairs))?);
                Ok(())
            })?;
        }
        for name in &self.cache_repo {
            each("--cache-repo", name, options, |mut pairs, options| {
                let from = Attributes::new(pairs.clone());
                options.cache_from.push(cache_from(from)?);
                pairs.push(pair("mode", "max"));
                options.cache_to.push(cache_to(Attributes::new(pairs))?);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Makes what each cache of a flag's value says; a type of BuildKit's that kiln has not is a warning.
fn each(
    flag: &str,
    text: &str,
    options: &mut BuildOptions,
    make: impl Fn(Pairs, &mut BuildOptions) -> Result<(), ExportError>,
) -> Result<(), Failure> {
    let wrong = |why: String| Failure::usage(format!("{flag} {text}: {why}"));
    for pairs in caches(text).map_err(wrong)? {
        let kind = pairs.iter().find(|(key, _)| key == "type");
        match kind.and_then(|(_, kind)| foreign(kind)) {
            Some(instead) => {
                let notice = format!("{flag} {text} has no effect: {instead}");
                options.notices.push(notice);
            }
            None => make(pairs, options).map_err(|error| wrong(error.to_string()))?,
        }
    }
    Ok(())
}

/// Names alone stand for `type=registry,ref=NAME` each, as in docker.
fn caches(text: &str) -> Result<Vec<Pairs>, String> {
    let fields = csv::fields(text)?;
    if fields.iter().all(|field| !field.contains('=')) {
        let named = |name: &String| vec![pair("type", "registry"), pair("ref", name)];
        return Ok(fields.iter().map(named).collect());
    }
    let split = |field: &String| match field.split_once('=') {
        Some((key, value)) => Ok(pair(&key.trim().to_lowercase(), value)),
        None => Err(format!("{field} is not KEY=VALUE")),
    };
    let pairs: Result<Pairs, String> = fields.iter().map(split).collect();
    Ok(vec![pairs?])
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
