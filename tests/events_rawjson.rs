//! `--progress rawjson`, read by a consumer that knows only what BuildKit's `client/graph.go` says of a `SolveStatus`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::support::{Space, plain_cases};

plain_cases! {
    a_consumer_of_buildx_reads_a_build,
    a_consumer_of_buildx_reads_a_failure,
}

/// What the consumer knows of a vertex.
#[derive(Debug, Default)]
struct Vertex {
    name: String,
    inputs: Vec<String>,
    started: Option<String>,
    completed: Option<String>,
    cached: bool,
    error: String,
    log: Vec<u8>,
    statuses: Vec<String>,
    warnings: Vec<String>,
}

/// All vertices by digest.
#[derive(Debug, Default)]
struct Trace(BTreeMap<String, Vertex>);

/// A field that Go would leave out when it is empty.
fn text(object: &Map<String, Value>, name: &str) -> String {
    object
        .get(name)
        .map_or(String::new(), |field| field.as_str().unwrap().to_owned())
}

fn time(object: &Map<String, Value>, name: &str) -> Option<String> {
    let time = object.get(name)?.as_str().unwrap();
    let is_rfc3339 = time.len() > 19 && time.as_bytes()[10] == b'T' && time.ends_with('Z');
    assert!(is_rfc3339, "{time}");
    Some(time.to_owned())
}

fn bytes(object: &Map<String, Value>, name: &str) -> Vec<u8> {
    STANDARD.decode(text(object, name)).unwrap()
}

/// Go's decoder takes no field of another type; this one takes none that it does not know.
fn known(object: &Map<String, Value>, names: &[&str]) {
    let unknown = object.keys().find(|name| !names.contains(&name.as_str()));
    assert_eq!(unknown, None, "{object:?}");
}

impl Trace {
    fn of(stream: &str) -> Self {
        let mut trace = Trace::default();
        for line in stream.lines() {
            let status: Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            let status = status.as_object().unwrap();
            known(status, &["vertexes", "statuses", "logs", "warnings"]);
            let of = |name: &str| -> Vec<Map<String, Value>> {
                let list = status.get(name).and_then(Value::as_array);
                list.into_iter()
                    .flatten()
                    .map(|one| one.as_object().unwrap().clone())
                    .collect()
            };
            of("vertexes")
                .iter()
                .for_each(|vertex| trace.vertex(vertex));
            of("statuses").iter().for_each(|part| trace.part(part));
            of("logs").iter().for_each(|log| trace.log(log));
            of("warnings")
                .iter()
                .for_each(|warning| trace.warning(warning));
        }
        trace
    }

    fn vertex(&mut self, told: &Map<String, Value>) {
        known(
            told,
            &[
                "digest",
                "inputs",
                "name",
                "started",
                "completed",
                "cached",
                "error",
            ],
        );
        let digest = text(told, "digest");
        assert!(
            digest.starts_with("sha256:") && digest.len() == 71,
            "{digest}"
        );
        let inputs = told
            .get("inputs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let inputs: Vec<String> = inputs
            .map(|input| input.as_str().unwrap().to_owned())
            .collect();
        let vertex = self.0.entry(digest).or_default();
        vertex.name = text(told, "name");
        vertex.inputs = inputs;
        vertex.started = time(told, "started");
        vertex.completed = time(told, "completed");
        vertex.cached = told
            .get("cached")
            .is_some_and(|cached| cached.as_bool().unwrap());
        vertex.error = text(told, "error");
    }

    fn of_part(&mut self, told: &Map<String, Value>) -> &mut Vertex {
        let digest = text(told, "vertex");
        self.0
            .get_mut(&digest)
            .expect("the vertex is not known yet")
    }

    fn part(&mut self, told: &Map<String, Value>) {
        known(
            told,
            &[
                "id",
                "vertex",
                "name",
                "total",
                "current",
                "timestamp",
                "started",
                "completed",
            ],
        );
        assert!(told["current"].is_u64() && time(told, "timestamp").is_some());
        let id = text(told, "id");
        self.of_part(told).statuses.push(id);
    }

    fn log(&mut self, told: &Map<String, Value>) {
        known(told, &["vertex", "stream", "data", "timestamp"]);
        assert!(time(told, "timestamp").is_some() && told["stream"].is_u64());
        let data = bytes(told, "data");
        self.of_part(told).log.extend(data);
    }

    fn warning(&mut self, told: &Map<String, Value>) {
        known(
            told,
            &["vertex", "level", "short", "detail", "url", "range"],
        );
        let short = String::from_utf8(bytes(told, "short")).unwrap();
        let url = text(told, "url");
        self.of_part(told).warnings.push(format!("{short} {url}"));
    }

    #[track_caller]
    fn named(&self, name: &str) -> &Vertex {
        let found = self.0.values().find(|vertex| vertex.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

const TEXT: &str = "FROM tools AS base\nMAINTAINER me\nCOPY file /\nRUN printf 'a\\377b\\nlast'\n";

fn a_consumer_of_buildx_reads_a_build(space: &Space) {
    space.write("file", "text");
    let build = |flags: &[&str]| {
        let built = space
            .build(TEXT)
            .args(["--progress", "rawjson"])
            .args(flags)
            .ok();
        Trace::of(&built.stderr)
    };
    let trace = build(&["--no-cache"]);
    let run = trace.named("[base 3/3] RUN printf 'a\\377b\\nlast'");
    assert_eq!(run.log, b"a\xffb\nlast");
    assert!(!run.cached && run.error.is_empty());
    let copy = trace.named("[base 2/3] COPY file /");
    assert!(std::ptr::eq(&trace.0[&run.inputs[0]], copy));
    for vertex in trace.0.values() {
        let ended = vertex.completed.as_ref().expect("a vertex has not ended");
        let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let started = vertex.started.as_ref().unwrap();
        assert!(time(started) <= time(ended), "{vertex:?}");
    }
    trace.named("[internal] load build context");
    let definition = trace.named("[internal] load build definition from Dockerfile");
    let url = "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/";
    let warning = format!(
        "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2) {url}"
    );
    assert!(definition.warnings.contains(&warning), "{definition:?}");
    let image = trace.named("exporting to image");
    let id = format!("writing image {}", space.id("app"));
    assert_eq!(
        image.statuses,
        [id.as_str(), "naming to docker.io/library/app:latest"]
    );
    // another build has other vertices; what it does not do is cached
    let again = build(&[]);
    assert!(again.0.keys().all(|digest| !trace.0.contains_key(digest)));
    assert!(again.named("[base 2/3] COPY file /").cached);
}

fn a_consumer_of_buildx_reads_a_failure(space: &Space) {
    let failed = space
        .build("FROM tools\nRUN echo why; exit 3\nRUN echo never\n")
        .args(["--progress", "rawjson"])
        .exits(1);
    let trace = Trace::of(&failed.stderr);
    let run = trace.named("[stage-0 2/3] RUN echo why; exit 3");
    assert_eq!(
        (run.log.as_slice(), run.error.as_str()),
        (&b"why\n"[..], "the command ended with exit code 3")
    );
    assert!(
        trace
            .named("[stage-0 3/3] RUN echo never")
            .started
            .is_none()
    );
    let end = trace.named("[internal] kiln");
    assert_eq!(end.error, "the build failed");
    assert!(String::from_utf8_lossy(&end.log).contains("Dockerfile:2"));
    let wrong = space
        .build("FROM\n")
        .args(["--progress", "rawjson"])
        .exits(1);
    assert_eq!(
        Trace::of(&wrong.stderr).named("[internal] kiln").error,
        "the Dockerfile has an error"
    );
}
