//! `kiln stats`: what the steps of builds took.

use serde_json::Value;

use crate::support::{Space, plain_cases};

plain_cases! {
    a_build_has_its_times_and_resources,
    several_builds_are_summed_up,
    a_failed_step_has_used_something,
}

/// A command that takes memory, time of processors, and room on the disk, and two that take nothing.
const TEXT: &str = "FROM tools AS base
RUN i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo work > /work
FROM tools
COPY --from=base /work /work
RUN echo '<b>' > /last
";

fn stats(space: &Space, arguments: &[&str]) -> Value {
    let stats = space
        .kiln(["stats", "--format", "json"])
        .args(arguments)
        .ok();
    serde_json::from_str(&stats.stdout).unwrap()
}

fn a_build_has_its_times_and_resources(space: &Space) {
    space.build(TEXT).ok();
    let first = stats(space, &[]);
    let steps = first["step_stats"].as_array().unwrap();
    assert_eq!(steps.len(), 4, "{first}");
    let number = |step: usize, field: &str| steps[step][field].as_u64();
    for step in [1, 3] {
        assert!(number(step, "cpu_us") > Some(0), "{first}");
        assert!(number(step, "memory") > Some(100_000), "{first}");
        assert!(number(step, "written").is_some(), "{first}");
    }
    assert!(number(1, "cpu_us") > number(3, "cpu_us"), "{first}");
    assert_eq!(steps[2]["cpu_us"], Value::Null, "a copy has no process");
    let needed = [0, 1].map(|step| steps[step]["step"].clone());
    assert_eq!(steps[2]["needs"], serde_json::json!(needed), "{first}");
    assert!(
        steps.iter().all(|step| step["is_critical"] == true),
        "{first}"
    );
    let all: u64 = (0..4).filter_map(|step| number(step, "took_us")).sum();
    assert_eq!(first["critical_us"].as_u64(), Some(all));
    // only what ran has a time to compare
    space.build(&TEXT.replace("/last", "/other")).ok();
    space
        .build(&TEXT.replace("/last", "/other"))
        .arg("--no-cache")
        .ok();
    let third = stats(space, &[]);
    let earlier = |step: usize| {
        third["step_stats"][step]["earlier_us"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!([0, 1, 2, 3].map(earlier), [1; 4], "{third}");
    let table = space.kiln(["stats"]).ok().stdout;
    let headers: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let expected = "STEP INSTRUCTION RESULT TIME USUAL CPU MEMORY WRITTEN LAYER";
    assert_eq!(headers.join(" "), expected);
    assert!(
        table.contains("base 2/2*") && table.contains("; 0 of 4 steps cached\n"),
        "{table}"
    );
    space
        .kiln(["stats", "--format", "html", "-o", "page.html"])
        .ok();
    let page = std::fs::read_to_string(space.own().join("page.html")).unwrap();
    assert!(
        page.contains("RUN echo &#39;&lt;b&gt;&#39;") && !page.contains("<b>"),
        "{page}"
    );
    assert!(
        page.contains("class=\"critical\"") && !page.contains("<script"),
        "{page}"
    );
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
}

fn several_builds_are_summed_up(space: &Space) {
    let text = "FROM tools\nRUN echo one\nRUN echo two\n";
    space.build(text).ok();
    space.build(text).ok();
    space.build(text).arg("--no-cache").ok();
    let counts = |last: &str| -> Vec<(u64, u64, u64)> {
        let summed = stats(space, &["--last", last]);
        let number = |step: &Value, field: &str| step[field].as_u64().unwrap();
        let of = |step: &Value| {
            (
                number(step, "builds"),
                number(step, "ran"),
                number(step, "cached"),
            )
        };
        summed.as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(counts("10"), [(3, 2, 1); 3]);
    assert_eq!(counts("2"), [(2, 1, 1); 3]);
    let table = space.kiln(["stats", "--last", "3"]).ok().stdout;
    assert!(table.contains("3 builds; the time is"), "{table}");
    // a file of the same name in another folder is another project
    space.write_in("other", "Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    space
        .kiln(["build", "-t", "other"])
        .arg(space.path("other"))
        .ok();
    assert_eq!(counts("10"), [(1, 1, 0)]);
    space
        .kiln(["stats", "--last", "2", "--format", "html"])
        .exits(2);
}

fn a_failed_step_has_used_something(space: &Space) {
    let work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let built = space.build_json(&format!("FROM tools\nRUN {work}; exit 7\n"));
    built
        .exits(1)
        .says(&["\"event\":\"failed\"", "\"cpu_us\":"]);
    let last = stats(space, &[]);
    let step = &last["step_stats"][1];
    assert!(step["cpu_us"].as_u64() > Some(0), "{last}");
    assert!(step["memory"].as_u64() > Some(100_000), "{last}");
}
