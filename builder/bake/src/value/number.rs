//! Numbers: exact decimals as far as 38 digits go, else floats. bake calculates with 512 bits, so that it agrees wherever a decimal is exact.

use std::cmp::Ordering;
use std::fmt;

/// Digits behind the point beyond which a quotient is a float.
const DEEPEST: u32 = 30;

/// A number.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// So many times a tenth, multiplied as often as the scale says; the last digit behind the point is not 0.
    Exact { digits: i128, scale: u32 },
    /// What is no decimal of a bearable length; never NaN.
    Float(f64),
}

impl From<i128> for Number {
    fn from(digits: i128) -> Self {
        Number::Exact { digits, scale: 0 }
    }
}

impl From<f64> for Number {
    fn from(float: f64) -> Self {
        let exact = Number::parse(&format!("{float}"));
        exact.unwrap_or(Number::Float(float))
    }
}

impl Number {
    fn exact(mut digits: i128, mut scale: u32) -> Self {
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        Number::Exact { digits, scale }
    }

    /// Reads `-12.5e3`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if !text.bytes().all(is_number) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let float: f64 = text.parse().ok()?;
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exact = || {
            let exponent: i64 = exponent.parse().ok()?;
            let digits: i128 = format!("{whole}{part}").parse().ok()?;
            let scale = i64::try_from(part.len()).ok()? - exponent;
            Number::scaled(digits, scale)
        };
        exact().or((!float.is_nan()).then_some(Number::Float(float)))
    }

    fn scaled(digits: i128, scale: i64) -> Option<Self> {
        if scale >= 0 {
            return Some(Number::exact(digits, u32::try_from(scale).ok()?));
        }
        let power = 10i128.checked_pow(u32::try_from(-scale).ok()?)?;
        Some(Number::from(digits.checked_mul(power)?))
    }

    /// The nearest float.
    pub fn float(self) -> f64 {
        match self {
            Number::Float(float) => float,
            // the text of a decimal is read exactly
            Number::Exact { .. } => self.to_string().parse().unwrap_or_default(),
        }
    }

    /// The whole number that it is.
    pub fn integer(self) -> Option<i128> {
        match self {
            Number::Exact { digits, scale: 0 } => Some(digits),
            _ => None,
        }
    }

    /// The same as a number of things.
    pub fn index(self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    /// The same number of digits behind the point for both.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let (
            Number::Exact { digits, scale },
            Number::Exact {
                digits: d,
                scale: s,
            },
        ) = (self, other)
        else {
            return None;
        };
        let wide = scale.max(s);
        let widened =
            |digits: i128, scale: u32| digits.checked_mul(10i128.checked_pow(wide - scale)?);
        Some((widened(digits, scale)?, widened(d, s)?, wide))
    }

    /// The number of a float; none for one that is not a number.
    fn of_float(float: f64) -> Option<Self> {
        (!float.is_nan()).then_some(Number::Float(float))
    }

    /// The sum; none for a quantity that is nowhere.
    pub fn plus(self, other: Self) -> Option<Self> {
        let exact = self.aligned(other);
        let sum = exact.and_then(|(a, b, scale)| Some(Number::exact(a.checked_add(b)?, scale)));
        sum.or_else(|| Number::of_float(self.float() + other.float()))
    }

    /// The same number on the other side of zero.
    pub fn negative(self) -> Self {
        match self {
            Number::Exact { digits, scale } => {
                digits
                    .checked_neg()
                    .map_or(Number::Float(-self.float()), |digits| Number::Exact {
                        digits,
                        scale,
                    })
            }
            Number::Float(float) => Number::Float(-float),
        }
    }

    /// The product.
    pub fn times(self, other: Self) -> Option<Self> {
        if let (
            Number::Exact { digits, scale },
            Number::Exact {
                digits: d,
                scale: s,
            },
        ) = (self, other)
            && let Some(digits) = digits.checked_mul(d)
        {
            return Some(Number::exact(digits, scale.checked_add(s)?));
        }
        Number::of_float(self.float() * other.float())
    }

    /// The quotient: a decimal where it ends, else a float. Infinite by zero.
    pub fn divided(self, other: Self) -> Option<Self> {
        let exact = || {
            let (a, b, _) = self.aligned(other)?;
            let ends = |scale: &u32| {
                let widened = a.checked_mul(10i128.checked_pow(*scale)?)?;
                (widened.checked_rem(b)? == 0).then_some(Number::exact(widened / b, *scale))
            };
            (0..=DEEPEST).find_map(|scale| ends(&scale))
        };
        exact().or_else(|| Number::of_float(self.float() / other.float()))
    }

    /// What a division leaves, with the sign of what is divided; by zero, all of it.
    pub fn modulo(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return Some(self);
        }
        let exact = self.aligned(other);
        let rest = exact.and_then(|(a, b, scale)| Some(Number::exact(a.checked_rem(b)?, scale)));
        rest.or_else(|| Number::of_float(self.float() % other.float()))
    }

    fn is_zero(self) -> bool {
        self.cmp(&Number::from(0)) == Ordering::Equal
    }

    /// The whole number in a direction.
    pub fn rounded(self, direction: Rounding) -> Self {
        let Number::Exact { digits, scale } = self else {
            return Number::Float(match direction {
                Rounding::Down => self.float().floor(),
                Rounding::Up => self.float().ceil(),
                Rounding::ToZero => self.float().trunc(),
            });
        };
        let Some(power) = 10i128.checked_pow(scale) else {
            return Number::from(0);
        };
        Number::from(match direction {
            Rounding::Down => digits.div_euclid(power),
            Rounding::Up => digits.div_euclid(power) + i128::from(digits.rem_euclid(power) != 0),
            Rounding::ToZero => digits / power,
        })
    }
}

/// Where a fraction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    Down,
    Up,
    ToZero,
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.float().total_cmp(&other.float()),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Number::Float(float) if float.is_infinite() => {
                f.write_str(if float > 0.0 { "+Inf" } else { "-Inf" })
            }
            Number::Float(float) => write!(f, "{float}"),
            Number::Exact { digits, scale: 0 } => write!(f, "{digits}"),
            Number::Exact { digits, scale } => {
                let sign = if digits < 0 { "-" } else { "" };
                let width = scale as usize + 1;
                let all = format!("{:0>width$}", digits.unsigned_abs());
                let (whole, part) = all.split_at(all.len() - scale as usize);
                write!(f, "{sign}{whole}.{part}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn decimals_stay_exact() {
        let sum = number("0.1").plus(number("0.2")).unwrap();
        assert_eq!(sum.to_string(), "0.3");
        assert_eq!(number("1e21").to_string(), "1000000000000000000000");
        assert_eq!(number("1.0").to_string(), "1");
        assert_eq!(number("-0.5").to_string(), "-0.5");
        assert_eq!(
            number("1").divided(number("8")).unwrap().to_string(),
            "0.125"
        );
        assert_eq!(
            number("1").divided(number("0")).unwrap().to_string(),
            "+Inf"
        );
        assert_eq!(number("0").divided(number("0")), None);
        let third = number("1").divided(number("3")).unwrap();
        assert_eq!(third.to_string(), "0.3333333333333333");
        let product = number("1.5").times(number("-4")).unwrap();
        assert_eq!(product.to_string(), "-6");
        assert_eq!(number("-5").modulo(number("3")).unwrap().to_string(), "-2");
    }

    #[test]
    fn fractions_go_where_they_are_told() {
        let rounded = |text: &str, to| number(text).rounded(to).to_string();
        assert_eq!(rounded("-1.5", Rounding::Down), "-2");
        assert_eq!(rounded("-1.5", Rounding::Up), "-1");
        assert_eq!(rounded("-1.5", Rounding::ToZero), "-1");
        assert_eq!(rounded("1.2", Rounding::Up), "2");
        assert_eq!(rounded("3", Rounding::Up), "3");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "a", "1x", "nan", "inf", "--1", "1e", "e5", "1.2.3"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        for text in [
            "1e400",
            "1e-400",
            "99999999999999999999999999999999999999999999",
        ] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
    }
}
