//! The text of `<<-`: the blanks that all its lines begin with go, by the rules of HCL's own reader (`flushHeredocTemplateParts`). Unaware of how
//! templates are read.
//!
//! A line that is only blank does not count; one that begins with `${` or `%{` has no blanks to spare. Where a marker (`~`) has cut the end of a
//! line, the next one does not begin there.

use super::expression::Part;

/// Takes the common blanks away.
pub fn flush(parts: &mut [Part]) {
    let mut fewest = usize::MAX;
    at_line_starts(parts, &mut true, &mut |line| {
        let blanks = line.trim_start();
        if !blanks.is_empty() || !line.ends_with('\n') {
            let count = line.chars().count() - blanks.chars().count();
            fewest = fewest.min(count);
        }
        0
    });
    at_line_starts(parts, &mut true, &mut |line| {
        let blanks = line.char_indices().take_while(|(_, ch)| ch.is_whitespace());
        let blanks = blanks.take(fewest).last();
        match line.trim_start().is_empty() && line.ends_with('\n') {
            true => 0,
            false => blanks.map_or(0, |(at, ch)| at + ch.len_utf8()),
        }
    });
}

/// Shows each line that begins where a line does, as far as it is text, and takes as many bytes of it away as are wanted.
fn at_line_starts(parts: &mut [Part], begins: &mut bool, wanted: &mut impl FnMut(&str) -> usize) {
    for part in parts {
        match part {
            Part::Text(text) => *text = lines(text, begins, wanted),
            Part::Interpolation(_) => mark(begins, wanted),
            Part::If(read) => {
                mark(begins, wanted);
                at_line_starts(&mut read.then, begins, wanted);
                if !read.otherwise.is_empty() {
                    mark(begins, wanted);
                    at_line_starts(&mut read.otherwise, begins, wanted);
                }
                mark(begins, wanted);
            }
            Part::For(read) => {
                mark(begins, wanted);
                at_line_starts(&mut read.parts, begins, wanted);
                mark(begins, wanted);
            }
        }
    }
}

/// A line that begins with no text.
fn mark(begins: &mut bool, wanted: &mut impl FnMut(&str) -> usize) {
    if std::mem::take(begins) {
        wanted("");
    }
}

fn lines(text: &str, begins: &mut bool, wanted: &mut impl FnMut(&str) -> usize) -> String {
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        let cut = if *begins { wanted(line) } else { 0 };
        kept.push_str(&line[cut..]);
        *begins = line.ends_with('\n');
    }
    kept
}
