//! Templates: text with values in it. Unaware of how they are written.

use super::{LARGEST, Scope};
use crate::error::{Error, Result};
use crate::hcl::expression::{ForPart, IfPart, Part};
use crate::value::Value;

impl Scope<'_> {
    /// The value of a template: an interpolation alone keeps its type.
    pub(super) fn template(&self, parts: &[Part]) -> Result<Value> {
        if let [Part::Interpolation(expression)] = parts {
            return self.value(expression);
        }
        let mut text = String::new();
        self.write(parts, &mut text)?;
        Ok(Value::String(text))
    }

    fn write(&self, parts: &[Part], text: &mut String) -> Result<()> {
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Interpolation(expression) => {
                    let value = self.value(expression)?;
                    let shown = match value {
                        Value::Null => Err("a value that is null has no text".to_owned()),
                        value => value.text(),
                    };
                    let shown = shown.map_err(|why| Error::at(expression.place, why))?;
                    text.push_str(&shown);
                }
                Part::If(part) => self.write_if(part, text)?,
                Part::For(part) => self.write_for(part, text)?,
            }
            if text.len() > LARGEST {
                return Err(Error::new("this text is too long"));
            }
        }
        Ok(())
    }

    fn write_if(&self, part: &IfPart, text: &mut String) -> Result<()> {
        let truth = self.value(&part.condition)?.truth();
        let truth = truth.map_err(|why| Error::at(part.condition.place, why))?;
        self.write(if truth { &part.then } else { &part.otherwise }, text)
    }

    fn write_for(&self, part: &ForPart, text: &mut String) -> Result<()> {
        for (key, value) in self.items(&part.collection)? {
            let locals = self.named(&part.names, key, value);
            self.within(&locals).write(&part.parts, text)?;
        }
        Ok(())
    }
}
