//! The text of a bake file, taken apart: blocks, attributes, expressions, each with its place. HCL and JSON become the same. Unaware of what
//! blocks mean and of what expressions are worth.

pub mod expression;
mod flush;
pub mod json;
pub mod native;
mod template;

use crate::error::Place;
use expression::Expression;

/// What stands in a file or in a block.
#[derive(Debug, Clone, Default)]
pub struct Body {
    pub attributes: Vec<Attribute>,
    pub blocks: Vec<Block>,
}

impl Body {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }
}

/// `name = value`.
#[derive(Debug, Clone)]
pub struct Attribute {
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    pub value: Expression,
}

/// `kind "label" { … }`.
#[derive(Debug, Clone)]
pub struct Block {
    pub kind: String,
    pub labels: Vec<String>,
    /// Where its first line stands.
    pub place: Place,
    pub body: Body,
}
