//! One record of comma-separated values (RFC 4180, as Go's `encoding/csv` reads it).

use nom::branch::alt;
use nom::bytes::complete::{is_not, take_till};
use nom::character::complete::char;
use nom::combinator::{map, value};
use nom::multi::{fold_many0, separated_list1};
use nom::sequence::{delimited, pair};
use nom::{IResult, Parser};

/// The fields of a record, quotes removed.
///
/// # Errors
/// What is wrong, in the words of `encoding/csv`.
pub fn fields(record: &str) -> Result<Vec<String>, String> {
    if record.is_empty() {
        return Err("it is empty".to_owned());
    }
    match separated_list1(char(','), alt((quoted, bare))).parse(record) {
        Ok(("", fields)) if fields.iter().all(Result::is_ok) => {
            Ok(fields.into_iter().flatten().collect())
        }
        Ok(("", _)) => Err("bare \" in non-quoted field".to_owned()),
        _ => Err("extraneous or missing \" in quoted field".to_owned()),
    }
}

fn quoted(input: &str) -> IResult<&str, Result<String, ()>> {
    let escaped = value("\"", pair(char('"'), char('"')));
    let body = fold_many0(
        alt((is_not("\""), escaped)),
        String::new,
        |body, part: &str| body + part,
    );
    map(delimited(char('"'), body, char('"')), Ok).parse(input)
}

fn bare(input: &str) -> IResult<&str, Result<String, ()>> {
    let (rest, field) = take_till(|ch| ch == ',').parse(input)?;
    if field.starts_with('"') {
        // A quoted field that did not end where it should.
        return Err(nom::Err::Error(nom::error::Error::new(
            input,
            nom::error::ErrorKind::Tag,
        )));
    }
    let field = if field.contains('"') {
        Err(())
    } else {
        Ok(field.to_owned())
    };
    Ok((rest, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(fields("a,b=c,").unwrap(), ["a", "b=c", ""]);
        assert_eq!(fields(r#""a,b","c""d""#).unwrap(), ["a,b", "c\"d"]);
        for bad in ["", "a\"b", "\"a", "\"a\"b,c"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
