//! `printf`: Go's verbs `v s q d x X o b c t f e g %` with the flags `- + # 0` and space, width and precision. `#` does nothing.

use super::{Cost, int_of};
use crate::value::{Value, exponent, shortest};
use std::iter::Peekable;
use std::slice;
use std::str::Chars;

/// Characters of the widest field.
const MAX_WIDTH: usize = 10_000;

pub fn printf(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let [Value::Text(format), values @ ..] = arguments else {
        return Err("the format must be a text".to_owned());
    };
    let mut values = values.iter();
    let mut rest = format.chars().peekable();
    let mut out = String::new();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let shown = directive(&mut rest, &mut values)?;
        cost.add(shown.len())?;
        out.push_str(&shown);
    }
    if values.next().is_some() {
        return Err("there are more values than the format shows".to_owned());
    }
    cost.add(format.len())?;
    Ok(out.into())
}

/// What stands between `%` and its verb.
#[derive(Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

fn directive(
    rest: &mut Peekable<Chars<'_>>,
    values: &mut slice::Iter<'_, Value>,
) -> Result<String, String> {
    let spec = spec(rest, values)?;
    let verb = rest.next().ok_or("the format ends after %")?;
    if verb == '%' {
        return Ok("%".to_owned());
    }
    let value = values
        .next()
        .ok_or_else(|| format!("there is no value for %{verb}"))?;
    let text = converted(verb, value, &spec)?;
    Ok(padded(&text, &spec, value))
}

fn spec(
    rest: &mut Peekable<Chars<'_>>,
    values: &mut slice::Iter<'_, Value>,
) -> Result<Spec, String> {
    let mut spec = Spec::default();
    while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '+' | ' ' | '0' | '#')) {
        match flag {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            _ => {}
        }
    }
    spec.width = count(rest, values)?.unwrap_or(0);
    if rest.next_if_eq(&'.').is_some() {
        spec.precision = Some(count(rest, values)?.unwrap_or(0));
    }
    Ok(spec)
}

/// Digits, or `*` for the next value.
fn count(
    rest: &mut Peekable<Chars<'_>>,
    values: &mut slice::Iter<'_, Value>,
) -> Result<Option<usize>, String> {
    let too_wide = || format!("fields have at most {MAX_WIDTH} characters");
    if rest.next_if_eq(&'*').is_some() {
        let number = int_of(values.next().ok_or("there is no value for *")?)?;
        let number = usize::try_from(number)
            .ok()
            .filter(|number| *number <= MAX_WIDTH);
        return number.map(Some).ok_or_else(too_wide);
    }
    let mut number = None;
    while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
        rest.next();
        let next = number.unwrap_or(0) * 10 + digit as usize;
        if next > MAX_WIDTH {
            return Err(too_wide());
        }
        number = Some(next);
    }
    Ok(number)
}

fn converted(verb: char, value: &Value, spec: &Spec) -> Result<String, String> {
    Ok(match (verb, value) {
        ('q', Value::List(items)) => {
            let items = items.iter().flat_map(|items| items.iter());
            let items: Result<Vec<_>, _> = items.map(|item| converted(verb, item, spec)).collect();
            format!("[{}]", items?.join(" "))
        }
        ('T', _) => value.kind().to_owned(),
        ('f' | 'e' | 'g', Value::Float(number)) => float(verb, *number, spec),
        ('v', Value::Float(number)) => signed(shortest(*number), spec),
        ('v' | 'd', Value::Int(number)) | ('d', Value::Duration(number)) => {
            signed(number.to_string(), spec)
        }
        ('x' | 'X' | 'o' | 'b' | 'c', Value::Int(number)) => radix(verb, *number),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('q', Value::Text(text)) => quoted(text),
        ('t', Value::Bool(value)) => value.to_string(),
        ('v' | 's', _) if verb == 'v' || !is_number(value) => {
            let most = spec.precision.unwrap_or(usize::MAX);
            value.to_string().chars().take(most).collect()
        }
        _ => return Err(format!("%{verb} does not show {}", value.kind())),
    })
}

/// What Go's `%s` complains about.
fn is_number(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_))
}

fn radix(verb: char, number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs();
    match verb {
        'x' => format!("{sign}{digits:x}"),
        'X' => format!("{sign}{digits:X}"),
        'o' => format!("{sign}{digits:o}"),
        'b' => format!("{sign}{digits:b}"),
        _ => {
            let c = u32::try_from(number).ok().and_then(char::from_u32);
            c.unwrap_or('\u{fffd}').to_string()
        }
    }
}

fn float(verb: char, number: f64, spec: &Spec) -> String {
    let precision = spec.precision.unwrap_or(6);
    let text = match (verb, spec.precision) {
        ('f', _) => format!("{number:.precision$}"),
        ('e', _) => exponent(&format!("{number:.precision$e}")),
        _ => shortest(number),
    };
    signed(text, spec)
}

fn signed(text: String, spec: &Spec) -> String {
    match (spec.plus, spec.space) {
        _ if text.starts_with(['-', '+']) => text,
        (true, _) => format!("+{text}"),
        (_, true) => format!(" {text}"),
        _ => text,
    }
}

/// As Go's `strconv.Quote`, for what is printable.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn padded(text: &str, spec: &Spec, value: &Value) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    let is_number = matches!(value, Value::Int(_) | Value::Float(_));
    if spec.left {
        return format!("{text}{}", " ".repeat(missing));
    }
    if !spec.zero || !is_number {
        return format!("{}{text}", " ".repeat(missing));
    }
    let digits = text.trim_start_matches(['-', '+', ' ']);
    let sign = &text[..text.len() - digits.len()];
    format!("{sign}{}{digits}", "0".repeat(missing))
}
