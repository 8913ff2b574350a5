//! YAML as compose reads it, from a parser's events: anchors, merge keys, several documents, and scalars by compose's own rules. What aliases make of
//! a file is bounded. Unaware of services.

use crate::error::{Error, Place, Result};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Nodes that a file has at most, with what aliases stand for.
const MOST: usize = 100_000;
/// Lists and maps in each other.
const DEEPEST: usize = 64;

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    pub mark: Mark,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// Text, and whether it stands there without quotes.
    Scalar(String, bool),
    List(Vec<Node>),
    /// In the order of the text.
    Map(Vec<(String, Node)>),
}

/// What a tag says of merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    None,
    /// `!reset`
    Reset,
    /// `!override`
    Override,
}

impl Node {
    pub fn new(kind: Kind, place: Place) -> Self {
        Node {
            kind,
            mark: Mark::None,
            place,
        }
    }

    pub fn text(text: &str, place: Place) -> Self {
        Node::new(Kind::Scalar(text.to_owned(), false), place)
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, true) if ["", "~", "null", "Null", "NULL"].contains(&text.as_str()))
    }

    /// Whether it stands for something that is no text: nothing, a truth, a number.
    fn is_other(&self) -> bool {
        let is_other = |text: &str| is_truth(text) || number(text).is_some();
        self.is_null() || matches!(&self.kind, Kind::Scalar(text, true) if is_other(text))
    }

    /// The fields of a map.
    pub fn fields(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Map(fields) => fields,
            _ => &[],
        }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        let found = self.fields().iter().find(|(known, _)| known == name);
        found.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(..) => 0,
            Kind::List(items) => items.iter().map(Node::count).sum(),
            Kind::Map(fields) => fields.iter().map(|(_, node)| node.count()).sum(),
        }
    }
}

/// Whether a plain scalar is a truth.
pub fn is_truth(text: &str) -> bool {
    ["true", "True", "TRUE", "false", "False", "FALSE"].contains(&text)
}

/// What a plain scalar is written as, if it is a number: `0777` is octal, `1_000` has a separator, `1.10` is 1.1.
pub fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|ch: char| ch.is_ascii_digit() || ch == '.') {
        return None;
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix| i128::from_str_radix(plain.strip_prefix(prefix)?, radix).ok();
    let whole = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0", 8).filter(|_| plain.len() > 1))
        .or_else(|| plain.parse().ok());
    if let Some(whole) = whole {
        return Some(format!("{sign}{whole}"));
    }
    let float: f64 = plain.parse().ok()?;
    float.is_finite().then(|| format!("{sign}{float}"))
}

/// The documents of a file.
///
/// # Errors
/// It is no YAML, or too large.
pub fn documents(file: usize, text: &str) -> Result<Vec<Node>> {
    let mut reader = Reader {
        file,
        text,
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        count: 0,
    };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => documents.push(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'a> {
    file: usize,
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    count: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.wrong(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn wrong(&self, error: &ScanError) -> Error {
        let start = self.offset(error.marker());
        let wrong = self.text[start..].chars().next();
        let end = start + wrong.map_or(0, char::len_utf8);
        let file = self.file;
        Error::at(Place { file, start, end }, error.info())
    }

    /// The byte of a place, which the parser counts.
    fn offset(&self, at: &Marker) -> usize {
        let offset = at.byte_offset().unwrap_or_default();
        self.text.floor_char_boundary(offset)
    }

    fn place(&self, span: Span) -> Place {
        let start = self.offset(&span.start);
        Place {
            file: self.file,
            start,
            end: self.offset(&span.end).max(start),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node> {
        let place = self.place(span);
        if depth > DEEPEST {
            return Err(Error::at(place, "this is nested too deeply"));
        }
        let (kind, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                (Kind::Scalar(text.into_owned(), is_plain), anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, anchor, tag),
            Event::MappingStart(_, anchor, tag) => (self.map(depth)?, anchor, tag),
            _ => return Err(Error::at(place, "there is no value here")),
        };
        self.counted(1, place)?;
        let mut node = Node::new(kind, place);
        node.mark = mark(tag.as_ref());
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn counted(&mut self, nodes: usize, place: Place) -> Result<()> {
        self.count += nodes;
        match self.count > MOST {
            true => Err(Error::at(
                place,
                format!("this file has more than {MOST} values, with what aliases stand for"),
            )),
            false => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node> {
        let known = self.anchors.get(&anchor);
        let known = known.ok_or_else(|| Error::at(place, "an anchor is not known within itself"));
        let (node, count) = known.map(|node| (node.clone(), node.count()))?;
        self.counted(count, place)?;
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind> {
        let (mut fields, mut merged) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match key.kind {
                Kind::Scalar(name, true) if name == "<<" => merged.push(value),
                _ if key.is_other() => {
                    let what = "a key is a text: this one needs quotes";
                    return Err(Error::at(key.place, what));
                }
                Kind::Scalar(name, _) => add(&mut fields, name, value, key.place)?,
                _ => return Err(Error::at(key.place, "a key is a text")),
            }
        }
        for value in merged {
            merge(&mut fields, value)?;
        }
        Ok(Kind::Map(fields))
    }
}

fn mark(tag: Option<&Cow<'_, Tag>>) -> Mark {
    match tag.map(|tag| tag.suffix()) {
        Some("reset") => Mark::Reset,
        Some("override") => Mark::Override,
        _ => Mark::None,
    }
}

fn add(fields: &mut Vec<(String, Node)>, name: String, value: Node, place: Place) -> Result<()> {
    if fields.iter().any(|(known, _)| *known == name) {
        return Err(Error::at(
            place,
            format!("the key {name:?} is already defined"),
        ));
    }
    fields.push((name, value));
    Ok(())
}

/// A merge key: what is not there is taken of a map, or of each of several, the first first.
fn merge(fields: &mut Vec<(String, Node)>, value: Node) -> Result<()> {
    match value.kind {
        Kind::Map(more) => {
            for (name, value) in more {
                if !fields.iter().any(|(known, _)| *known == name) {
                    fields.push((name, value));
                }
            }
            Ok(())
        }
        Kind::List(items) => items.into_iter().try_for_each(|item| merge(fields, item)),
        Kind::Scalar(..) => Err(Error::at(value.place, "a merge key takes maps")),
    }
}
