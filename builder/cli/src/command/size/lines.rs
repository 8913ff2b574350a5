//! The instruction that made each layer, on one line, and where it stands. Unaware of sizes.

use kiln_cache::BuildRecord;
use kiln_report::image::Image;

/// What stands for an instruction that the image does not tell.
const UNKNOWN: &str = "(no history)";

/// What made a layer. From outside: not printable as it is.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// As it is written in the Dockerfile, else as the history has it.
    pub text: String,
    /// The Dockerfile and the line in it, where they are known.
    pub place: Option<(String, u32)>,
}

impl Instruction {
    /// With its place before it.
    pub fn placed(&self) -> String {
        match &self.place {
            Some((file, line)) => format!("{file}:{line} {}", self.text),
            None => self.text.clone(),
        }
    }
}

/// For each layer, the lowest first.
pub fn instructions(image: &Image, record: &BuildRecord) -> Vec<Instruction> {
    let unknown = Instruction {
        text: UNKNOWN.to_owned(),
        place: None,
    };
    let mut all = vec![unknown; image.layers.len()];
    let unaccounted = image.steps().filter(|(entry, _)| entry.is_none()).count();
    for (at, (entry, layer)) in image.steps().enumerate() {
        let Some(instruction) = layer.and_then(|at| all.get_mut(at)) else {
            continue;
        };
        let origin = at.checked_sub(unaccounted).and_then(|at| record.step(at));
        let written = origin.map(|origin| &origin.text);
        let text = written.or_else(|| entry?.created_by.as_ref());
        if let Some(text) = text {
            instruction.text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        instruction.place = origin.map(|origin| (origin.file.clone(), origin.line));
    }
    all
}
