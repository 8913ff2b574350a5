//! The recipes of `docs/ci`: their YAML is YAML, and their scripts, or the arguments of their pods, build and push to a registry of this
//! machine. `tests/interop/packages` runs those that start containers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kiln_oci::Digest;
use saphyr::{LoadableYamlNode, Yaml};

use crate::support::binary::program;
use crate::support::golden::repository;
use crate::support::registry::{Guard, Registry};
use crate::support::{Mode, Space, mode, plain_cases};

plain_cases! {
    workflows_of_github_build,
    the_action_of_github_installs,
    jobs_of_gitlab_build,
    pipelines_of_jenkins_build,
    pods_build,
}

fn folder() -> PathBuf {
    repository().join("docs/ci")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn yaml(text: &str) -> Yaml<'_> {
    let mut documents = Yaml::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// The values of all keys of a name, wherever they are.
fn values<'a, 'b>(node: &'a Yaml<'b>, name: &str) -> Vec<&'a Yaml<'b>> {
    let mut found: Vec<_> = node.as_mapping_get(name).into_iter().collect();
    let in_mapping = node
        .as_mapping()
        .into_iter()
        .flat_map(|mapping| mapping.values());
    let in_sequence = node.as_vec().into_iter().flatten();
    in_mapping
        .chain(in_sequence)
        .for_each(|node| found.extend(values(node, name)));
    found
}

fn strings<'a>(list: &'a Yaml<'_>) -> Vec<&'a str> {
    list.as_vec()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect()
}

/// A project in the folder where kiln is started, and a registry that demands a login.
struct Place<'a> {
    space: &'a Space,
    registry: Registry,
}

impl<'a> Place<'a> {
    fn new(space: &'a Space) -> Self {
        space.write_in("own", "Dockerfile", "FROM scratch\nCOPY word /\n");
        space.write_in("own", "word", "word");
        Place {
            space,
            registry: Registry::start(Guard::Basic),
        }
    }

    fn name(&self) -> String {
        format!("{}/team/app", self.registry.host)
    }

    /// A script as an agent runs it, with `registry` in place of the registry that it names.
    fn runs(&self, script: &str, named: &str, variables: &[(&str, &str)]) {
        let script = script.replace(named, &self.registry.host);
        let mut shell = self.space.shell(&script);
        for (name, value) in variables {
            shell = shell.env(name, value);
        }
        shell
            .env("IMAGE", self.name())
            .env("CACHE", format!("{}/cache", self.name()))
            .ok();
    }

    /// The registry has the image under this tag, and the cache.
    fn has(&self, tag: &str) -> Digest {
        let manifest = self
            .registry
            .manifest_of(&format!("team/app/manifests/{tag}"));
        assert!(
            self.registry.count("PUT", "team/app/cache/manifests/") > 0,
            "there is no cache"
        );
        self.space.kiln(["logout", &self.registry.host]).ok();
        self.space.remove_store();
        Digest::of(&manifest)
    }

    /// Logs in, for pods that find a file with credentials.
    fn logged_in(&self) {
        let login = self.space.kiln([
            "login",
            "-u",
            "user",
            "--password-stdin",
            &self.registry.host,
        ]);
        login.stdin("password").ok();
    }
}

fn workflows_of_github_build(space: &Space) {
    let text = text("github/workflow.yml");
    let workflow = yaml(&text);
    let place = Place::new(space);
    for job in ["machine", "container"] {
        let job = &workflow["jobs"][job];
        let scripts: Vec<&str> = values(job, "run")
            .iter()
            .map(|script| script.as_str().unwrap())
            .collect();
        let (ours, others): (Vec<&str>, Vec<&str>) =
            scripts.iter().partition(|script| script.contains("kiln"));
        assert_eq!((ours.len(), others.len()), (2, 1));
        for script in ours {
            place.runs(
                script,
                "ghcr.io",
                &[
                    ("TOKEN", "password"),
                    ("GITHUB_ACTOR", "user"),
                    ("GITHUB_SHA", "0a1b"),
                ],
            );
        }
        place.has("0a1b");
    }
    assert_eq!(values(&workflow, "uses").len(), 4);
}

fn the_action_of_github_installs(space: &Space) {
    if ["curl", "bash"]
        .iter()
        .any(|tool| Command::new(tool).arg("--version").output().is_err())
    {
        return mode::skip(
            "the action of GitHub",
            Mode::Caller,
            "there is no curl or no bash",
        );
    }
    let text = text("github/action.yml");
    let action = yaml(&text);
    let script = values(&action, "run")[0].as_str().unwrap().to_owned();
    // an archive as the release has it
    fs::create_dir(space.own().join("kiln-0")).unwrap();
    symlink(program(), space.own().join("kiln-0/kiln")).unwrap();
    space.shell("tar -czf kiln.tar.gz kiln-0").ok();
    let digest = Digest::of(&fs::read(space.own().join("kiln.tar.gz")).unwrap()).to_string();
    let url = format!("file://{}", space.own().join("kiln.tar.gz").display());
    let run = |digest: &str| {
        let bash = space
            .shell("exec bash -c \"$0\"")
            .arg(&script)
            .env("URL", &url);
        let bash = bash.env("SHA256", digest.trim_start_matches("sha256:"));
        bash.env("RUNNER_TEMP", space.own())
            .env("GITHUB_PATH", space.own().join("path"))
            .run()
    };
    let installed = run(&digest);
    assert!(
        installed.status.success() && installed.stdout.starts_with("kiln 0."),
        "{installed}"
    );
    let path = fs::read_to_string(space.own().join("path")).unwrap();
    assert!(Path::new(path.trim()).join("kiln").exists(), "{path}");
    assert!(!run(&Digest::of(b"another").to_string()).status.success());
}

fn jobs_of_gitlab_build(space: &Space) {
    let text = text("gitlab-ci.yml");
    let file = yaml(&text);
    let place = Place::new(space);
    let script = strings(&file[".image"]["script"]).join("\n");
    let registry = place.registry.host.clone();
    let variables = [
        ("CI_REGISTRY", registry.as_str()),
        ("CI_REGISTRY_USER", "user"),
        ("CI_REGISTRY_PASSWORD", "password"),
    ];
    place.runs(&script, "registry.example", &variables);
    place.has("latest");
    for job in ["image-docker", "image-kubernetes"] {
        assert_eq!(file[job]["extends"].as_str(), Some(".image"));
    }
}

fn pipelines_of_jenkins_build(space: &Space) {
    let place = Place::new(space);
    for name in ["docker", "kubernetes"] {
        let text = text(&format!("jenkins/{name}.Jenkinsfile"));
        let (_, script) = text.split_once("sh '''").unwrap();
        let (script, _) = script.split_once("'''").unwrap();
        let variables = [
            ("REGISTRY_USR", "user"),
            ("REGISTRY_PSW", "password"),
            ("BUILD_NUMBER", "7"),
        ];
        place.runs(script, "registry.example", &variables);
        place.has("7");
        if let Some((_, pod)) = text.split_once("yaml '''\n") {
            assert_eq!(
                yaml(pod.split_once("'''").unwrap().0)["kind"].as_str(),
                Some("Pod")
            );
        }
    }
}

/// Arguments with what the cluster puts in place of names.
fn filled(arguments: &[&str], names: &BTreeMap<&str, String>) -> Vec<String> {
    let fill = |argument: &&str| {
        names
            .iter()
            .fold((*argument).to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
    };
    arguments.iter().map(fill).collect()
}

fn pods_build(space: &Space) {
    let place = Place::new(space);
    let own = space.own().display().to_string();
    let tekton = text("tekton.yaml");
    let task = yaml(&tekton);
    let names = BTreeMap::from([
        ("$(params.IMAGE)", place.name() + ":v1"),
        ("$(params.CACHE)", place.name() + "/cache"),
        ("$(params.DOCKERFILE)", "Dockerfile".to_owned()),
        ("$(params.CONTEXT)", ".".to_owned()),
        ("$(results.IMAGE_DIGEST.path)", format!("{own}/digest")),
    ]);
    place.logged_in();
    space
        .kiln(filled(&strings(&task["spec"]["steps"][0]["args"]), &names))
        .ok();
    let digest = fs::read_to_string(space.own().join("digest")).unwrap();
    assert_eq!(digest, place.has("v1").to_string());
    let job = text("kubernetes-job.yaml");
    let job = yaml(&job);
    let pod = &job["spec"]["template"]["spec"];
    let names = BTreeMap::from([("$(IMAGE)", place.name()), ("/workspace", own)]);
    place.logged_in();
    space
        .kiln(filled(&strings(&pod["containers"][0]["args"]), &names))
        .ok();
    place.has("v1");
    // what the containers mount is there
    let volumes: Vec<_> = pod["volumes"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|volume| volume["name"].as_str())
        .collect();
    let mounts = values(pod, "volumeMounts")
        .into_iter()
        .flat_map(|mounts| mounts.as_vec().unwrap());
    assert!(
        mounts
            .map(|mount| mount["name"].as_str())
            .all(|name| volumes.contains(&name))
    );
}

/// What the pages name is there.
#[test]
fn links_of_the_pages_lead_somewhere() {
    for page in [
        "README.md",
        "from-kaniko.md",
        "from-buildah.md",
        "from-buildx.md",
    ] {
        let text = text(page);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            assert!(
                link.contains("://") || folder().join(link).exists(),
                "{page}: {link}"
            );
        }
    }
    for script in ["docker.sh", "podman.sh"] {
        let checked = Command::new("sh")
            .arg("-n")
            .arg(folder().join(script))
            .status()
            .unwrap();
        assert!(checked.success(), "{script}");
    }
}
