//! What kiln depends on is what `deny.toml` allows: licences, crates that must not come in, sources. Unaware of how dependencies are used.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::Mode;
use crate::support::golden::repository;
use crate::support::mode::skip;

/// The strings of a list of `deny.toml`.
fn list(table: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join("deny.toml")).unwrap();
    let (_, table) = text.split_once(&format!("[{table}]\n")).unwrap();
    let (_, list) = table.split_once(&format!("{name} = [\n")).unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let lines = list.lines().map(|line| line.trim());
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.trim_matches(['"', ',']).to_owned())
        .collect()
}

/// What cargo tells of the lock file; nothing where it cannot.
fn cargo(arguments: &[&str]) -> Option<Vec<u8>> {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".to_owned());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(repository())
        .output();
    let said = match output {
        Ok(output) if output.status.success() => return Some(output.stdout),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    skip("rules::dependencies", Mode::Caller, said.trim());
    None
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// All crates that cargo may need: some are named by features that nothing turns on.
fn packages() -> Option<Vec<Value>> {
    let metadata = [
        "metadata",
        "--format-version=1",
        "--filter-platform",
        TARGET,
    ];
    let mut metadata: Value = serde_json::from_slice(&cargo(&metadata)?).unwrap();
    Some(metadata["packages"].as_array_mut().unwrap().split_off(0))
}

/// The names of the crates that are compiled, for the binary or for its tests.
fn compiled() -> Option<BTreeSet<String>> {
    let tree = [
        "tree",
        "--workspace",
        "--prefix=none",
        "--format={p}",
        "--target",
        TARGET,
    ];
    let listed = String::from_utf8(cargo(&tree)?).unwrap();
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    Some(listed.lines().map(name).collect())
}

/// Whether an SPDX expression can be met: `OR`, in old crates `/`, below `AND`, and parentheses.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    let all = top(&expression, " AND ");
    if let [one] = all[..] {
        let any = top(one, " OR ");
        if let [one] = any[..] {
            let inner = one.strip_prefix('(').and_then(|one| one.strip_suffix(')'));
            return inner.map_or_else(|| allowed.contains(one), |inner| is_allowed(inner, allowed));
        }
        return any.iter().any(|part| is_allowed(part, allowed));
    }
    all.iter().all(|part| is_allowed(part, allowed))
}

/// The parts between an operator that stands in no parentheses.
fn top<'e>(expression: &'e str, operator: &str) -> Vec<&'e str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, ch) in expression.char_indices() {
        match ch {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && expression[at..].starts_with(operator) => {
                parts.push(&expression[start..at]);
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

#[test]
fn dependencies_are_allowed() {
    let (licences, banned) = (list("licenses", "allow"), list("bans", "deny"));
    assert!(licences.contains("MIT") && banned.contains("openssl-sys"));
    let compiled = compiled().unwrap_or_default();
    let shared: Vec<_> = compiled.intersection(&banned).collect();
    assert!(shared.is_empty(), "{shared:?} are banned");
    for package in packages().unwrap_or_default() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("no licence");
        assert!(is_allowed(licence, &licences), "{name}: {licence}");
        let source = package["source"].as_str();
        let known = source.is_none_or(|source| source.starts_with("registry+"));
        assert!(known, "{name} comes from {source:?}");
    }
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "A WITH B"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND A WITH B", true),
        ("MIT AND (X OR Y)", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
