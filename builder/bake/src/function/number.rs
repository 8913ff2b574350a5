//! Functions of numbers.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::{Number, Rounding, Value};
use std::cmp::Ordering;

/// Elements that `range` makes at most.
const MOST: usize = 1024;

fn answer(number: Option<Number>) -> Answer {
    let nowhere = || "this has no value: infinities and zeros cancel each other".to_owned();
    number.map(Value::Number).ok_or_else(nowhere)
}

pub fn absolute(arguments: &Arguments<'_>) -> Answer {
    let number = arguments.number(0)?;
    let is_negative = number < Number::from(0);
    answer(Some(if is_negative {
        number.negative()
    } else {
        number
    }))
}

pub fn add(arguments: &Arguments<'_>) -> Answer {
    answer(arguments.number(0)?.plus(arguments.number(1)?))
}

pub fn subtract(arguments: &Arguments<'_>) -> Answer {
    answer(arguments.number(0)?.plus(arguments.number(1)?.negative()))
}

pub fn multiply(arguments: &Arguments<'_>) -> Answer {
    answer(arguments.number(0)?.times(arguments.number(1)?))
}

pub fn divide(arguments: &Arguments<'_>) -> Answer {
    answer(arguments.number(0)?.divided(arguments.number(1)?))
}

pub fn modulo(arguments: &Arguments<'_>) -> Answer {
    answer(arguments.number(0)?.modulo(arguments.number(1)?))
}

pub fn negate(arguments: &Arguments<'_>) -> Answer {
    answer(Some(arguments.number(0)?.negative()))
}

pub fn ceil(arguments: &Arguments<'_>) -> Answer {
    answer(Some(arguments.number(0)?.rounded(Rounding::Up)))
}

pub fn floor(arguments: &Arguments<'_>) -> Answer {
    answer(Some(arguments.number(0)?.rounded(Rounding::Down)))
}

pub fn int(arguments: &Arguments<'_>) -> Answer {
    answer(Some(arguments.number(0)?.rounded(Rounding::ToZero)))
}

pub fn log(arguments: &Arguments<'_>) -> Answer {
    let (number, base) = (arguments.number(0)?.float(), arguments.number(1)?.float());
    of_float(number.ln() / base.ln())
}

pub fn pow(arguments: &Arguments<'_>) -> Answer {
    let (number, power) = (arguments.number(0)?.float(), arguments.number(1)?.float());
    of_float(number.powf(power))
}

fn of_float(float: f64) -> Answer {
    answer((!float.is_nan()).then(|| Number::from(float)))
}

pub fn signum(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(
        match arguments.number(0)?.cmp(&Number::from(0)) {
            Ordering::Less => -1i128,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        },
    ))
}

pub fn max(arguments: &Arguments<'_>) -> Answer {
    extreme(arguments, Ordering::Greater)
}

pub fn min(arguments: &Arguments<'_>) -> Answer {
    extreme(arguments, Ordering::Less)
}

fn extreme(arguments: &Arguments<'_>, than_others: Ordering) -> Answer {
    let mut found = arguments.number(0)?;
    for at in 1..arguments.values.len() {
        let number = arguments.number(at)?;
        if number.cmp(&found) == than_others {
            found = number;
        }
    }
    answer(Some(found))
}

pub fn parseint(arguments: &Arguments<'_>) -> Answer {
    let (text, base) = (arguments.text(0)?, arguments.integer(1)?);
    let base = u32::try_from(base)
        .ok()
        .filter(|base| (2..=62).contains(base));
    let base = base.ok_or_else(|| "the base is from 2 to 62".to_owned())?;
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let wrong = || format!("{text:?} is no whole number in base {base}");
    let mut value: i128 = (!digits.is_empty()).then_some(0).ok_or_else(wrong)?;
    for ch in digits.chars() {
        let digit = digit(ch, base).ok_or_else(wrong)?;
        let next = value.checked_mul(i128::from(base));
        let next = next.and_then(|next| next.checked_add(i128::from(digit)));
        value = next.ok_or_else(|| format!("{text:?} is too large"))?;
    }
    Ok(Value::from(if is_negative { -value } else { value }))
}

/// Beyond base 36 capital letters follow small ones.
fn digit(ch: char, base: u32) -> Option<u32> {
    let digit = match ch {
        '0'..='9' => u32::from(ch) - u32::from('0'),
        'a'..='z' => u32::from(ch) - u32::from('a') + 10,
        'A'..='Z' if base <= 36 => u32::from(ch) - u32::from('A') + 10,
        'A'..='Z' => u32::from(ch) - u32::from('A') + 36,
        _ => return None,
    };
    (digit < base).then_some(digit)
}

pub fn range(arguments: &Arguments<'_>) -> Answer {
    let given = |at| arguments.number(at);
    let (start, end) = match arguments.values.len() {
        1 => (Number::from(0), given(0)?),
        _ => (given(0)?, given(1)?),
    };
    let goes_down = end < start;
    let step = match arguments.values.len() {
        3 => given(2)?,
        _ => Number::from(if goes_down { -1i128 } else { 1 }),
    };
    let leads = if goes_down { step.negative() } else { step } > Number::from(0);
    if start != end && !leads {
        return Err("the step leads away from the end, or nowhere".to_owned());
    }
    numbers(start, end, step).map(Value::List)
}

fn numbers(start: Number, end: Number, step: Number) -> Worded<Vec<Value>> {
    let (mut items, mut next) = (Vec::new(), start);
    let goes_down = end < start;
    while if goes_down { next > end } else { next < end } {
        if items.len() >= MOST {
            return Err(format!("these are more than {MOST} numbers"));
        }
        items.push(Value::Number(next));
        next = next.plus(step).unwrap_or(end);
    }
    Ok(items)
}
