//! `kiln bake`: what bake files ask for, as `--print` shows it, and builds of several targets at once.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::engine::{self, Engine};
use crate::support::golden::repository;
use crate::support::{Kiln, Space, cases, plain_cases};

plain_cases! {
    what_files_ask_for_is_printed,
    what_is_wrong_is_shown_at_its_place,
    mistakes_without_a_place_are_told,
    lists_are_for_people_and_machines,
    questions_are_answered,
    rights_are_asked_for,
    files_are_found_by_their_usual_names,
    one_that_fails_stops_the_others,
    docker_calls_it,
    what_compose_calls_is_answered,
    services_are_built,
    wrong_compose_files_are_told,
}

cases! {
    targets_are_contexts_of_others,
    a_step_that_targets_share_runs_once,
}

/// The files of a folder of fixtures, and a copy of it to bake them in.
fn fixtures(space: &Space, name: &str) -> (PathBuf, Vec<PathBuf>) {
    let folder = repository().join("fixtures/bake").join(name);
    let files = fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    let kinds = ["hcl", "json", "yaml", "yml"];
    files.retain(|path| {
        path.extension()
            .is_some_and(|end| kinds.iter().any(|kind| end == *kind))
    });
    files.sort();
    (space.copy_of(&folder, name), files)
}

/// `kiln bake --print` of a file with what its `.line` says.
fn printed(space: &Space, folder: &Path, file: &Path) -> Kiln {
    let (variables, arguments) = line(file);
    let mut kiln = space
        .kiln(["bake", "--print", "-f"])
        .arg(file.file_name().unwrap());
    kiln.command().current_dir(folder);
    for (key, value) in variables {
        kiln = kiln.env(&key, value);
    }
    kiln.args(arguments)
}

/// Compares with the golden file beside a file, or writes it.
#[track_caller]
fn is_golden(file: &Path, told: &str) {
    let golden = file.with_extension(format!("{}.expected", extension(file)));
    if std::env::var_os("KILN_BLESS").is_some() {
        fs::write(&golden, told).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(told, expected, "{}", file.display());
}

/// The variables and arguments of a fixture: `NAME=value … -- ARGUMENT…`.
fn line(file: &Path) -> (Vec<(String, String)>, Vec<String>) {
    let text = fs::read_to_string(file.with_extension("line")).unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let Some(end) = words.iter().position(|word| word == "--") else {
        return (Vec::new(), words);
    };
    let variables = words[..end].iter();
    let variables = variables.map(|pair| pair.split_once('=').unwrap());
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    (variables.map(owned).collect(), words[end + 1..].to_vec())
}

fn what_files_ask_for_is_printed(space: &Space) {
    let (folder, files) = fixtures(space, "print");
    let of_compose = |file: &&PathBuf| matches!(extension(file), "yaml" | "yml");
    let composed = files.iter().filter(of_compose).count();
    assert!(composed >= 40 && files.len() - composed >= 60, "{composed}");
    for file in files {
        is_golden(&file, &printed(space, &folder, &file).ok().stdout);
    }
}

/// Every kind of mistake names the file, the line and the column; what is wrong on the command line has none.
fn what_is_wrong_is_shown_at_its_place(space: &Space) {
    let (folder, files) = fixtures(space, "wrong");
    for file in files {
        let told = printed(space, &folder, &file).exits(1);
        let place = format!("--> {}:", file.file_name().unwrap().display());
        let is_placed = told.stderr.contains(&place) && told.stderr.contains('^');
        assert!(is_placed || !line(&file).1.is_empty(), "{told}");
        is_golden(&file, &told.stderr);
    }
}

fn extension(file: &Path) -> &str {
    file.extension().unwrap().to_str().unwrap()
}

/// `kiln bake` of a file in the folder of the context.
fn bake<const N: usize>(space: &Space, arguments: [&str; N]) -> Kiln {
    let mut kiln = space.kiln(["bake"]);
    kiln.command().current_dir(space.context());
    kiln.args(arguments)
}

fn mistakes_without_a_place_are_told(space: &Space) {
    space.write(
        "odd.hcl",
        "target \"default\" {\n  tag = [\"x\"]\n}\nfoo \"x\" {}\n",
    );
    bake(space, ["-f", "odd.hcl", "--print"]).ok().says(&[
        "odd.hcl:2:3: a target has no attribute \"tag\"",
        "did you mean tags?",
        "odd.hcl:4:1: bake has no block \"foo\"",
    ]);
    bake(space, ["-f", "odd.hcl", "--print", "defualt"])
        .exits(1)
        .says(&["did you mean default?"]);
    bake(space, ["-f", "odd.hcl", "--set", "x.tags=y"])
        .exits(1)
        .says(&["could not find any target matching"]);
    bake(space, ["-f", "odd.hcl", "--set", "*.nope=y"])
        .exits(1)
        .says(&["unknown key"]);
    bake(space, ["-f", "none.hcl"])
        .exits(1)
        .says(&["there is no file none.hcl"]);
    bake(space, [])
        .exits(1)
        .says(&["couldn't find a bake definition"]);
}

fn lists_are_for_people_and_machines(space: &Space) {
    let text = "variable \"V\" {\n  default = [\"a\"]\n  description = \"some\"\n}\nvariable \"T\" { type = number }\n\
                target \"a\" { description = \"one\" }\ntarget \"_b\" {}\ngroup \"g\" { targets = [\"a\"] }\n";
    space.write("docker-bake.hcl", text);
    let listed = bake(space, ["--list", "targets"]).ok().stdout;
    let listed: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        listed,
        [["TARGET", "DESCRIPTION"], ["a", "one"], ["g", "a"]]
    );
    let listed = bake(space, ["--list=type=variables,format=json"])
        .ok()
        .stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], "T");
    assert_eq!(listed[0]["type"], "number");
    assert_eq!(listed[1]["value"], "[\"a\"]");
    bake(space, ["--list", "x"]).exits(2);
    bake(space, ["--list", "targets", "--print"]).exits(2);
}

fn questions_are_answered(space: &Space) {
    space.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    space.write("Second", "FROM scratch AS base\nMAINTAINER me\n");
    space.write("docker-bake.hcl", "group \"default\" { targets = [\"a\", \"b\"] }\ntarget \"a\" {}\ntarget \"b\" { dockerfile = \"Second\" }\n");
    let checked = bake(space, ["--check"]).exits(1);
    assert!(checked.stdout.contains("MaintainerDeprecated"), "{checked}");
    let told = bake(space, ["--call", "targets", "b"]).ok().stdout;
    assert!(told.starts_with("b\n\n") && told.contains("base"), "{told}");
}

fn rights_are_asked_for(space: &Space) {
    space.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    space.write_in("elsewhere", "file", "x");
    let text = "target \"default\" {\n  context = \"app\"\n  contexts = { other = \"../elsewhere\" }\n  network = \"host\"\n  output = [\"../out\"]\n}\n";
    space.write("docker-bake.hcl", text);
    bake(space, []).exits(1).says(&[
        "--allow fs.read=../elsewhere",
        "--allow fs.write=../out",
        "--allow network.host",
    ]);
    bake(space, ["--print"]).ok();
    let allowed = [
        "--allow",
        "fs=*",
        "--allow",
        "network.host",
        "--set",
        "*.output=type=cacheonly",
    ];
    bake(space, allowed).ok();
}

fn files_are_found_by_their_usual_names(space: &Space) {
    space.write(
        "docker-bake.json",
        "{\"target\": {\"default\": {\"tags\": [\"json\"], \"target\": \"t\"}}}",
    );
    space.write(
        "docker-bake.override.hcl",
        "target \"default\" { tags = [\"over\"] }\n",
    );
    let printed = bake(space, ["--print"]).ok().stdout;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["target"]["default"]["tags"][0], "over");
    assert_eq!(printed["target"]["default"]["target"], "t");
    space.write("other.hcl", "target \"default\" { tags = [\"other\"] }\n");
    let printed = bake(space, ["--print"]).env("BUILDX_BAKE_FILE", "docker-bake.json:other.hcl");
    assert!(printed.ok().stdout.contains("other"));
    let piped = bake(space, ["-f", "-", "--print", "--var", "T=piped"])
        .stdin("variable \"T\" {}\ntarget \"default\" { tags = [T] }\n");
    assert!(piped.ok().stdout.contains("piped"));
}

const FIRST: &str =
    "FROM tools AS first\nRUN echo made > /made\nFROM first\nCOPY Dockerfile /one\n";

fn targets_are_contexts_of_others(space: &Space) {
    space.write("Dockerfile", FIRST);
    space.write(
        "Top",
        "FROM base AS top\nCOPY --from=files /made /copied\nRUN cat /made /copied > /both\n",
    );
    let text = format!(
        "target \"base\" {{\n  contexts = {{ tools = \"host-tools:{}\" }}\n}}\n\
         target \"files\" {{\n  inherits = [\"base\"]\n  target = \"first\"\n  output = [\"type=local,dest=out\"]\n}}\n\
         target \"default\" {{\n  dockerfile = \"Top\"\n  tags = [\"top:1\", \"top:2\"]\n  contexts = {{ base = \"target:base\", files = \"target:files\" }}\n}}\n\
         group \"all\" {{ targets = [\"default\", \"files\"] }}\n",
        "sh,cat"
    );
    space.write("docker-bake.hcl", text);
    space.give(&space.context());
    let metadata = space.own().join("metadata.json");
    let run = || bake(space, ["all", "--progress", "plain", "--metadata-file"]).arg(&metadata);
    let ended = run().ok();
    ended.says(&["[default top 2/2]", "[files first 1/2]"]);
    assert_eq!(space.image("top:1").text("both"), "made\nmade\n");
    assert_eq!(space.id("top:1"), space.id("top:2"));
    assert_eq!(
        fs::read(space.context().join("out/made")).unwrap(),
        b"made\n"
    );
    let told: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    let digest = told["default"]["containerimage.digest"].clone();
    assert!(digest.is_string() && told["files"].is_object(), "{told}");
    assert!(
        told["default"]["image.name"]
            .as_str()
            .unwrap()
            .contains("top:2")
    );
    // nothing is done again, and the digest stays
    run().ok();
    let again: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    assert_eq!(again["default"]["containerimage.digest"], digest);
}

fn a_step_that_targets_share_runs_once(space: &Space) {
    space.write("Dockerfile", "FROM tools AS shared\nRUN echo run >> /count; sleep 1\nFROM shared\nARG NAME\nRUN echo $NAME > /name\n");
    let text = "group \"default\" { targets = [\"m\"] }\ntarget \"m\" {\n  name = \"m-${n}\"\n  matrix = { n = [\"a\", \"b\", \"c\"] }\n\
                \x20 args = { NAME = n }\n  tags = [\"m:${n}\"]\n  contexts = { tools = \"host-tools:sh,sleep\" }\n}\n";
    space.write("docker-bake.hcl", text);
    let ended = bake(space, ["--progress", "json"]).ok();
    let events: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ran = events
        .iter()
        .filter(|event| event["event"] == "finished" && event["outcome"] == "ran");
    // the base and the shared step once, and one of each target
    assert_eq!(ran.count(), 5, "{}", ended.stderr);
    for name in ["a", "b", "c"] {
        assert_eq!(
            space.image(&format!("m:{name}")).text("name"),
            format!("{name}\n")
        );
    }
}

fn one_that_fails_stops_the_others(space: &Space) {
    space.write("Dockerfile", "FROM tools\nRUN exit 3\n");
    space.write("Slow", "FROM tools\nRUN sleep 1000\n");
    let text = "group \"default\" { targets = [\"bad\", \"slow\"] }\ntarget \"bad\" { contexts = { tools = \"host-tools:sh\" } }\n\
                target \"slow\" {\n  dockerfile = \"Slow\"\n  contexts = { tools = \"host-tools:sh,sleep\" }\n}\n";
    space.write("docker-bake.hcl", text);
    let ended = bake(space, []).exits(1);
    ended.says(&["target bad:"]);
    assert!(!ended.stderr.contains("target slow:"), "{}", ended.stderr);
}

/// The plugin in a home of its own.
fn plugin(space: &Space, line: &str) -> Kiln {
    let home = space.own();
    let script = format!(
        "kiln docker-plugin install 2>/dev/null\ncd \"$CONTEXT\"\n\"$HOME/.docker/cli-plugins/docker-buildx\" {line}"
    );
    space
        .shell(&script)
        .env("HOME", home)
        .env("CONTEXT", space.context())
}

fn docker_calls_it(space: &Space) {
    space.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    space.write(
        "docker-bake.hcl",
        "target \"default\" {\n  tags = [\"x\"]\n  output = [\"type=cacheonly\"]\n}\n",
    );
    assert!(
        plugin(space, "buildx bake --print")
            .ok()
            .stdout
            .contains("cacheonly")
    );
    assert!(
        plugin(space, "buildx f --print --builder x")
            .ok()
            .stdout
            .contains("cacheonly")
    );
    plugin(space, "bake --allow fs=*").ok();
    plugin(
        space,
        "buildx bake --set '*.args.A=b' --provenance=false --sbom false",
    )
    .ok();
}

/// What compose 2.37 and newer write to standard input, as far as these services go.
fn of_compose(web: &Path) -> Value {
    serde_json::json!({
        "group": { "default": { "targets": ["web", "job"] } },
        "target": {
            "web": {
                "context": web, "dockerfile": web.join("Dockerfile"),
                "args": { "PRICE": "$${5}" }, "tags": ["p-web"], "shm-size": 67_108_864,
                "labels": { "com.docker.compose.project": "p" }, "output": ["type=docker"],
            },
            "job": {
                "context": web, "dockerfile-inline": "FROM base\nCOPY Dockerfile /second\n",
                "contexts": { "base": "target:web" }, "tags": ["p-job"], "output": ["type=docker"],
            },
        },
    })
}

/// The names of vertexes in a stream of BuildKit's, which has nothing else.
fn vertexes(stream: &str) -> Vec<String> {
    let known = ["vertexes", "statuses", "logs", "warnings"];
    let mut names = Vec::new();
    for line in stream.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut keys = line.as_object().unwrap().keys();
        assert!(keys.all(|key| known.contains(&key.as_str())), "{line}");
        let vertexes = line["vertexes"].as_array().into_iter().flatten();
        names.extend(vertexes.map(|vertex| vertex["name"].as_str().unwrap().to_owned()));
    }
    names
}

/// The call of compose, and what it reads of the answer.
fn what_compose_calls_is_answered(space: &Space) {
    let engine = Engine::start(&space.own(), engine::Kind::Docker);
    let text = "FROM scratch\nARG PRICE\nCOPY Dockerfile /\nLABEL price=$PRICE\n";
    space.write("web/Dockerfile", text);
    let web = space.context().join("web");
    let metadata = space.own().join("meta.json");
    let line = format!(
        "bake --file - --progress rawjson --metadata-file {} --allow fs.read={}",
        metadata.display(),
        web.display()
    );
    let ended = plugin(space, &line)
        .env("DOCKER_HOST", engine.address())
        .stdin(of_compose(&web).to_string())
        .ok();
    assert_eq!(ended.stdout, "");
    let names = vertexes(&ended.stderr);
    for name in [
        "[web internal] load build definition from Dockerfile",
        "[web stage-0 1/1] COPY Dockerfile /",
        "[job stage-0 1/1] COPY Dockerfile /second",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let told: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    for target in ["web", "job"] {
        assert!(
            told[target]["containerimage.digest"]
                .as_str()
                .unwrap()
                .starts_with("sha256:"),
            "{told}"
        );
        assert_eq!(
            engine.id(&format!("p-{target}:latest")),
            Some(space.id(&format!("p-{target}")))
        );
    }
    assert_eq!(space.image("p-web").setting("Labels")["price"], "${5}");
}

fn services_are_built(space: &Space) {
    space.write(
        "Dockerfile",
        "FROM scratch\nARG WORD\nCOPY Dockerfile /\nLABEL word=$WORD\n",
    );
    let text = "services:\n  web:\n    image: web:${TAG:-v1}\n    build:\n      context: .\n      args: [WORD]\n      labels: {a: b}\n\
                \x20 db:\n    image: postgres\n\
                \x20 job:\n    profiles: [extra]\n    build:\n      additional_contexts: {web: \"service:web\"}\n\
                \x20     dockerfile_inline: |\n        FROM web\n        COPY Dockerfile /second\n      tags: [job]\n";
    space.write("compose.yaml", text);
    space.write(".env", "WORD=\"from file\"\n");
    space.write(
        "docker-bake.hcl",
        "target \"web\" { labels = { c = \"d\" } }\n",
    );
    bake(space, []).ok();
    let web = space.image("web:v1");
    assert_eq!(
        web.setting("Labels"),
        &serde_json::json!({ "a": "b", "c": "d", "word": "from file" })
    );
    assert_eq!(space.image_paths("job"), ["Dockerfile", "second"]);
    bake(space, ["web", "-f", "compose.yaml"])
        .env("TAG", "v2")
        .ok();
    space.id("web:v2");
}

fn wrong_compose_files_are_told(space: &Space) {
    for (text, at, says) in [
        (
            "services:\n  a:\n    build:\n      contxt: .\n",
            "bad.yaml:4:15",
            "did you mean context?",
        ),
        ("services:\n  a: [1\n", "bad.yaml:", "error"),
        (
            "services:\n  a:\n    build: ${NOPE:?say it}\n",
            "bad.yaml:3:12",
            "say it",
        ),
        (
            "services:\n  a:\n    build:\n      privileged: true\n",
            "bad.yaml:4:19",
            "no privileged builds",
        ),
        (
            "services:\n  a:\n    extends: b\n",
            "bad.yaml:3:14",
            "there is no service",
        ),
        (
            "services:\n  a:\n    extends: a\n",
            "bad.yaml:3:14",
            "extend each other",
        ),
        (
            "services: {a: {}, a: {}}\n",
            "bad.yaml:1:19",
            "already defined",
        ),
        (
            "include: [bad.yaml]\n",
            "bad.yaml:",
            "files name each other",
        ),
    ] {
        space.write("bad.yaml", text);
        bake(space, ["-f", "bad.yaml", "--print"])
            .exits(1)
            .says(&[at, says]);
    }
    let mut bomb = "x0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("x{level}: &a{level} [{items}]\n");
    }
    space.write("bad.yaml", bomb + "services: {}\n");
    bake(space, ["-f", "bad.yaml", "--print"])
        .exits(1)
        .says(&["more than 100000 values"]);
}
