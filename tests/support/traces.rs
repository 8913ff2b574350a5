//! What kiln left behind: every file below a folder that holds one of some texts, or has one in its name. Unaware of what they are.

use std::fs;
use std::path::Path;

use memchr::memmem;

/// The files that hold one of `texts`.
pub fn holders(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    search(folder, texts, &mut found);
    found
}

fn search(folder: &Path, texts: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            search(&path, texts, found);
        } else if kind.is_file() {
            let content = fs::read(&path).unwrap_or_default();
            let holds = |text: &&&str| memmem::find(&content, text.as_bytes()).is_some();
            if let Some(text) = texts
                .iter()
                .find(|text| holds(text) || name.contains(**text))
            {
                found.push(format!("{name}: {text}"));
            }
        }
    }
}
