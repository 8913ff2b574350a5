//! Whatever files say, reading and planning them ends with a plan or an error, and every place of an error is in the text.

use crate::{Host, Options, Overrides, Source};
use proptest::prelude::*;

/// Pieces of bake files, which random ones are made of.
const PIECES: [&str; 74] = [
    "target \"a\" {",
    "target \"default\" {",
    "group \"default\" {",
    "variable \"V\" {",
    "function \"f\" {",
    "}",
    "{",
    "\n",
    "\n",
    "\n",
    "targets = [\"a\"]",
    "tags = ",
    "args = {",
    "inherits = [\"a\"]",
    "matrix = {",
    "name = ",
    "contexts = {",
    "default = ",
    "type = ",
    "params = [x]",
    "result = ",
    "validation {",
    "condition = ",
    "error_message = ",
    "secret = ",
    "output = ",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    "=",
    "=>",
    "?",
    "...",
    "[*]",
    ".*",
    ".",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "&&",
    "||",
    "!",
    "<<EOT\n",
    "EOT\n",
    "\"",
    "\"x\"",
    "${",
    "%{ if ",
    "%{ endif }",
    "%{ for v in ",
    "%{ endfor }",
    "~}",
    "for v in ",
    "if ",
    "V",
    "v",
    "x",
    "target.a.tags",
    "f(",
    "try(",
    "jsonencode(",
    "range(",
    "0",
    "1.5",
    "1e400",
    "null",
    "true",
    "é",
];

const SEEDS: [&str; 5] = [
    include_str!("../../../fixtures/bake/print/compose.yaml"),
    include_str!("../../../fixtures/bake/print/compose-anchors.yaml"),
    include_str!("../../../fixtures/bake/print/expressions.hcl"),
    include_str!("../../../fixtures/bake/print/matrix.hcl"),
    include_str!("../../../fixtures/bake/print/plain.json"),
];

struct Nobody;

impl Host for Nobody {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "V").then(|| "1,2".to_owned())
    }

    fn read(&self, _path: &str) -> Result<String, String> {
        Err("nobody has files".to_owned())
    }

    fn home(&self) -> Option<String> {
        None
    }

    fn seconds(&self) -> i64 {
        i64::MAX
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

fn tried(name: &str, text: String) {
    let length = text.len();
    let source = Source {
        name: name.to_owned(),
        text,
    };
    let read = crate::read(&[source], &Nobody, &Options::default());
    let places = match &read {
        Ok(definition) => definition
            .warnings()
            .iter()
            .map(|found| found.place)
            .collect(),
        Err(error) => vec![error.finding().place],
    };
    for place in places.into_iter().flatten() {
        assert!(
            place.start <= place.end && place.end <= length,
            "{place:?} of {length}"
        );
    }
    let Ok(definition) = read else { return };
    let set = ["*.args.A=1", "*.output+=x", "*.secrets=id=a", "*.push=true"].map(str::to_owned);
    let overrides = Overrides::read(&definition, &set, |_| None);
    if let Ok(plan) = definition.plan(&["*".to_owned()], &overrides.unwrap_or_default()) {
        assert!(serde_json::from_str::<serde_json::Value>(&plan.print()).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn pieces_in_any_order_do_no_harm(at in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = at.iter().map(|at| format!("{} ", PIECES[*at])).collect();
        tried("docker-bake.hcl", text.clone());
        // as what an attribute or a string of JSON has
        tried("docker-bake.hcl", format!("target \"default\" {{\n args = {{ A = {text} }}\n}}\n"));
        let document = serde_json::json!({ "target": { "default": { "tags": [text] } }, "variable": { "V": {} } });
        tried("docker-bake.json", document.to_string());
    }

    #[test]
    fn files_with_damage_do_no_harm(
        seed in 0..SEEDS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), any::<bool>()), 1..6),
    ) {
        let mut chars: Vec<char> = SEEDS[seed].chars().collect();
        for (at, ch, removes) in damage {
            let at = at.index(chars.len());
            if removes {
                chars.remove(at);
            } else {
                chars.insert(at, ch);
            }
        }
        let name = if SEEDS[seed].starts_with('{') { "x.json" } else { "x.hcl" };
        tried(name, chars.into_iter().collect());
    }
}

#[test]
fn what_would_never_end_ends() {
    let doubled: String = (1..60)
        .map(|n| format!("V{n} = \"${{V{}}}${{V{}}}\"\n", n - 1, n - 1))
        .collect();
    let lists: String = (1..60)
        .map(|n| format!("V{n} = [V{}, V{}]\n", n - 1, n - 1))
        .collect();
    let calls: String = (1..60)
        .map(|n| {
            format!(
                "function \"f{n}\" {{\n params = [x]\n result = f{}(x) + f{}(x)\n}}\n",
                n - 1,
                n - 1
            )
        })
        .collect();
    let base = "function \"f0\" {\n params = [x]\n result = x\n}\nA = f59(1)\n";
    let chain: String = (1..5000).map(|n| format!("V{n} = V{}\n", n - 1)).collect();
    let deep = format!("A = {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    let templates = format!("A = \"{}x{}\"\n", "${\"".repeat(500), "\"}".repeat(500));
    let minus = format!("A = {}1\n", "-".repeat(5000));
    let chosen = format!("A = {}1\n", "true ? 1 : ".repeat(5000));
    let added = format!("A = 1{}\n", " + 1".repeat(5000));
    for text in [
        format!("V0 = \"xxxxxxxx\"\n{doubled}"),
        format!("V0 = [1]\n{lists}"),
        format!("{calls}{base}"),
        format!("V0 = 1\n{chain}"),
        deep,
        templates,
        minus,
        chosen,
        added,
    ] {
        tried("docker-bake.hcl", text);
    }
    let axes: String = (0..20).map(|n| format!("a{n} = range(100)\n")).collect();
    tried(
        "docker-bake.hcl",
        format!("target \"t\" {{\n name = \"x\"\n matrix = {{\n{axes}}}\n}}\n"),
    );
}
