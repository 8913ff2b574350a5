//! Columns for people, aligned as docker aligns them, and lines on standard output. Unaware of what is listed.

use crate::printable::printable;
use crate::stdout;

/// Columns are at least so wide, the space between them included; docker's numbers.
const NARROWEST: usize = 10;
const BETWEEN: usize = 3;

/// Prints text to standard output. Control bytes reach pipes, never a terminal.
pub fn print_text(text: &str) {
    if stdout::is_terminal() {
        stdout::print(printable(text, false).as_bytes());
    } else {
        stdout::print(text.as_bytes());
    }
}

/// Prints one line to standard output.
pub fn line(line: &str) {
    stdout::print(format!("{line}\n").as_bytes());
}

/// Lines whose cells end with tabs, as columns. What follows the last tab of a line belongs to none and is not padded.
pub fn aligned(text: &str) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in text.lines() {
        let cells = line.split('\t').count() - 1;
        widths.resize(widths.len().max(cells), NARROWEST);
        for (width, cell) in widths.iter_mut().zip(line.split('\t').take(cells)) {
            *width = (*width).max(cell.chars().count() + BETWEEN);
        }
    }
    let mut aligned = String::new();
    for line in text.lines() {
        let last = line.split('\t').count() - 1;
        for (at, cell) in line.split('\t').enumerate() {
            aligned.push_str(cell);
            if at < last {
                aligned.push_str(&" ".repeat(widths[at] - cell.chars().count()));
            }
        }
        aligned.push('\n');
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_not_padded() {
        assert_eq!(
            aligned("NAME\tTAG\tN\napp\tv1\t1\nlonger name\tv1.2.3-rc1\t\nalone\n"),
            "NAME          TAG          N\napp           v1           1\nlonger name   v1.2.3-rc1   \nalone\n"
        );
        assert_eq!(
            aligned("TAG\tIMAGE ID\nv1\tx\n"),
            "TAG       IMAGE ID\nv1        x\n"
        );
    }
}
