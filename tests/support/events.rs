//! The event stream of `--progress json`, as a case asks for it: which steps ran, which were cached. Unaware of how the
//! human renderers show it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::process::Finished;

/// What happened in a build.
#[derive(Debug)]
pub struct Events {
    /// All events in order.
    pub all: Vec<Value>,
    titles: BTreeMap<u64, String>,
}

impl Finished {
    /// The events of a build with `--progress json`.
    #[track_caller]
    pub fn events(&self) -> Events {
        let lines = self.stderr.lines().filter(|line| line.starts_with('{'));
        let all: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!all.is_empty(), "there are no events\n{self}");
        let planned = all.iter().filter(|event| event["event"] == "planned");
        let steps = planned.flat_map(|event| event["steps"].as_array().unwrap());
        let titles = steps.map(|step| {
            (
                step["step"].as_u64().unwrap(),
                step["title"].as_str().unwrap().to_owned(),
            )
        });
        let titles = titles.collect();
        Events { all, titles }
    }
}

impl Events {
    /// Events of a kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(move |event| event["event"] == kind)
    }

    fn title(&self, event: &Value) -> String {
        self.titles[&event["step"].as_u64().unwrap()].clone()
    }

    /// The instructions that were executed, in the order in which they started; without FROM, which copies a named context.
    pub fn ran(&self) -> Vec<String> {
        let titles = self.of("started").map(|event| self.title(event));
        titles.filter(|title| !title.starts_with("FROM ")).collect()
    }

    /// The instructions that were executed, sorted.
    pub fn ran_sorted(&self) -> Vec<String> {
        let mut ran = self.ran();
        ran.sort();
        ran
    }

    /// The instructions that were found in the cache.
    pub fn cached(&self) -> Vec<String> {
        let finished = self
            .of("finished")
            .filter(|event| event["outcome"] == "cached");
        finished
            .map(|event| self.title(event))
            .filter(|title| !title.starts_with("FROM "))
            .collect()
    }

    /// How often an instruction was executed.
    pub fn times(&self, instruction: &str) -> usize {
        self.ran()
            .iter()
            .filter(|title| *title == instruction)
            .count()
    }

    /// The ID of the image.
    #[track_caller]
    pub fn id(&self) -> String {
        self.of("image").next().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}
