//! A plan as a Mermaid flowchart: a box for each stage, a node for each step, arrows from what a step is made from. Unaware of how it was made.

use super::{Planned, word};
use crate::render::clip;

/// Characters of an instruction that are shown.
const TITLE: usize = 40;
/// How nodes look.
const CLASSES: &str = "  classDef hit fill:#d9f2d9,stroke:#4c9a4c,color:#000\n  classDef runs fill:#ffd9b3,stroke:#cc6600,color:#000\n  \
                       classDef depends fill:#fff5cc,stroke:#b38f00,color:#000\n";

/// The chart.
pub(super) fn text(planned: &Planned) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for (at, stage) in planned.stages.iter().enumerate() {
        let title = quoted(&format!("{} (FROM {})", stage.name, stage.from));
        text.push_str(&format!("  subgraph stage{at} [\"{title}\"]\n"));
        let steps = planned.steps.iter().map(|step| &step.step);
        for step in steps.filter(|step| step.info.stage == stage.name) {
            let (number, class) = (step.info.step, word(step.verdict));
            let title = quoted(&clip(&step.info.title, TITLE));
            text.push_str(&format!("    s{number}[\"{title}\"]:::{class}\n"));
        }
        text.push_str("  end\n");
    }
    for info in planned.steps.iter().map(|step| &step.step.info) {
        for need in &info.needs {
            text.push_str(&format!("  s{need} --> s{}\n", info.step));
        }
    }
    text + CLASSES
}

/// A text within quotes, as Mermaid's entities: whatever it holds is no markup.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        match character {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                quoted.push_str(&format!("#{};", u32::from(character)));
            }
            other => quoted.push(other),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let text = quoted("RUN echo \"a\" && `b` <c> #1");
        let plain = "RUN echo #34;a#34; #38;#38; #96;b#96; #60;c#62; #35;1";
        assert_eq!(text, plain);
    }
}
