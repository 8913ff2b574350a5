//! The cursor that reads a word and expands it on the way. Unaware of instructions.

use std::collections::BTreeSet;

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{digit1, one_of};
use nom::combinator::recognize;
use nom::{IResult, Parser};

use super::split::Splitter;
use super::{MAX_DEPTH, MAX_EXPANDED, Quotes, Style, Variables, WordError, pattern};

/// A cursor over one word.
pub(super) struct Reader<'a> {
    rest: &'a str,
    style: Style,
    env: &'a dyn Variables,
    /// Whether escapes stay here: patterns keep theirs.
    raw_escapes: bool,
    pub(super) used: BTreeSet<String>,
    pub(super) unset: BTreeSet<String>,
    depth: usize,
    limit: usize,
    /// Whether a substitution with a word of its own was read since the last check.
    interrupted: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(word: &'a str, style: Style, env: &'a dyn Variables) -> Self {
        Reader {
            // BuildKit's scanner drops a byte order mark at the start of what it reads.
            rest: word.strip_prefix('\u{feff}').unwrap_or(word),
            style,
            env,
            raw_escapes: style.quotes == Quotes::Raw,
            used: BTreeSet::new(),
            unset: BTreeSet::new(),
            depth: 0,
            limit: MAX_EXPANDED.max(word.len()),
            interrupted: false,
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn check_length(&self, text: &str) -> Result<(), WordError> {
        if text.len() > self.limit {
            return Err(WordError::TooLong);
        }
        Ok(())
    }

    /// Reads up to and including `stop`, or to the end if there is none.
    pub(super) fn until(
        &mut self,
        stop: Option<char>,
        raw_escapes: bool,
        words: Option<&mut Splitter>,
    ) -> Result<String, WordError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WordError::TooDeep);
        }
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.pieces(stop, words);
        self.raw_escapes = outer;
        self.depth -= 1;
        result
    }

    fn pieces(
        &mut self,
        stop: Option<char>,
        mut words: Option<&mut Splitter>,
    ) -> Result<String, WordError> {
        let mut text = String::new();
        let quoting = self.style.quotes != Quotes::Literal;
        while let Some(ch) = self.peek() {
            self.check_length(&text)?;
            if Some(ch) == stop {
                self.next();
                return Ok(text);
            }
            let piece = match ch {
                '$' => self.dollar()?,
                '\'' if quoting => self.single_quoted()?,
                '"' if quoting => self.double_quoted()?,
                '<' => self.possible_heredoc(),
                _ => {
                    self.plain(ch, &mut text, words.as_deref_mut());
                    continue;
                }
            };
            if let Some(words) = &mut words {
                self.drop_interrupted(words);
                match ch {
                    '$' => words.split(&piece),
                    _ => words.keep(&piece),
                }
            }
            text.push_str(&piece);
        }
        self.check_length(&text)?;
        match stop {
            Some('/') => Err(WordError::MissingSlash),
            Some(_) => Err(WordError::MissingBrace),
            None => Ok(text),
        }
    }

    /// `a${B:-c}` splits to `c` alone: BuildKit reads the inner word into the buffer of the
    /// outer one. Existing Dockerfiles (`EXPOSE`, heredoc delimiters) see it, so it is kept.
    fn drop_interrupted(&mut self, words: &mut Splitter) {
        if std::mem::take(&mut self.interrupted) {
            words.drop_current();
        }
    }

    /// A character without meaning, or an escaped one.
    fn plain(&mut self, ch: char, text: &mut String, mut words: Option<&mut Splitter>) {
        self.next();
        if ch != self.style.escape {
            if let Some(words) = words {
                words.push(ch);
            }
            text.push(ch);
            return;
        }
        let kept = self.raw_escapes.then_some(ch);
        // An escape at the very end is dropped.
        for ch in kept.into_iter().chain(self.next()) {
            if let Some(words) = &mut words {
                words.keep_char(ch);
            }
            text.push(ch);
        }
    }

    fn keeps_quotes(&self) -> bool {
        matches!(self.style.quotes, Quotes::Keep | Quotes::Raw)
    }

    fn single_quoted(&mut self) -> Result<String, WordError> {
        let body = &self.rest[1..];
        let end = body.find('\'').ok_or(WordError::Unclosed("single-quote"))?;
        self.rest = &body[end + 1..];
        let body = &body[..end];
        Ok(if self.keeps_quotes() {
            format!("'{body}'")
        } else {
            body.to_owned()
        })
    }

    fn double_quoted(&mut self) -> Result<String, WordError> {
        let keep = self.keeps_quotes();
        let mut text = String::new();
        text.extend(self.next().filter(|_| keep));
        loop {
            self.check_length(&text)?;
            match self.peek() {
                None => return Err(WordError::Unclosed("double-quote")),
                Some('"') => {
                    text.extend(self.next().filter(|_| keep));
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(ch) => {
                    self.next();
                    self.quoted_char(ch, &mut text);
                }
            }
        }
    }

    /// In double quotes only `"`, `$` and the escape itself can be escaped; before everything else the escape is a plain character.
    fn quoted_char(&mut self, ch: char, text: &mut String) {
        if ch != self.style.escape {
            text.push(ch);
            return;
        }
        if self.raw_escapes {
            text.push(ch);
        }
        match self.peek() {
            None => {}
            Some(next) if next == '"' || next == '$' || next == self.style.escape => {
                self.next();
                text.push(next);
            }
            Some(_) => text.push(ch),
        }
    }

    /// `<<  EOF` is one word: the blanks belong to it.
    fn possible_heredoc(&mut self) -> String {
        self.next();
        if self.peek() != Some('<') {
            return "<".to_owned();
        }
        self.next();
        let blanks = self.rest.len() - self.rest.trim_start().len();
        let (blanks, rest) = self.rest.split_at(blanks);
        self.rest = rest;
        format!("<<{blanks}")
    }

    fn dollar(&mut self) -> Result<String, WordError> {
        self.next();
        if self.peek() == Some('{') {
            self.next();
            return self.substitution();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(match self.look_up(name) {
            None if self.style.keep_unset => format!("${name}"),
            value => value.unwrap_or_default().to_owned(),
        })
    }

    fn name(&mut self) -> &'a str {
        let found: IResult<&'a str, &'a str> = parameter_name(self.rest);
        match found {
            Ok((rest, name)) => {
                self.rest = rest;
                name
            }
            Err(_) => "",
        }
    }

    fn look_up(&mut self, name: &str) -> Option<&'a str> {
        let value = self.env.get(name);
        let seen = if value.is_some() {
            &mut self.used
        } else {
            &mut self.unset
        };
        if !seen.contains(name) {
            seen.insert(name.to_owned());
        }
        value
    }

    /// What follows `${`.
    fn substitution(&mut self) -> Result<String, WordError> {
        match self.peek() {
            None => return Err(WordError::MissingBrace),
            Some('{' | '}' | ':') => return Err(WordError::BadSubstitution),
            Some(_) => {}
        }
        let name = self.name();
        match self.next() {
            None => Err(WordError::MissingBrace),
            Some('}') => Ok(match self.look_up(name) {
                None if self.style.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default().to_owned(),
            }),
            Some(':') => {
                let operator = self.next().ok_or(WordError::MissingBrace)?;
                self.operation(name, operator, true)
            }
            Some(operator @ ('-' | '+' | '?' | '#' | '%')) => self.operation(name, operator, false),
            Some('/') => self.replacement(name),
            Some(other) => Err(WordError::Modifier(other.to_string())),
        }
    }

    /// `${name-word}`, `${name:-word}`, `${name#pattern}` and their kin.
    fn operation(&mut self, name: &str, operator: char, colon: bool) -> Result<String, WordError> {
        let is_pattern = matches!(operator, '#' | '%');
        self.interrupted = true;
        let word = self.until(Some('}'), is_pattern, None)?;
        let value = self.look_up(name);
        let colon_text = if colon { ":" } else { "" };
        if value.is_none() && self.style.keep_unset {
            return Ok(format!("${{{name}{colon_text}{operator}{word}}}"));
        }
        let usable = value.filter(|value| !(colon && value.is_empty()));
        let value = value.unwrap_or_default();
        match (operator, usable) {
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('-' | '?', Some(_)) => Ok(value.to_owned()),
            ('?', None) => Err(required(name, word, colon && self.env.get(name).is_some())),
            ('#' | '%', _) if !colon => trim(operator, &word, value),
            _ => Err(WordError::Modifier(format!("{colon_text}{operator}"))),
        }
    }

    /// `${name/pattern/word}` and `${name//pattern/word}`.
    fn replacement(&mut self, name: &str) -> Result<String, WordError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        self.interrupted = true;
        let pattern = self.until(Some('/'), true, None)?;
        let word = self.until(Some('}'), true, None)?;
        match self.look_up(name) {
            None if self.style.keep_unset => Ok(format!("${{{name}/{pattern}/{word}}}")),
            value => pattern::replace(&pattern, value.unwrap_or_default(), &word, all, self.limit),
        }
    }
}

fn required(name: &str, word: String, empty: bool) -> WordError {
    let message = match (word.is_empty(), empty) {
        (false, _) => word,
        (true, true) => "is not allowed to be empty".to_owned(),
        (true, false) => "is not allowed to be unset".to_owned(),
    };
    WordError::Required {
        name: name.to_owned(),
        message,
    }
}

/// A doubled operator removes the longest match, a single one the shortest.
fn trim(operator: char, word: &str, value: &str) -> Result<String, WordError> {
    let (greedy, pattern) = match word.strip_prefix(operator) {
        Some(pattern) => (true, pattern),
        None => (false, word),
    };
    if operator == '#' {
        pattern::trim_prefix(pattern, value, greedy)
    } else {
        pattern::trim_suffix(pattern, value, greedy)
    }
}

fn parameter_name(input: &str) -> IResult<&str, &str> {
    alt((
        digit1,
        recognize(one_of("@*#?-$!")),
        take_while1(|ch: char| ch == '_' || ch.is_alphabetic() || ch.is_ascii_digit()),
    ))
    .parse(input)
}
