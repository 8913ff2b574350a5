//! Which earlier results count, and what shares them: `--no-cache`, `--cache-ttl` (as in buildah and kaniko), `--cache-from` and
//! `--cache-to` for caches that builds on several machines share, `--cache-repo` as kaniko calls both. What the backends know
//! stands in the engine (`exchange/`).

use super::Flag;
use crate::environment;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::units;
use jiff::SignedDuration;
use kiln_engine::{CacheOptions, ExportError, Request};
use kiln_engine::{check_cache_from, check_cache_to, foreign};
use kiln_parser::csv;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Run every step, whatever is in the cache
    #[arg(long, add = Takes::Switch)]
    no_cache: bool,
    /// Run every step of these stages, whatever is in the cache
    #[arg(long, value_name = "STAGE", value_delimiter = ',', add = Takes::List)]
    no_cache_filter: Vec<String>,
    /// Ignore cached results that are older than this, such as 24h; 0 is the same as --no-cache
    #[arg(long, value_name = "DURATION", add = Takes::Single)]
    cache_ttl: Option<String>,
    /// Cache to import results from: NAME in a registry, or type=registry|local|s3,ref=NAME|src=FOLDER|bucket=NAME,…
    /// (may be repeated)
    #[arg(long, value_name = "CACHE", add = Takes::List)]
    cache_from: Vec<String>,
    /// Cache to export results to, with mode=max those of all steps, with mounts=true or mounts=ID;ID cache mounts too: NAME in a
    /// registry, or type=registry|local|s3,ref=NAME|dest=FOLDER|bucket=NAME,mode=min|max,… (may be repeated)
    #[arg(long, value_name = "CACHE", add = Takes::List)]
    cache_to: Vec<String>,
    /// Repository to import results from and to export all results to, as in kaniko (may be repeated)
    #[arg(long, value_name = "NAME", add = Takes::List)]
    cache_repo: Vec<String>,
    /// Do not export to any --cache-repo
    #[arg(long, add = Takes::Switch)]
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

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.reuse.no_cache = self.no_cache;
        request.reuse.no_cache_filter = self.no_cache_filter.iter().cloned().collect();
        self.ttl(request)?;
        self.shared(request)
    }
}

impl Flags {
    fn ttl(&self, request: &mut Request) -> Result<(), Failure> {
        let Some(text) = &self.cache_ttl else {
            return Ok(());
        };
        match seconds(text) {
            None => {
                let wrong =
                    format!("--cache-ttl {text}: expected a duration such as 336h, 30m or 90s");
                return Err(Failure::usage(wrong));
            }
            Some(0) => request.reuse.no_cache = true,
            some => request.reuse.cache_ttl = some,
        }
        Ok(())
    }

    fn shared(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.cache_from {
            each("--cache-from", text, request, import)?;
        }
        for text in &self.cache_to {
            each("--cache-to", text, request, export)?;
        }
        for name in &self.cache_repo {
            each("--cache-repo", name, request, |mut pairs, request| {
                import(pairs.clone(), request)?;
                pairs.push(pair("mode", "max"));
                if self.no_push_cache {
                    Ok(())
                } else {
                    export(pairs, request)
                }
            })?;
        }
        Ok(())
    }
}

fn import(pairs: Pairs, request: &mut Request) -> Result<(), ExportError> {
    let options = CacheOptions::new(pairs);
    check_cache_from(&options)?;
    request.reuse.cache_from.push(options);
    Ok(())
}

fn export(pairs: Pairs, request: &mut Request) -> Result<(), ExportError> {
    let options = CacheOptions::new(pairs);
    check_cache_to(&options)?;
    request.goal.cache_to.push(options);
    Ok(())
}

/// Whole seconds; a part of one counts as one.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "0" {
        return Some(0);
    }
    let duration: SignedDuration = text.parse().ok()?;
    let part = i64::from(duration.subsec_nanos() > 0);
    let seconds = duration.as_secs().checked_add(part)?;
    (!duration.is_negative()).then_some(seconds)
}

/// Takes each cache of a flag's value; a type that BuildKit has and kiln does not is a warning.
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
        Some((key, value)) => with_bytes(pair(&key.trim().to_lowercase(), value)),
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

/// Sizes are numbers from here on.
fn with_bytes((key, value): (String, String)) -> Result<(String, String), String> {
    if !key.ends_with("max-size") {
        return Ok((key, value));
    }
    let bytes = units::parse_bytes(&value).map_err(|wrong| format!("{key}: {wrong}"))?;
    Ok((key, bytes.to_string()))
}

/// Where a cache is, as the argument of a command has it; with more keys that the command adds.
///
/// # Errors
/// It is not understood, there are several, or kiln has no such kind of cache.
pub fn place(text: &str, more: &[(&str, &str)]) -> Result<CacheOptions, Failure> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", without_secrets(text)));
    let mut all = caches(text).map_err(wrong)?;
    let Some(mut pairs) = all.pop().filter(|_| all.is_empty()) else {
        return Err(wrong("name one cache".to_owned()));
    };
    let kind = pairs.iter().find(|(key, _)| key == "type");
    if let Some(instead) = kind.and_then(|(_, kind)| foreign(kind)) {
        return Err(wrong(instead.to_owned()));
    }
    pairs.extend(more.iter().map(|(key, value)| pair(key, value)));
    Ok(CacheOptions::new(pairs))
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

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_gos() {
        let read = ["0", "0s", "336h", "1h30m", "500ms", "-1h", "5", "soon", ""].map(seconds);
        let expected = [
            Some(0),
            Some(0),
            Some(1_209_600),
            Some(5400),
            Some(1),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(read, expected);
    }
}
