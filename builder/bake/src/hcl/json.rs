//! HCL's JSON syntax: objects are bodies, strings are templates. The reader keeps places, which serde_json does not. Unaware of files.

use super::expression::{Expression, Kind};
use super::{Attribute, Block, Body, native};
use crate::error::{Error, Place, Result};
use crate::value::{Number, Value};

/// Arrays and objects in each other.
const DEEPEST: usize = 60;

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub struct Json {
    pub kind: JsonKind,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum JsonKind {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// In the order of the text.
    Object(Vec<(String, Place, Json)>),
}

/// Reads a file; objects under these names are blocks with a label.
///
/// # Errors
/// It is no JSON, or no object.
pub fn body(file: usize, text: &str, blocks: &[&str]) -> Result<Body> {
    let read = read(file, text)?;
    let JsonKind::Object(fields) = read.kind else {
        return Err(Error::at(read.place, "this is no object"));
    };
    let mut body = Body::default();
    for (name, place, value) in fields.into_iter().filter(|(name, ..)| name != "//") {
        if blocks.contains(&name.as_str()) {
            labelled(&name, value, &mut body.blocks)?;
        } else {
            let value = expression(&value)?;
            body.attributes.push(Attribute { name, place, value });
        }
    }
    Ok(body)
}

/// The blocks of a kind: their labels are the names in an object, or in each of several.
fn labelled(kind: &str, value: Json, blocks: &mut Vec<Block>) -> Result<()> {
    for object in each(value) {
        let JsonKind::Object(labels) = object.kind else {
            let what = format!("{kind} is an object with the names of what is defined");
            return Err(Error::at(object.place, what));
        };
        for (label, place, value) in labels {
            for object in each(value) {
                blocks.push(Block {
                    kind: kind.to_owned(),
                    labels: vec![label.clone()],
                    place,
                    body: inner(object)?,
                });
            }
        }
    }
    Ok(())
}

/// The items of an array, or the value itself.
fn each(value: Json) -> Vec<Json> {
    match value.kind {
        JsonKind::Array(items) => items,
        _ => vec![value],
    }
}

/// What a block says; in it only validations are blocks.
fn inner(object: Json) -> Result<Body> {
    let JsonKind::Object(fields) = object.kind else {
        return Err(Error::at(object.place, "a definition is an object"));
    };
    let mut body = Body::default();
    for (name, place, value) in fields.into_iter().filter(|(name, ..)| name != "//") {
        if name == "validation" {
            for object in each(value) {
                body.blocks.push(Block {
                    kind: name.clone(),
                    labels: Vec::new(),
                    place,
                    body: inner(object)?,
                });
            }
        } else {
            let value = expression(&value)?;
            body.attributes.push(Attribute { name, place, value });
        }
    }
    Ok(body)
}

/// A value as an expression.
fn expression(json: &Json) -> Result<Expression> {
    let kind = match &json.kind {
        JsonKind::Null => Kind::Literal(Value::Null),
        JsonKind::Bool(value) => Kind::Literal(Value::Bool(*value)),
        JsonKind::Number(text) => {
            let number = Number::parse(text).unwrap_or(Number::from(0));
            Kind::Literal(Value::Number(number))
        }
        JsonKind::String(text) => string(text, json.place)?,
        JsonKind::Array(items) => {
            let items = items.iter().map(expression);
            Kind::List(items.collect::<Result<_>>()?)
        }
        JsonKind::Object(fields) => {
            let field = |(name, place, value): &(String, Place, Json)| {
                let name = Expression::new(string(name, *place)?, *place);
                Ok((name, expression(value)?))
            };
            Kind::Object(fields.iter().map(field).collect::<Result<_>>()?)
        }
    };
    Ok(Expression::new(kind, json.place))
}

fn string(text: &str, place: Place) -> Result<Kind> {
    if text.contains("${") || text.contains("%{") {
        return native::template(text, place);
    }
    Ok(Kind::Literal(Value::from(text)))
}

/// Reads JSON.
///
/// # Errors
/// The text is not JSON.
pub fn read(file: usize, text: &str) -> Result<Json> {
    let mut reader = Reader { file, text, at: 0 };
    let read = reader.value(0)?;
    reader.blanks();
    match reader.text.len() - reader.at {
        0 => Ok(read),
        _ => Err(reader.wrong("nothing")),
    }
}

struct Reader<'a> {
    file: usize,
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn place(&self, start: usize) -> Place {
        let (file, end) = (self.file, self.at);
        Place { file, start, end }
    }

    fn wrong(&self, expected: &str) -> Error {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        let end = self.at + next;
        let place = Place {
            end,
            ..self.place(self.at)
        };
        Error::at(place, format!("in JSON, {expected} is expected here"))
    }

    /// Takes a word or a character, if it comes next.
    fn takes(&mut self, word: &str) -> bool {
        self.blanks();
        let is_next = self.rest().starts_with(word);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        self.blanks();
        let start = self.at;
        if depth > DEEPEST {
            return Err(Error::at(self.place(start), "this is nested too deeply"));
        }
        let kind = match self.rest().bytes().next() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => JsonKind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ if self.takes("true") => JsonKind::Bool(true),
            _ if self.takes("false") => JsonKind::Bool(false),
            _ if self.takes("null") => JsonKind::Null,
            _ => return Err(self.wrong("a value")),
        };
        let place = self.place(start);
        Ok(Json { kind, place })
    }

    fn object(&mut self, depth: usize) -> Result<JsonKind> {
        let mut fields = Vec::new();
        self.takes("{");
        while !self.takes("}") {
            if !fields.is_empty() && !self.takes(",") {
                return Err(self.wrong("a comma or a closing brace"));
            }
            self.blanks();
            let start = self.at;
            let name = self.string()?;
            let place = self.place(start);
            if !self.takes(":") {
                return Err(self.wrong("a colon"));
            }
            fields.push((name, place, self.value(depth + 1)?));
        }
        Ok(JsonKind::Object(fields))
    }

    fn array(&mut self, depth: usize) -> Result<JsonKind> {
        let mut items = Vec::new();
        self.takes("[");
        while !self.takes("]") {
            if !items.is_empty() && !self.takes(",") {
                return Err(self.wrong("a comma or a closing bracket"));
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(JsonKind::Array(items))
    }

    /// A string, which serde_json unescapes.
    fn string(&mut self) -> Result<String> {
        let rest = self.rest().as_bytes();
        if rest.first() != Some(&b'"') {
            return Err(self.wrong("a string"));
        }
        let mut end = 1;
        while let Some(byte) = rest.get(end).filter(|byte| **byte != b'"') {
            end += 1 + usize::from(*byte == b'\\');
        }
        let start = self.at;
        let written = self.rest().get(..=end);
        self.at += written.map_or(self.rest().len(), str::len);
        let read = written.map(serde_json::from_str::<String>);
        match read {
            Some(Ok(text)) => Ok(text),
            _ => Err(Error::at(
                self.place(start),
                "in JSON, this is no string, or it has no end",
            )),
        }
    }

    fn number(&mut self) -> Result<JsonKind> {
        let is_part = |ch: char| ch.is_ascii_alphanumeric() || "+-.".contains(ch);
        let rest = self.rest();
        let end = rest.find(|ch| !is_part(ch)).unwrap_or(rest.len());
        let written = &rest[..end];
        if serde_json::from_str::<serde_json::Number>(written).is_err() {
            return Err(self.wrong("a number"));
        }
        self.at += end;
        Ok(JsonKind::Number(written.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_told_at_its_place() {
        let at = |text: &str| {
            let place = read(0, text).unwrap_err().finding().place.unwrap();
            (place.start, place.end)
        };
        assert_eq!(at("{\"a\": }"), (6, 7));
        assert_eq!(at("{\"a\" 1}"), (5, 6));
        assert_eq!(at("[1 2]"), (3, 4));
        assert_eq!(at("\"abc"), (0, 4));
        assert_eq!(at("\"é\\q\""), (0, 6));
        assert_eq!(at("{} x"), (3, 4));
        assert_eq!(at(""), (0, 0));
        assert_eq!(at("01"), (0, 1));
        assert!(read(0, &"[".repeat(1000)).is_err());
        assert!(read(0, " { \"a\" : [ 1 , -2e3 , null ] } ").is_ok());
    }
}
