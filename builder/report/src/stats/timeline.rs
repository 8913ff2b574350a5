//! The steps of a build over time, as one HTML page that needs nothing else: no network, no script, no other file. Whatever comes from a
//! Dockerfile is escaped. Unaware of where the figures come from.

use super::{Stats, StepStats};
use crate::page;
use crate::stats::cells::{self, Cells};
use kiln_cache::StepEnding;

const PAGE: &str = include_str!("timeline.html");
const STYLE: &str = include_str!("timeline.css");

/// The page; `name` is what people call the build, and `summary` says how it went.
#[must_use]
pub fn page(stats: &Stats, name: &str, summary: &str) -> String {
    let failure = stats.past.failure.as_deref();
    let failure = failure.map(|text| format!("<p class=\"failure\">{}</p>", escaped(text)));
    let style = [page::STYLE.trim_end(), STYLE.trim_end()].join("\n");
    let rows: String = stats
        .step_stats
        .iter()
        .map(|step| row(stats, step))
        .collect();
    let parts = [
        ("{{style}}", style),
        ("{{title}}", escaped(name)),
        ("{{failure}}", failure.unwrap_or_default()),
        ("{{summary}}", escaped(summary)),
        ("{{rows}}", rows),
    ];
    filled(PAGE, &parts)
}

/// A text with its gaps filled, in their order: what fills one is not looked into.
fn filled(mut text: &str, parts: &[(&str, String)]) -> String {
    let mut whole = String::new();
    for (gap, part) in parts {
        if let Some((before, after)) = text.split_once(gap) {
            whole += before;
            whole += part;
            text = after;
        }
    }
    whole + text
}

fn row(stats: &Stats, step: &StepStats) -> String {
    let Cells {
        step: name,
        result,
        time,
        usual,
        cpu,
        memory,
        written,
        layer,
    } = Cells::of(step);
    let title = escaped(&step.past.title);
    let figures = [result, time, usual, cpu, memory, written, layer];
    let figures = figures.map(|figure| format!("<td>{}</td>", escaped(&figure)));
    let (name, bar, figures) = (escaped(&name), bar(stats, step), figures.concat());
    format!("<tr><td>{name}</td><td title=\"{title}\">{title}</td><td>{bar}</td>{figures}</tr>\n")
}

/// Where the step was in the time of the build.
fn bar(stats: &Stats, step: &StepStats) -> String {
    let (Some(began), Some(took)) = (step.past.began_us, step.past.took_us) else {
        return String::new();
    };
    let kind = match step.past.outcome {
        Some(StepEnding::Failed) => "failed",
        _ if step.is_critical => "critical",
        _ => "ran",
    };
    let (left, width) = (
        share(began, stats.past.took_us),
        share(took, stats.past.took_us),
    );
    let width = width.min(100.0 - left);
    format!(
        "<div class=\"time\"><i class=\"{kind}\" style=\"left:{left:.2}%;width:{width:.2}%\"></i></div>"
    )
}

#[allow(clippy::cast_precision_loss)] // a picture
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 * 100.0 / whole.max(1) as f64).min(100.0)
}

/// Text that HTML shows as it is, also within an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in cells::plain(text).chars() {
        match letter {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::stats;
    use kiln_cache::{PastBuild, PastStep};

    #[test]
    fn what_a_dockerfile_says_is_text() {
        let hostile = "</td><script>alert(\"1\")</script>&'{{rows}}\u{1b}[2J";
        let step = PastStep {
            stage: hostile.to_owned(),
            title: hostile.to_owned(),
            began_us: Some(25),
            took_us: Some(1000),
            outcome: Some(StepEnding::Ran),
            ..PastStep::default()
        };
        let build = PastBuild {
            took_us: 100,
            failure: Some(hostile.to_owned()),
            ..PastBuild::default()
        };
        let page = page(&stats(&build, &[step], &[]), hostile, hostile);
        assert!(
            !page.contains("<script") && !page.contains('\u{1b}'),
            "{page}"
        );
        assert!(page.contains("left:25.00%;width:75.00%"), "{page}");
        assert_eq!(page.matches("<tr>").count(), 2, "{page}");
        assert!(!page.contains("http://") && !page.contains("https://"));
        for gap in ["{{style}}", "{{title}}", "{{failure}}", "{{summary}}"] {
            assert!(!page.contains(gap), "{gap}");
        }
    }
}
