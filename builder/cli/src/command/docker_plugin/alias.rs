//! `aliases.builder` in docker's config.json: docker before 23 hands `docker build` to a plugin by nothing else. What the file was before is kept
//! beside the plugins, and comes back byte for byte. Unaware of the other plugin, `docker-buildx`.

use super::failed;
use crate::failure::{Failure, Kind};
use crate::network::docker_config;
use crate::plugin::ALIAS;
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What config.json was; empty where there was none.
const KEPT: &str = "config.json.before-kiln";
/// What the alias says: the plugin without `docker-`.
const BUILDER: &str = "kiln";

/// Sets the alias, and puts the plugin that it means into a folder.
///
/// # Errors
/// config.json cannot be read or written, is no object, or names another builder.
pub fn install(folder: &Path, kiln: &Path) -> Result<(), Failure> {
    let config = config()?;
    let before = read(&config)?;
    let wanted = with_alias(&before, &config)?;
    if let Some(wanted) = wanted {
        let kept = folder.join(KEPT);
        fs::write(&kept, &before).map_err(failed("write", &kept))?;
        replace(&config, &wanted)?;
    }
    let link = folder.join(ALIAS);
    match fs::read_link(&link) {
        Ok(target) if target == kiln => Ok(()),
        Ok(_) => fs::remove_file(&link)
            .and_then(|()| symlink(kiln, &link))
            .map_err(failed("make", &link)),
        Err(_) => symlink(kiln, &link).map_err(failed("make", &link)),
    }
}

/// Takes the alias back: the file is what it was, unless something else has changed in it, which stays.
///
/// # Errors
/// A file cannot be read or written.
pub fn uninstall(folder: &Path) -> Result<(), Failure> {
    let (kept, link) = (folder.join(KEPT), folder.join(ALIAS));
    if link.is_symlink() {
        fs::remove_file(&link).map_err(failed("remove", &link))?;
    }
    if !kept.exists() {
        return Ok(());
    }
    let (config, before) = (config()?, read(&kept)?);
    let now = read(&config)?;
    let is_ours = with_alias(&before, &config).is_ok_and(|ours| ours.as_ref() == Some(&now));
    match (is_ours, before.is_empty()) {
        (true, true) => fs::remove_file(&config).map_err(failed("remove", &config))?,
        (true, false) => replace(&config, &before)?,
        (false, _) => without_alias(&now).map_or(Ok(()), |text| replace(&config, &text))?,
    }
    fs::remove_file(&kept).map_err(failed("remove", &kept))
}

fn config() -> Result<PathBuf, Failure> {
    let file = docker_config().ok_or_else(|| {
        let failure = Failure::new(Kind::Environment, "there is no home folder");
        failure.hint("set HOME or DOCKER_CONFIG")
    })?;
    // what a link leads to is changed, not the link
    Ok(fs::canonicalize(&file).unwrap_or(file))
}

/// Nothing where there is no file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(failed("read", file)),
    }
}

/// The file with the alias; none if it has it.
fn with_alias(before: &[u8], config: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let left_alone = |what: String| {
        let message = format!("{} {what}: it is left alone", config.display());
        Failure::new(Kind::Environment, message)
            .hint("set \"aliases\": {\"builder\": \"kiln\"} yourself")
    };
    let parsed = match before.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(before).unwrap_or_default(),
    };
    let Value::Object(mut fields) = parsed else {
        return Err(left_alone("is no JSON object".to_owned()));
    };
    let aliases = fields.entry("aliases").or_insert_with(|| json!({}));
    let Value::Object(aliases) = aliases else {
        return Err(left_alone("has aliases that are no object".to_owned()));
    };
    match aliases.insert("builder".to_owned(), json!(BUILDER)) {
        None => Ok(Some(text(&Value::Object(fields)))),
        Some(known) if known == BUILDER => Ok(None),
        Some(other) => Err(left_alone(format!("says that the builder is {other}"))),
    }
}

/// The file without the alias, if it has it.
fn without_alias(now: &[u8]) -> Option<Vec<u8>> {
    let mut parsed: Value = serde_json::from_slice(now).ok()?;
    let fields = parsed.as_object_mut()?;
    let aliases = fields.get_mut("aliases")?.as_object_mut()?;
    aliases
        .remove("builder")
        .filter(|builder| builder == BUILDER)?;
    if aliases.is_empty() {
        fields.remove("aliases");
    }
    Some(text(&parsed))
}

fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Gives a file another content at once; who may read it stays, since docker keeps passwords in it.
fn replace(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let new = file.with_file_name("config.json.kiln-new");
    let written = fs::write(&new, content).and_then(|()| {
        match fs::metadata(file) {
            Ok(before) => fs::set_permissions(&new, before.permissions())?,
            Err(_) => {
                fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))?
            }
        }
        fs::rename(&new, file)
    });
    written.map_err(failed("write", file))
}
