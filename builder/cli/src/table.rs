//! Columns for people, aligned as docker aligns them. Unaware of what is listed.

use std::io::Write;

/// Prints a table to standard output.
pub fn print(header: &[&str], rows: &[Vec<String>]) {
    let mut out = std::io::stdout().lock();
    // A reader that went away (`kiln images | head -1`) is no failure.
    let _ = out.write_all(format(header, rows).as_bytes());
}

/// Prints one line to standard output.
pub fn line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn format(header: &[&str], rows: &[Vec<String>]) -> String {
    let lines = || {
        std::iter::once(header.iter().map(|cell| (*cell).to_owned()).collect())
            .chain(rows.iter().cloned())
    };
    let mut widths = vec![0; header.len()];
    for line in lines() {
        let line: Vec<String> = line;
        for (width, cell) in widths.iter_mut().zip(&line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines() {
        let last = line.len().saturating_sub(1);
        for (at, (width, cell)) in widths.iter().zip(&line).enumerate() {
            text.push_str(cell);
            if at < last {
                text.push_str(&" ".repeat(width - cell.chars().count() + 3));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_not_padded() {
        let rows = [
            vec!["app".to_owned(), "1".to_owned()],
            vec!["longer name".to_owned(), "2".to_owned()],
        ];
        assert_eq!(
            format(&["NAME", "N"], &rows),
            "NAME          N\napp           1\nlonger name   2\n"
        );
    }
}
