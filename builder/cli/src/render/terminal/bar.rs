//! One transfer on a terminal: a bar, bytes, the rate and what is left, as indicatif estimates both. Unaware of where it is drawn.

use crate::render::steps::clip;
use crate::render::transfers::Transfer;
use crate::units;
use indicatif::ProgressBar;
use unicode_width::UnicodeWidthStr;

/// Columns of the bar itself.
const BAR: usize = 20;
/// Columns of sizes, rate and rest at most, with what is around them.
const FIGURES: usize = 44;

/// A transfer that goes on.
#[derive(Debug)]
pub struct Bar {
    title: String,
    meter: ProgressBar,
}

impl Bar {
    /// Of a transfer that begins.
    pub fn new(transfer: &Transfer<'_>) -> Self {
        let meter = ProgressBar::hidden();
        meter.set_length(transfer.total);
        let (doing, what) = (transfer.way.doing(), transfer.short());
        Bar {
            title: format!("{doing} {what}"),
            meter,
        }
    }

    /// So many bytes are there.
    pub fn at(&self, bytes: u64) {
        self.meter.set_position(bytes);
    }

    /// A line of at most `width` columns.
    pub fn line(&self, width: usize) -> String {
        let title = clip(
            &self.title,
            width.saturating_sub(BAR + FIGURES + 2).max(BAR),
        );
        let (done, total) = (self.meter.position(), self.meter.length().unwrap_or(0));
        let sizes = format!("{} of {}", units::bytes(done), units::bytes(total));
        let line = format!("{title} {} {sizes}{}", drawn(done, total), self.pace());
        match line.width() <= width {
            true => line,
            // a narrow terminal has no place for a bar
            false => clip(&format!("{title} {sizes}"), width),
        }
    }

    /// The rate, and how long it will take, once they are known.
    fn pace(&self) -> String {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a rate is no negative number
        let rate = self.meter.per_sec() as u64;
        if rate == 0 {
            return String::new();
        }
        let left = self.meter.eta().as_secs();
        let left = (left > 0).then(|| format!(", {} left", units::duration(left * 1_000_000)));
        format!("  {}/s{}", units::bytes(rate), left.unwrap_or_default())
    }
}

/// The bar, in half columns.
fn drawn(done: u64, total: u64) -> String {
    let halves = u128::from(done.min(total)) * 2 * BAR as u128;
    let halves = halves.checked_div(u128::from(total));
    let halves = halves.and_then(|halves| usize::try_from(halves).ok());
    let halves = halves.unwrap_or(2 * BAR);
    let (full, half) = (halves / 2, halves % 2);
    let rest = BAR - full - half;
    ["━".repeat(full), "╸".repeat(half), "─".repeat(rest)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part_of_the_whole() {
        assert_eq!(drawn(0, 100), "─".repeat(20));
        assert_eq!(
            drawn(50, 100),
            format!("{}{}", "━".repeat(10), "─".repeat(10))
        );
        assert_eq!(
            drawn(53, 100),
            format!("{}╸{}", "━".repeat(10), "─".repeat(9))
        );
        assert_eq!(drawn(200, 100), "━".repeat(20));
        assert_eq!(drawn(0, 0), "━".repeat(20));
        assert_eq!(drawn(u64::MAX, u64::MAX), "━".repeat(20));
    }
}
