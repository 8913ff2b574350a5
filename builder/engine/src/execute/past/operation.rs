//! Operations as documents, and what differs between two of them in the words of the Dockerfile. Unaware of builds.

use super::align::CUT;
use super::secret::{Secrets, fingerprint, is_hidden};
use super::words::{cut, words};
use crate::execute::key::INSTRUCTION;
use crate::plan::Plan;
use kiln_cache::{Reason, Times};
use kiln_parser::graph::{Node, Op};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields that are the text of the instruction.
const TEXT: [&str; 8] = [
    "op",
    "is_add",
    "argv",
    "command_display",
    "heredocs",
    "sources",
    "destination",
    "path",
];
/// Fields of mounts and the like, whose values are told only as text.
const LONG: [&str; 3] = ["mounts", "devices", "exclude"];
/// What the other fields are called.
const FLAGS: [(&str, &str); 14] = [
    ("cwd", "WORKDIR"),
    ("user", "USER"),
    ("mounts", "--mount"),
    ("devices", "--device"),
    ("exclude", "--exclude"),
    ("chown", "--chown"),
    ("chmod", "--chmod"),
    ("link", "--link"),
    ("parents", "--parents"),
    ("unpack", "--unpack"),
    ("network", "--network"),
    ("security", "--security"),
    ("platform", "--platform"),
    ("times", "--timestamp"),
];
/// Characters of a value that are told.
const VALUE: usize = 80;

/// All that the input `instruction` covers, as an object without secret values.
pub fn document(plan: &Plan, node: &Node, secrets: &Secrets) -> Value {
    // plain data of our own: serialising it cannot fail
    let mut document = serde_json::to_value(node.op.definition()).unwrap_or_default();
    if let Some(Value::Array(variables)) = document.get_mut("env") {
        let arguments = arguments(plan, node);
        for variable in variables.iter_mut() {
            let text = variable.as_str().unwrap_or_default();
            *variable = Value::String(told_variable(text, &arguments));
        }
    }
    if let Value::Object(fields) = &mut document {
        let all = circumstances(plan, node).into_iter();
        fields.extend(all.map(|(name, value)| (name.to_owned(), value.into())));
    }
    secrets.hide_in(&mut document);
    document
}

/// What makes kiln carry out the same operation in another way.
fn circumstances(plan: &Plan, node: &Node) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if let Times::Clamped(epoch) | Times::Set(epoch) = plan.times {
        all.push(("SOURCE_DATE_EPOCH", epoch.to_string()));
    }
    let stage = node.stage.and_then(|stage| plan.graph.stages.get(stage));
    if let (Op::Run(_), Some(stage)) = (&node.op, stage) {
        all.push(("platform", stage.platform.to_string()));
        if let Times::Set(_) = plan.times {
            all.push(("times", "set".to_owned()));
        }
    }
    all
}

/// The names that `ARG`s of a node's stage declare and no `ENV` takes over.
fn arguments<'a>(plan: &'a Plan, node: &Node) -> BTreeSet<&'a str> {
    let Some(stage) = node.stage.and_then(|stage| plan.graph.stages.get(stage)) else {
        return BTreeSet::new();
    };
    let variables = stage.config.env.iter();
    let variables: BTreeSet<&str> = variables
        .filter_map(|variable| Some(variable.split_once('=')?.0))
        .collect();
    let declared = stage
        .arguments
        .iter()
        .map(|argument| argument.name.as_str());
    declared.filter(|name| !variables.contains(name)).collect()
}

/// `ARG NAME=value`, or `ENV NAME#…` for a value that is not to be told.
fn told_variable(variable: &str, arguments: &BTreeSet<&str>) -> String {
    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
    let kind = if arguments.contains(name) {
        "ARG"
    } else {
        "ENV"
    };
    match is_hidden(name, value) {
        true => format!("{kind} {name}#{}", fingerprint(name, value)),
        false => format!("{kind} {name}={value}"),
    }
}

/// What differs between two documents whose digests differ; with the instructions as they are written.
pub fn differences(old: &Value, new: &Value, titles: (&str, &str)) -> Vec<Reason> {
    let (Value::Object(before), Value::Object(now)) = (old, new) else {
        return vec![text(&titles).unwrap_or_else(unknown)];
    };
    let fields = before.keys().chain(now.keys()).map(String::as_str);
    let fields = fields.collect::<BTreeSet<&str>>().into_iter();
    let values = |field: &str| (before.get(field), now.get(field));
    let changed = fields.filter(|field| before.get(*field) != now.get(*field));
    let told = text(&titles);
    // a long value is told as text where the text shows it
    let is_text = |field: &&str| TEXT.contains(field) || LONG.contains(field) && told.is_some();
    let (texts, others): (Vec<&str>, Vec<&str>) = changed.partition(is_text);
    let mut reasons = Vec::new();
    if !texts.is_empty() {
        let of_values = || of_values(texts.iter().map(|field| values(field)));
        reasons.push(told.unwrap_or_else(of_values));
    }
    reasons.extend(others.into_iter().flat_map(|field| match field {
        "env" => variables(values(field)),
        _ => vec![flag(field, values(field))],
    }));
    reasons.extend(reasons.is_empty().then(unknown));
    reasons
}

fn unknown() -> Reason {
    Reason::Input {
        name: INSTRUCTION.to_owned(),
    }
}

/// The difference between the instructions, if it can be seen.
pub fn text((old, new): &(&str, &str)) -> Option<Reason> {
    let is_whole = !old.ends_with(CUT) && old != new;
    is_whole.then(|| Reason::Text {
        words: words(old, new),
    })
}

/// What the same text means: other values of variables, or what stands below it.
fn of_values<'a>(values: impl Iterator<Item = (Option<&'a Value>, Option<&'a Value>)>) -> Reason {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (before, now) in values {
        before.into_iter().for_each(|value| leaves(value, &mut old));
        now.into_iter().for_each(|value| leaves(value, &mut new));
    }
    Reason::Text {
        words: words(&old.join(" "), &new.join(" ")),
    }
}

/// The texts of a document, in order, without the names of kinds.
fn leaves<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text),
        Value::Array(all) => all.iter().for_each(|value| leaves(value, texts)),
        Value::Object(all) => {
            let all = all.iter().filter(|(name, _)| *name != "source");
            all.for_each(|(_, value)| leaves(value, texts));
        }
        _ => {}
    }
}

fn flag(field: &str, (old, new): (Option<&Value>, Option<&Value>)) -> Reason {
    let name = FLAGS.iter().find(|(name, _)| *name == field);
    let value = |value: Option<&Value>| match value? {
        Value::String(text) => Some(cut(text, VALUE)),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(mode) => Some(format!("{:o}", mode.get("octal")?.as_u64()?)),
        _ => None,
    };
    Reason::Flag {
        name: name.map_or(field, |(_, name)| name).to_owned(),
        old: value(old),
        new: value(new),
    }
}

fn variables((old, new): (Option<&Value>, Option<&Value>)) -> Vec<Reason> {
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let rest = |variable: Option<&Variable<'_>>| variable.map(|variable| variable.rest.to_owned());
    let is_changed = |name: &&str| rest(old.get(name)) != rest(new.get(name));
    let value = |variable: Option<&Variable<'_>>| {
        let value = variable?.rest.strip_prefix('=')?;
        Some(cut(value, VALUE))
    };
    let reason = |name: &str| {
        let (before, now) = (old.get(name), new.get(name));
        Reason::Variable {
            name: name.to_owned(),
            is_argument: now.or(before).is_some_and(|variable| variable.is_argument),
            old: value(before),
            new: value(now),
        }
    };
    names.into_iter().filter(is_changed).map(reason).collect()
}

/// A variable of a document.
struct Variable<'a> {
    is_argument: bool,
    /// `=` and its value, or `#` and what stands for a value that is not to be told.
    rest: &'a str,
}

fn by_name(variables: Option<&Value>) -> BTreeMap<&str, Variable<'_>> {
    let variables = variables.and_then(Value::as_array).into_iter().flatten();
    variables
        .filter_map(Value::as_str)
        .filter_map(variable)
        .collect()
}

fn variable(text: &str) -> Option<(&str, Variable<'_>)> {
    let (kind, text) = text.split_once(' ')?;
    let (name, rest) = text.split_at(text.find(['=', '#'])?);
    let is_argument = kind == "ARG";
    Some((name, Variable { is_argument, rest }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(old: &Value, new: &Value, titles: (&str, &str)) -> String {
        let reasons = differences(old, new, titles);
        let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        texts.join("; ")
    }

    #[test]
    fn what_differs_is_told_in_the_words_of_the_dockerfile() {
        let old = json!({"argv": ["sh", "-c", "make"], "user": "", "env": ["ARG A=1", "ENV B=2", "ENV T#12"], "mounts": []});
        let with = |changes: Value| {
            let mut new = old.clone();
            let all = changes.as_object().unwrap().clone();
            new.as_object_mut().unwrap().extend(all);
            new
        };
        let same = ("RUN make", "RUN make");
        let cases = [
            (json!({"user": "app"}), same, "USER: \"\" → app"),
            (
                json!({"env": ["ARG A=3", "ENV T#13"]}),
                same,
                "ARG A: 1 → 3; ENV B: 2 is gone; ENV T changed",
            ),
            (
                json!({"argv": ["sh", "-xc", "make"]}),
                same,
                "text: sh [--c-]{+-xc+} make",
            ),
            (
                json!({"argv": ["sh", "-c", "make all"]}),
                ("RUN make", "RUN make all"),
                "text: RUN make {+all+}",
            ),
            (json!({"mounts": [1]}), same, "--mount changed"),
            (
                json!({"mounts": [1]}),
                ("RUN make", "RUN --mount=x make"),
                "text: RUN {+--mount=x+} make",
            ),
            (
                json!({"chmod": {"octal": 493}, "network": "none"}),
                same,
                "--chmod: 755 is new; --network: none is new",
            ),
            (json!({}), same, "instruction changed"),
        ];
        for (changes, titles, expected) in cases {
            assert_eq!(told(&old, &with(changes), titles), expected);
        }
        assert_eq!(told(&Value::Null, &old, same), "instruction changed");
        assert_eq!(
            told(&Value::Null, &old, ("RUN a", "RUN b")),
            "text: RUN [-a-]{+b+}"
        );
    }
}
