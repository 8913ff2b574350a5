//! The functions of bake's standard library, a table of them, but `bcrypt` and `rsadecrypt`; `try`, `can` and `convert` look at their arguments
//! themselves (`evaluate/call.rs`). Unaware of how they are called.
//!
//! To add one: its body in the file of what it is about, and its line in [`FUNCTIONS`].

mod arguments;
mod collection;
mod digest;
mod encode;
mod format;
mod logic;
mod network;
mod number;
mod pattern;
mod set;
mod text;
mod time;
mod version;

use crate::Host;
use crate::error::Worded;
use crate::value::Value;
use arguments::Arguments;

/// What a function answers.
type Answer = Worded<Value>;

/// A function.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    /// How many arguments it takes at least and at most.
    arity: (usize, usize),
    body: fn(&Arguments<'_>) -> Answer,
}

/// For functions that take any number of arguments.
const ANY: usize = 1000;

macro_rules! functions {
    ($($name:ident $least:literal..$most:tt $topic:ident;)*) => {
        /// All of them.
        static FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            arity: ($least, $most),
            body: $topic::$name,
        }),*];
    };
}

functions! {
    absolute 1..1 number;
    add 2..2 number;
    and 2..2 logic;
    base64decode 1..1 encode;
    base64encode 1..1 encode;
    basename 1..1 text;
    byteslen 1..1 text;
    bytesslice 3..3 text;
    ceil 1..1 number;
    chomp 1..1 text;
    chunklist 2..2 collection;
    cidrhost 2..2 network;
    cidrnetmask 1..1 network;
    cidrsubnet 3..3 network;
    cidrsubnets 1..ANY network;
    coalesce 1..ANY logic;
    coalescelist 1..ANY collection;
    compact 1..1 collection;
    concat 1..ANY collection;
    contains 2..2 collection;
    csvdecode 1..1 encode;
    dirname 1..1 text;
    distinct 1..1 collection;
    divide 2..2 number;
    element 2..2 collection;
    equal 2..2 logic;
    flatten 1..1 collection;
    floor 1..1 number;
    format 1..ANY format;
    formatdate 2..2 time;
    formatlist 1..ANY format;
    formattimestamp 2..2 time;
    greaterthan 2..2 logic;
    greaterthanorequalto 2..2 logic;
    hasindex 2..2 collection;
    homedir 0..0 text;
    indent 2..2 text;
    index 2..2 collection;
    indexof 2..2 collection;
    int 1..1 number;
    join 1..ANY text;
    jsondecode 1..1 encode;
    jsonencode 1..1 encode;
    keys 1..1 collection;
    length 1..1 collection;
    lessthan 2..2 logic;
    lessthanorequalto 2..2 logic;
    log 2..2 number;
    lookup 3..3 collection;
    lower 1..1 text;
    max 1..ANY number;
    md5 1..1 digest;
    merge 0..ANY collection;
    min 1..ANY number;
    modulo 2..2 number;
    multiply 2..2 number;
    negate 1..1 number;
    not 1..1 logic;
    notequal 2..2 logic;
    or 2..2 logic;
    parseint 2..2 number;
    pow 2..2 number;
    range 1..3 number;
    regex 2..2 pattern;
    regex_replace 3..3 pattern;
    regexall 2..2 pattern;
    replace 3..3 text;
    reverse 1..1 text;
    reverselist 1..1 collection;
    sanitize 1..1 text;
    semvercmp 2..2 version;
    sethaselement 2..2 set;
    setintersection 1..ANY set;
    setproduct 1..ANY set;
    setsubtract 2..2 set;
    setsymmetricdifference 1..ANY set;
    setunion 1..ANY set;
    sha1 1..1 digest;
    sha256 1..1 digest;
    sha512 1..1 digest;
    signum 1..1 number;
    slice 3..3 collection;
    sort 1..1 collection;
    split 2..2 text;
    strlen 1..1 text;
    substr 3..3 text;
    subtract 2..2 number;
    timeadd 2..2 time;
    timestamp 0..0 time;
    title 1..1 text;
    trim 2..2 text;
    trimprefix 2..2 text;
    trimspace 1..1 text;
    trimsuffix 2..2 text;
    unixtimestampparse 1..1 time;
    upper 1..1 text;
    urlencode 1..1 encode;
    uuidv4 0..0 digest;
    uuidv5 2..2 digest;
    values 1..1 collection;
    zipmap 2..2 collection;
}

/// The function of this name.
pub fn known(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    let own = ["can", "convert", "try"].into_iter();
    own.chain(FUNCTIONS.iter().map(|function| function.name))
}

impl Function {
    /// Calls it.
    ///
    /// # Errors
    /// The arguments are not what it takes.
    pub fn call(&self, values: &[Value], host: &dyn Host) -> Answer {
        let (least, most) = self.arity;
        let count = values.len();
        if !(least..=most).contains(&count) {
            let takes = match (least, most) {
                (least, most) if least == most => format!("{least}"),
                (least, ANY) => format!("at least {least}"),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(format!("it takes {takes} arguments, not {count}"));
        }
        (self.body)(&Arguments { values, host })
    }
}

#[cfg(test)]
mod tests;
