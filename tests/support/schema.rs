//! JSON Schema, as far as docs/events.schema.json uses it: a keyword that is not known here fails. Unaware of what is described.

use serde_json::Value;

/// A schema and its definitions.
#[derive(Debug)]
pub struct Schema(Value);

/// What says nothing about what is allowed.
const ANNOTATIONS: [&str; 5] = ["$schema", "$defs", "title", "description", "format"];

impl Schema {
    /// Reads a schema.
    pub fn new(text: &str) -> Self {
        Schema(serde_json::from_str(text).unwrap())
    }

    /// The definition with a name.
    pub fn definition(&self, name: &str) -> &Value {
        let found = &self.0["$defs"][name];
        assert!(found.is_object(), "there is no {name}");
        found
    }

    /// The names of the alternatives.
    pub fn alternatives(&self) -> Vec<&str> {
        let all = self.0["oneOf"].as_array().unwrap().iter();
        all.map(|one| name(&one["$ref"])).collect()
    }

    /// What is wrong with a value.
    ///
    /// # Errors
    /// With the first mistake.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.matches(&self.0, value)
    }

    fn matches(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let keywords = schema.as_object().unwrap().iter();
        let mut checked = keywords.filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()));
        checked.try_for_each(|(keyword, rule)| {
            let is_right = match keyword.as_str() {
                "$ref" => return self.matches(self.definition(name(rule)), value),
                "oneOf" => return self.one_of(rule, value),
                "properties" => return self.properties(rule, schema, value),
                "items" => {
                    let mut items = value.as_array().into_iter().flatten();
                    return items.try_for_each(|item| self.matches(rule, item));
                }
                "type" => is_of_type(rule, value),
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "minimum" => value
                    .as_i64()
                    .is_none_or(|number| number >= rule.as_i64().unwrap()),
                "required" => {
                    let mut names = rule.as_array().unwrap().iter();
                    names.all(|name| value.get(name.as_str().unwrap()).is_some())
                }
                "additionalProperties" => true,
                other => panic!("the keyword {other} is not known here"),
            };
            match is_right {
                true => Ok(()),
                false => Err(format!("{value} is not as {keyword} {rule} demands")),
            }
        })
    }

    fn one_of(&self, rule: &Value, value: &Value) -> Result<(), String> {
        let all = rule.as_array().unwrap().iter();
        let results: Vec<_> = all.map(|one| self.matches(one, value)).collect();
        match results.iter().filter(|result| result.is_ok()).count() {
            1 => Ok(()),
            count => Err(format!("{count} alternatives match {value}: {results:?}")),
        }
    }

    fn properties(&self, rule: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let mut fields = value.as_object().into_iter().flatten();
        fields.try_for_each(|(name, field)| match rule.get(name) {
            Some(rule) => self
                .matches(rule, field)
                .map_err(|why| format!("{name}: {why}")),
            None if schema["additionalProperties"] == false => Err(format!("{name} is unknown")),
            None => Ok(()),
        })
    }
}

/// The last part of `#/$defs/NAME`.
fn name(reference: &Value) -> &str {
    reference.as_str().unwrap().trim_start_matches("#/$defs/")
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    match rule.as_array() {
        Some(names) => names.iter().any(is),
        None => is(rule),
    }
}
