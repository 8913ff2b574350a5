//! Splits a template into text and tokens, with nom. Unaware of what tokens mean together.

use super::TemplateError;
use super::syntax::Span;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, none_of, one_of, satisfy};
use nom::combinator::{consumed, map, opt, recognize, value, verify};
use nom::multi::{fold_many0, many_m_n};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

/// A word of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `.Name`
    Field(String),
    /// `.` alone
    Dot,
    /// `$` or `$name`
    Variable(String),
    /// A keyword or a function.
    Name(String),
    Text(String),
    Int(i64),
    Float(f64),
    Declare,
    Assign,
    Pipe,
    Open,
    Close,
    Comma,
}

/// A token in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub span: Span,
    /// Whether white space stands before it: `.A.B` is one operand, `.A .B` are two.
    pub is_apart: bool,
}

/// A part of the template.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Action { tokens: Vec<Spanned>, span: Span },
}

/// All parts of a template.
///
/// # Errors
/// An action is not closed, or a token is none.
pub fn split(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut rest, mut trims) = (text, false);
    while let Some(at) = rest.find("{{") {
        let opening = &rest[at + 2..];
        let inner = trimming(opening);
        let before = if trims {
            rest[..at].trim_start()
        } else {
            &rest[..at]
        };
        push_text(
            &mut pieces,
            if inner.is_some() {
                before.trim_end()
            } else {
                before
            },
        );
        let inner = inner.unwrap_or(opening);
        let start = text.len() - rest.len() + at;
        (rest, trims) = match inner.strip_prefix("/*") {
            Some(comment) => skip_comment(comment, start)?,
            None => action(text, inner, start, &mut pieces)?,
        };
    }
    push_text(&mut pieces, if trims { rest.trim_start() } else { rest });
    Ok(pieces)
}

/// What follows `- `, which trims the text before.
fn trimming(opening: &str) -> Option<&str> {
    let rest = opening.strip_prefix('-')?;
    rest.starts_with(is_space).then(|| rest.trim_start())
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// What follows a comment, and whether that is trimmed.
fn skip_comment(comment: &str, start: usize) -> Result<(&str, bool), TemplateError> {
    let closed = comment.find("*/").map(|at| &comment[at + 2..]);
    let closed = closed.and_then(closing);
    closed.ok_or_else(|| TemplateError::new(start..start + 4, "this comment is not closed by */}}"))
}

/// What follows the end of an action, and whether that is trimmed.
fn closing(rest: &str) -> Option<(&str, bool)> {
    let trimmed = rest.trim_start();
    if let Some(after) = trimmed
        .strip_prefix("-}}")
        .filter(|_| trimmed.len() < rest.len())
    {
        return Some((after, true));
    }
    trimmed.strip_prefix("}}").map(|after| (after, false))
}

/// Reads tokens up to the end of an action.
fn action<'a>(
    text: &'a str,
    mut rest: &'a str,
    start: usize,
    pieces: &mut Vec<Piece>,
) -> Result<(&'a str, bool), TemplateError> {
    let mut tokens = Vec::new();
    loop {
        if let Some((after, trims)) = closing(rest) {
            let span = start..text.len() - after.len();
            pieces.push(Piece::Action { tokens, span });
            return Ok((after, trims));
        }
        let next = rest.trim_start_matches(is_space);
        let at = text.len() - next.len();
        let (after, token) = token(next).map_err(|_| no_token(next, start, at))?;
        tokens.push(Spanned {
            token,
            span: at..text.len() - after.len(),
            is_apart: next.len() < rest.len(),
        });
        rest = after;
    }
}

fn no_token(rest: &str, start: usize, at: usize) -> TemplateError {
    let Some(next) = rest.chars().next() else {
        return TemplateError::new(start..at, "this action is not closed by }}");
    };
    let message = match next {
        '"' | '\'' | '`' => {
            format!("this text is not closed by {next}, or has an invalid escape")
        }
        '0'..='9' | '+' | '-' => "this is not a valid number".to_owned(),
        _ => format!("unexpected {next:?}"),
    };
    TemplateError::new(at..at + next.len_utf8(), message)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn token(input: &str) -> IResult<&str, Token> {
    alt((
        number,
        map(preceded(char('.'), word), |name| {
            Token::Field(name.to_owned())
        }),
        value(Token::Dot, char('.')),
        map(
            recognize(pair(char('$'), take_while(is_word))),
            |name: &str| Token::Variable(name.to_owned()),
        ),
        map(word, |name| Token::Name(name.to_owned())),
        map(quoted, Token::Text),
        map(raw, |text| Token::Text(text.to_owned())),
        map(character, |c| Token::Int(i64::from(u32::from(c)))),
        value(Token::Declare, tag(":=")),
        value(Token::Assign, char('=')),
        value(Token::Pipe, char('|')),
        value(Token::Open, char('(')),
        value(Token::Close, char(')')),
        value(Token::Comma, char(',')),
    ))
    .parse(input)
}

fn word(input: &str) -> IResult<&str, &str> {
    verify(take_while1(is_word), |word: &str| {
        !word.starts_with(|c: char| c.is_numeric())
    })
    .parse(input)
}

/// Go's literals of whole numbers (with `_`, `0x`, `0o`, `0b`) and of decimal fractions.
fn number(input: &str) -> IResult<&str, Token> {
    let starts_with_digit = |text: &str| {
        let first = text.strip_prefix('.').unwrap_or(text);
        first.starts_with(|c: char| c.is_ascii_digit())
    };
    let word = take_while1(|c: char| is_word(c) || c == '.');
    let digits = recognize(pair(opt(one_of("+-")), verify(word, starts_with_digit)));
    // the sign of an exponent is no part of a word
    let exponent = pair(one_of("+-"), take_while1(|c: char| c.is_ascii_digit()));
    let mut whole = consumed(pair(digits, opt(recognize(exponent))));
    let (mut rest, (mut text, (mantissa, power))) = whole.parse(input)?;
    let has_exponent = !mantissa.contains(['x', 'X']) && mantissa.ends_with(['e', 'E']);
    if power.is_some() && !has_exponent {
        (text, rest) = input.split_at(mantissa.len());
    }
    let none = nom::error::Error::new(input, nom::error::ErrorKind::Digit);
    let token = read_number(&text.replace('_', "")).ok_or(nom::Err::Error(none))?;
    Ok((rest, token))
}

fn read_number(text: &str) -> Option<Token> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let lower = digits.to_ascii_lowercase();
    let whole = |digits: &str, radix| {
        let number = i64::from_str_radix(&format!("{sign}{digits}"), radix);
        number.ok().map(Token::Int)
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return whole(digits, radix);
        }
    }
    let is_octal = lower.len() > 1 && lower.starts_with('0');
    if is_octal && lower.bytes().all(|byte| byte.is_ascii_digit()) {
        return whole(&lower, 8);
    }
    let float = || {
        format!("{sign}{lower}")
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    };
    whole(&lower, 10).or_else(|| float().map(Token::Float))
}

fn quoted(input: &str) -> IResult<&str, String> {
    let character = alt((escape('"'), none_of("\"\\\n")));
    let text = fold_many0(character, String::new, |mut text, c| {
        text.push(c);
        text
    });
    delimited(char('"'), text, char('"')).parse(input)
}

fn raw(input: &str) -> IResult<&str, &str> {
    delimited(char('`'), take_while(|c| c != '`'), char('`')).parse(input)
}

fn character(input: &str) -> IResult<&str, char> {
    delimited(
        char('\''),
        alt((escape('\''), none_of("'\\\n"))),
        char('\''),
    )
    .parse(input)
}

/// `\n`, `\x41`, `\101`, `\u00e9`, and the quote itself.
fn escape<'a>(
    quote: char,
) -> impl Parser<&'a str, Output = char, Error = nom::error::Error<&'a str>> {
    let simple = alt((
        value('\x07', char('a')),
        value('\x08', char('b')),
        value('\x0c', char('f')),
        value('\n', char('n')),
        value('\r', char('r')),
        value('\t', char('t')),
        value('\x0b', char('v')),
        char('\\'),
        char(quote),
    ));
    let coded = alt((
        preceded(char('x'), digits(16, 2)),
        preceded(char('u'), digits(16, 4)),
        preceded(char('U'), digits(16, 8)),
        digits(8, 3),
    ));
    preceded(char('\\'), alt((simple, coded)))
}

fn digits<'a>(
    radix: u32,
    count: usize,
) -> impl Parser<&'a str, Output = char, Error = nom::error::Error<&'a str>> {
    let digit = satisfy(move |c: char| c.is_digit(radix));
    let code = terminated(recognize(many_m_n(count, count, digit)), opt(tag("")));
    nom::combinator::map_opt(code, move |digits: &str| {
        u32::from_str_radix(digits, radix)
            .ok()
            .and_then(char::from_u32)
    })
}
