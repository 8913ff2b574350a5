//! Functions that write values in other forms, and read them.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::Value;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::BTreeMap;

pub fn base64encode(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(BASE64_STANDARD.encode(arguments.text(0)?)))
}

pub fn base64decode(arguments: &Arguments<'_>) -> Answer {
    let bytes = BASE64_STANDARD.decode(arguments.text(0)?);
    let bytes = bytes.map_err(|_| "this is no base64".to_owned())?;
    let text = String::from_utf8(bytes);
    text.map(Value::String)
        .map_err(|_| "the decoded bytes are no UTF-8".to_owned())
}

pub fn jsonencode(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(arguments.any(0).json()))
}

pub fn jsondecode(arguments: &Arguments<'_>) -> Answer {
    Value::of_json(&arguments.text(0)?)
}

pub fn urlencode(arguments: &Arguments<'_>) -> Answer {
    let mut text = String::new();
    for byte in arguments.text(0)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            b' ' => text.push('+'),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::String(text))
}

/// Each line as a map, by the names in the first one.
pub fn csvdecode(arguments: &Arguments<'_>) -> Answer {
    let mut records = records(&arguments.text(0)?)?.into_iter();
    let names = records
        .next()
        .ok_or_else(|| "there is no line with names".to_owned())?;
    let record = |fields: Vec<String>| {
        if fields.len() != names.len() {
            let (names, fields) = (names.len(), fields.len());
            return Err(format!(
                "a line has {fields} fields, and the first one {names}"
            ));
        }
        let fields = fields.into_iter().map(Value::String);
        let fields: BTreeMap<String, Value> = names.iter().cloned().zip(fields).collect();
        Ok(Value::Map(fields))
    };
    records
        .map(record)
        .collect::<Result<_, _>>()
        .map(Value::List)
}

/// The records of a document; those without anything do not count.
fn records(text: &str) -> Worded<Vec<Vec<String>>> {
    let text = text.replace("\r\n", "\n");
    let mut chars = text.chars().peekable();
    let mut reader = Records::default();
    while let Some(ch) = chars.next() {
        match ch {
            '"' if reader.is_quoted && chars.peek() == Some(&'"') => {
                reader.field.extend(chars.next());
            }
            ch => reader.take(ch)?,
        }
    }
    match reader.is_quoted {
        true => Err("a quote has no end".to_owned()),
        false => Ok(reader.end()),
    }
}

#[derive(Default)]
struct Records {
    records: Vec<Vec<String>>,
    record: Vec<String>,
    field: String,
    is_quoted: bool,
    was_quoted: bool,
}

impl Records {
    fn take(&mut self, ch: char) -> Worded<()> {
        match ch {
            '"' if self.is_quoted || self.field.is_empty() && !self.was_quoted => {
                self.is_quoted = !self.is_quoted;
                self.was_quoted = true;
            }
            ch if self.is_quoted => self.field.push(ch),
            ',' => self.end_field(),
            '\n' => self.end_record(),
            '"' => return Err("a quote stands within a field".to_owned()),
            ch => self.field.push(ch),
        }
        Ok(())
    }

    fn end_field(&mut self) {
        self.record.push(std::mem::take(&mut self.field));
        self.was_quoted = false;
    }

    fn end_record(&mut self) {
        if !self.record.is_empty() || !self.field.is_empty() || self.was_quoted {
            self.end_field();
            self.records.push(std::mem::take(&mut self.record));
        }
    }

    fn end(mut self) -> Vec<Vec<String>> {
        self.end_record();
        self.records
    }
}
