//! Operators: operands become what an operator takes, so `"1" + 1` is 2, while nothing but its like equals a value. Unaware of names.

use super::Scope;
use crate::error::{Error, Result};
use crate::hcl::expression::{Expression, Operator};
use crate::value::{Number, Value};

impl Scope<'_> {
    pub(super) fn binary(&self, operator: Operator, sides: &[Expression; 2]) -> Result<Value> {
        let [left, right] = sides;
        match operator {
            Operator::And | Operator::Or => {
                let decides = operator == Operator::Or;
                let truth = self.truth(left)? == decides;
                Ok(Value::Bool(match truth {
                    true => decides,
                    false => self.truth(right)?,
                }))
            }
            Operator::Equal => Ok(Value::Bool(self.value(left)? == self.value(right)?)),
            Operator::NotEqual => Ok(Value::Bool(self.value(left)? != self.value(right)?)),
            _ => calculated(operator, self.number(left)?, self.number(right)?),
        }
    }

    fn truth(&self, side: &Expression) -> Result<bool> {
        let truth = self.value(side)?.truth();
        truth.map_err(|why| Error::at(side.place, why))
    }

    fn number(&self, side: &Expression) -> Result<Number> {
        let number = self.value(side)?.number();
        number.map_err(|why| Error::at(side.place, why))
    }
}

fn calculated(operator: Operator, a: Number, b: Number) -> Result<Value> {
    let number = match operator {
        Operator::Plus => a.plus(b),
        Operator::Minus => a.plus(b.negative()),
        Operator::Times => a.times(b),
        Operator::Divide => a.divided(b),
        Operator::Modulo => a.modulo(b),
        _ => return Ok(Value::Bool(compared(operator, a, b))),
    };
    let nowhere = || Error::new("this has no value: infinities and zeros cancel each other");
    Ok(Value::Number(number.ok_or_else(nowhere)?))
}

fn compared(operator: Operator, a: Number, b: Number) -> bool {
    match operator {
        Operator::Less => a < b,
        Operator::LessEqual => a <= b,
        Operator::Greater => a > b,
        _ => a >= b,
    }
}
