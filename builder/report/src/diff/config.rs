//! The settings of two images compared: each variable, label, port and volume is a setting of its own. Unaware of history and layers,
//! and of when the images were made.

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::ImageConfig;
use serde_json::Value;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As the config calls it: `Env.PATH`, `Labels.version`, `User`.
    pub name: String,
    /// What the first image has.
    pub old: Option<String>,
    /// What the second image has.
    pub new: Option<String>,
}

/// What of a config says how it came about, not what it is.
const NOT_SETTINGS: [&str; 4] = ["created", "history", "rootfs", "container_config"];

/// All settings that differ, by name.
#[must_use]
pub fn settings(old: &ImageConfig, new: &ImageConfig) -> Vec<Setting> {
    let (old, new) = (flat(old), flat(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let settings = names.into_iter().map(|name| Setting {
        name: name.clone(),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    });
    settings
        .filter(|setting| setting.old != setting.new)
        .collect()
}

/// Plain data: serialising it cannot fail.
fn flat(config: &ImageConfig) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let Ok(Value::Object(all)) = serde_json::to_value(config) else {
        return flat;
    };
    for (name, value) in all {
        match value {
            Value::Object(runtime) if name == "config" => {
                for (name, value) in runtime {
                    add(&mut flat, &name, value);
                }
            }
            _ if NOT_SETTINGS.contains(&name.as_str()) => {}
            value => add(&mut flat, &name, value),
        }
    }
    flat
}

fn add(flat: &mut BTreeMap<String, String>, name: &str, value: Value) {
    match value {
        Value::Array(variables) if name == "Env" => {
            for variable in variables.iter().filter_map(Value::as_str) {
                let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
                flat.insert(format!("{name}.{key}"), value.to_owned());
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                flat.insert(format!("{name}.{key}"), text(value));
            }
        }
        value => {
            flat.insert(name.to_owned(), text(value));
        }
    }
}

/// Text as it is, else JSON; the members of sets have no value.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Object(fields) if fields.is_empty() => String::new(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_labels_are_settings_of_their_own() {
        let config = |text: &str| ImageConfig::parse(text.as_bytes()).unwrap();
        let old = config(
            r#"{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":[]},
            "config":{"Env":["A=1","B=2"],"Labels":{"v":"1"},"Cmd":["sh"],"ExposedPorts":{"80/tcp":{}}}}"#,
        );
        let new = config(
            r#"{"architecture":"arm64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
            "config":{"Env":["B=2","A=3"],"Labels":{"v":"1","w":""},"Cmd":["sh"]}}"#,
        );
        let shown = settings(&old, &new);
        let shown: Vec<_> = shown
            .iter()
            .map(|it| (it.name.as_str(), it.old.as_deref(), it.new.as_deref()))
            .collect();
        let wanted = [
            ("Env.A", Some("1"), Some("3")),
            ("ExposedPorts.80/tcp", Some(""), None),
            ("Labels.w", None, Some("")),
            ("architecture", Some("amd64"), Some("arm64")),
        ];
        assert_eq!(shown, wanted);
        assert_eq!(settings(&old, &old), []);
    }
}
