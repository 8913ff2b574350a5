//! `--cache-from` and `--cache-to`: caches that builds on several machines share; `--cache-repo`, as kaniko calls both. What the kinds of
//! caches know stands in `kiln_engine::exchange`.

use super::Flag;
use crate::environment;
use crate::failure::Failure;
use kiln_engine::{Attributes, ExportError, Request, cache_from, cache_to, foreign};
use kiln_parser::csv;

#[derive(Debug, clap::Args)]
pub struct SharedCache {
    /// Cache whose results are used: NAME in a registry, or type=registry|local|s3,ref=NAME|src=FOLDER|bucket=NAME,… (may be repeated)
    #[arg(long, value_name = "CACHE")]
    cache_from: Vec<String>,
    /// Cache that gets the results, mode=max all of them: NAME in a registry, or type=registry|local|s3,ref=NAME|dest=FOLDER|bucket=NAME,mode=min|max,…
    /// (may be repeated)
    #[arg(long, value_name = "CACHE")]
    cache_to: Vec<String>,
    /// Both, with mode=max: a repository, as kaniko has it (may be repeated)
    #[arg(long, value_name = "NAME")]
    cache_repo: Vec<String>,
    /// Write nothing to a --cache-repo
    #[arg(long)]
    no_push_cache: bool,
}

/// What a cache in S3 takes from the environment where the flag does not say it, as docker does.
const OF_ENVIRONMENT: [(&str, &str); 7] = [
    ("access_key_id", "AWS_ACCESS_KEY_ID"),
    ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("session_token", "AWS_SESSION_TOKEN"),
    ("region", "AWS_REGION"),
    ("region", "AWS_DEFAULT_REGION"),
    ("bucket", "AWS_BUCKET"),
    ("endpoint_url", "AWS_ENDPOINT_URL"),
];

/// One cache as the command line has it.
type Pairs = Vec<(String, String)>;

impl Flag for SharedCache {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.cache_from {
            each("--cache-from", text, request, |pairs, request| {
                request
                    .reuse
                    .cache_from
                    .push(cache_from(Attributes::new(pairs))?);
                Ok(())
            })?;
        }
        for text in &self.cache_to {
            each("--cache-to", text, request, |pairs, request| {
                request
                    .goal
                    .cache_to
                    .push(cache_to(Attributes::new(pairs))?);
                Ok(())
            })?;
        }
        for name in &self.cache_repo {
            each("--cache-repo", name, request, |mut pairs, request| {
                let from = Attributes::new(pairs.clone());
                request.reuse.cache_from.push(cache_from(from)?);
                if self.no_push_cache {
                    return Ok(());
                }
                pairs.push(pair("mode", "max"));
                request
                    .goal
                    .cache_to
                    .push(cache_to(Attributes::new(pairs))?);
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
    request: &mut Request,
    make: impl Fn(Pairs, &mut Request) -> Result<(), ExportError>,
) -> Result<(), Failure> {
    let shown = without_secrets(text);
    let wrong = |why: String| Failure::usage(format!("{flag} {shown}: {why}"));
    for pairs in caches(text).map_err(wrong)? {
        let kind = pairs.iter().find(|(key, _)| key == "type");
        match kind.and_then(|(_, kind)| foreign(kind)) {
            Some(instead) => {
                let notice = format!("{flag} {shown} has no effect: {instead}");
                request.notices.push(notice);
            }
            None => make(pairs, request).map_err(|error| wrong(error.to_string()))?,
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
    let mut pairs = fields
        .iter()
        .map(split)
        .collect::<Result<Pairs, String>>()?;
    if pairs.contains(&pair("type", "s3")) {
        add_environment(&mut pairs);
    }
    Ok(vec![pairs])
}

/// The key is one thing: all of it comes from the flag, or all of it from the environment.
fn add_environment(pairs: &mut Pairs) {
    let has = |pairs: &Pairs, key: &str| pairs.iter().any(|(given, _)| given == key);
    let has_key = has(pairs, "access_key_id");
    for (key, variable) in OF_ENVIRONMENT {
        let is_of_key = matches!(key, "secret_access_key" | "session_token");
        if has(pairs, key) || (is_of_key && has_key) {
            continue;
        }
        if let Some(value) = environment::variable(variable).filter(|value| !value.is_empty()) {
            pairs.push(pair(key, &value));
        }
    }
}

/// For messages.
fn without_secrets(text: &str) -> String {
    let shown = text.split(',').map(|field| match field.split_once('=') {
        Some((key, _)) if key.contains("secret") || key.contains("token") => format!("{key}=…"),
        _ => field.to_owned(),
    });
    shown.collect::<Vec<_>>().join(",")
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
