//! `format` and `formatlist`: Go's verbs for values.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::{Number, Value};
use unicode_segmentation::UnicodeSegmentation;

/// Columns and digits that a verb may ask for.
const WIDEST: usize = 1000;

/// `%-08.3f`, taken apart.
#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    blank: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// Which argument it takes, from 1.
    index: Option<usize>,
    letter: char,
}

pub fn format(arguments: &Arguments<'_>) -> Answer {
    let form = arguments.text(0)?;
    formatted(&form, &arguments.values[1..]).map(Value::String)
}

/// The same for each item of lists; what is no list is the same each time.
pub fn formatlist(arguments: &Arguments<'_>) -> Answer {
    let (form, rest) = (arguments.text(0)?, &arguments.values[1..]);
    let lists = rest.iter().filter_map(|value| match value {
        Value::List(items) => Some(items.len()),
        _ => None,
    });
    let lengths: Vec<usize> = lists.collect();
    let length = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|other| *other != length) {
        return Err("the lists are not of one length".to_owned());
    }
    let at = |at: usize| {
        let item = |value: &Value| match value {
            Value::List(items) => items.get(at).cloned().unwrap_or(Value::Null),
            other => other.clone(),
        };
        let values: Vec<Value> = rest.iter().map(item).collect();
        formatted(&form, &values).map(Value::String)
    };
    (0..length).map(at).collect::<Worded<_>>().map(Value::List)
}

fn formatted(form: &str, values: &[Value]) -> Worded<String> {
    let (mut text, mut rest) = (String::new(), form);
    let (mut next, mut most, mut names_places) = (0, 0, false);
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let (verb, after) = Verb::read(&rest[at + 1..])?;
        rest = after;
        if verb.letter == '%' {
            text.push('%');
            continue;
        }
        names_places |= verb.index.is_some();
        let place = verb.index.map_or(Some(next), |index| index.checked_sub(1));
        let value = place.and_then(|place| values.get(place));
        let value = value.ok_or_else(|| format!("there is no argument for %{}", verb.letter))?;
        next = place.unwrap_or(next) + 1;
        most = most.max(next);
        text.push_str(&verb.shown(value)?);
    }
    text.push_str(rest);
    match most < values.len() && !names_places {
        true => Err(format!("there are too many arguments: {most} are used")),
        false => Ok(text),
    }
}

impl Verb {
    /// Reads what follows a `%`, and what is left.
    fn read(text: &str) -> Worded<(Self, &str)> {
        let mut verb = Verb::default();
        let mut rest = verb.flags(text);
        let (width, after) = number(rest)?;
        verb.width = width.unwrap_or(0);
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?;
            verb.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = number(after)?;
            verb.index = index;
            let end = after.strip_prefix(']');
            rest = end.ok_or_else(|| "an index of an argument has no end".to_owned())?;
        }
        let letter = rest.chars().next();
        verb.letter = letter.ok_or_else(|| "the format ends within a verb".to_owned())?;
        let after = &rest[verb.letter.len_utf8()..];
        Ok((verb, after))
    }

    /// Takes the flags at the beginning; what is left.
    fn flags<'t>(&mut self, text: &'t str) -> &'t str {
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|ch| "-+# 0".contains(*ch)) {
            match flag {
                '-' => self.minus = true,
                '+' => self.plus = true,
                '#' => self.sharp = true,
                ' ' => self.blank = true,
                _ => self.zero = true,
            }
            rest = &rest[1..];
        }
        rest
    }

    fn shown(&self, value: &Value) -> Worded<String> {
        match (self.letter, value) {
            ('v', Value::String(text)) if !self.sharp => Ok(self.padded(text)),
            ('v', Value::Number(number)) if !self.sharp => Ok(self.padded(&general(*number, None))),
            ('v', value) => Ok(self.padded(&value.json())),
            (letter, Value::Null) => Err(format!("null has no form %{letter}")),
            ('t', value) => Ok(self.padded(&value.truth()?.to_string())),
            ('s', value) => Ok(self.padded(&self.cut(&value.text()?))),
            ('q', value) => Ok(self.padded(&Value::String(self.cut(&value.text()?)).json())),
            ('b' | 'd' | 'o' | 'x' | 'X', value) => self.integer(value.number()?),
            ('e' | 'E' | 'f' | 'g' | 'G', value) => Ok(self.float(value.number()?)),
            (letter, _) => Err(format!("there is no verb %{letter}")),
        }
    }

    /// As many characters as the precision says.
    fn cut(&self, text: &str) -> String {
        match self.precision.filter(|precision| *precision > 0) {
            Some(precision) => text.graphemes(true).take(precision).collect(),
            None => text.to_owned(),
        }
    }

    fn padded(&self, text: &str) -> String {
        let blanks = self.width.saturating_sub(text.graphemes(true).count());
        let blanks = " ".repeat(blanks);
        match self.minus {
            true => format!("{text}{blanks}"),
            false => format!("{blanks}{text}"),
        }
    }

    fn integer(&self, number: Number) -> Worded<String> {
        let whole = number.integer();
        let whole = whole.ok_or_else(|| format!("%{} takes a whole number", self.letter))?;
        let digits = whole.unsigned_abs();
        let (prefix, digits) = match self.letter {
            'b' => ("0b", format!("{digits:b}")),
            'o' => ("0", format!("{digits:o}")),
            'x' => ("0x", format!("{digits:x}")),
            'X' => ("0X", format!("{digits:X}")),
            _ => ("", digits.to_string()),
        };
        let prefix = if self.sharp { prefix } else { "" };
        Ok(self.signed(whole < 0, &format!("{prefix}{digits}")))
    }

    fn float(&self, number: Number) -> String {
        let float = number.float();
        let is_negative = number < Number::from(0);
        let size = [number, number.negative()][usize::from(is_negative)];
        if float.is_infinite() {
            return self.signed(is_negative, "Inf");
        }
        let shown = match self.letter {
            'f' => format!("{:.*}", self.precision.unwrap_or(6), size.float()),
            'e' | 'E' => exponential(size.float(), self.precision.unwrap_or(6)),
            _ => general(size, self.precision),
        };
        match self.letter.is_ascii_uppercase() {
            true => self.signed(is_negative, &shown.to_uppercase()),
            false => self.signed(is_negative, &shown),
        }
    }

    /// With the sign, and zeros between it and the digits.
    fn signed(&self, is_negative: bool, digits: &str) -> String {
        let sign = match (is_negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        if self.zero && !self.minus {
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        self.padded(&format!("{sign}{digits}"))
    }
}

/// A number at the beginning of a text, and what follows.
fn number(text: &str) -> Worded<(Option<usize>, &str)> {
    let end = text.find(|ch: char| !ch.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDEST);
    let number = number.ok_or_else(|| format!("{digits} is too much"))?;
    Ok((Some(number), rest))
}

/// `1.5e+03`, as Go writes it.
fn exponential(float: f64, precision: usize) -> String {
    let text = format!("{float:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The shorter form: with an exponent below 1e-4, and from a million or the precision on.
fn general(number: Number, precision: Option<usize>) -> String {
    let float = number.float();
    if float.is_infinite() {
        return number.to_string();
    }
    let shortest = format!("{float:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let wanted = precision.map(|precision| precision.max(1));
    let digits = wanted.map_or(digits, |wanted| wanted.min(digits));
    if exponent < -4 || exponent >= limit(wanted, digits, exponent) {
        return exponential(float, digits - 1);
    }
    match wanted {
        None => number.to_string(),
        Some(wanted) => rounded(
            float,
            i32::try_from(wanted).unwrap_or(i32::MAX) - 1 - exponent,
        ),
    }
}

/// From which exponent on it is written.
fn limit(wanted: Option<usize>, digits: usize, exponent: i32) -> i32 {
    let length = i32::try_from(digits).unwrap_or(i32::MAX);
    match wanted {
        None => 6,
        Some(wanted) if wanted > digits && length > exponent => length,
        Some(wanted) => i32::try_from(wanted).unwrap_or(i32::MAX),
    }
}

/// So many digits behind the point, without zeros at the end.
fn rounded(float: f64, places: i32) -> String {
    let text = format!("{:.*}", usize::try_from(places).unwrap_or(0), float);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
