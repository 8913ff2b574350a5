//! A daemon of another engine for tests: docker's Engine API on a socket, as far as images go into it. It keeps the images that are loaded, and
//! refuses what it cannot put together, as docker does. Unaware of kiln.

use kiln_oci::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How a daemon behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Images have the IDs of their configs.
    Docker,
    /// Images are stored as containerd stores them: their IDs are those of manifests.
    Containerd,
    /// It knows its images, but the layers of those loaded before are gone when an archive lacks them.
    Forgetful,
    /// It takes nothing.
    Full,
}

#[derive(Debug, Default)]
struct State {
    /// Diff IDs by image ID.
    images: BTreeMap<String, Vec<Digest>>,
    /// What the archives held in which images came, by image ID.
    archives: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Image IDs by name.
    names: BTreeMap<String, String>,
    /// Layers in each archive that came.
    loads: Vec<usize>,
    asked: Vec<String>,
}

/// A running daemon.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Engine {
    /// Starts one that has nothing, on a socket in a folder.
    pub fn start(folder: &Path, kind: Kind) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || while serve(&connection, kind, &shared).is_some() {});
            }
        });
        Engine { socket, state }
    }

    /// As `DOCKER_HOST` says it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Layers in each archive that came so far.
    pub fn loads(&self) -> Vec<usize> {
        self.state.lock().unwrap().loads.clone()
    }

    /// What a name means.
    pub fn id(&self, name: &str) -> Option<String> {
        self.state.lock().unwrap().names.get(name).cloned()
    }

    /// The requests so far, as `GET /path`.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

/// Answers one request; none when the connection ends.
fn serve(mut connection: &UnixStream, kind: Kind, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.rsplit_once(' ')?.0.to_owned();
    let mut state = state.lock().unwrap();
    state.asked.push(line.clone());
    let saved = line.strip_prefix("GET /images/");
    let saved = saved.and_then(|image| state.saved(image.strip_suffix("/get")?));
    let (status, answer) = match saved {
        Some(archive) => ("200 OK", archive),
        None => {
            let (status, answer) = state.answer(&line, &body, kind);
            (status, answer.into_bytes())
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    connection
        .write_all(&[head.as_bytes(), &answer].concat())
        .ok()
}

impl State {
    /// An image as `docker save ID` writes it: without a name.
    fn saved(&self, image: &str) -> Option<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in self.archives.get(image)? {
            let mut content = content.clone();
            if name == "manifest.json" {
                let mut manifest: Value = serde_json::from_slice(&content).unwrap();
                manifest[0]["RepoTags"] = Value::Null;
                content = manifest.to_string().into_bytes();
            }
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, name, &content[..])
                .unwrap();
        }
        Some(archive.into_inner().unwrap())
    }

    fn answer(&mut self, line: &str, body: &[u8], kind: Kind) -> (&'static str, String) {
        let (method, address) = line.split_once(' ').unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let (ok, missing) = ("200 OK", "404 Not Found");
        match (method, path) {
            ("GET", "/info") => (ok, info(kind)),
            ("GET", "/images/json") => {
                let ids = self.images.keys().map(|id| json!({"Id": id}));
                (ok, Value::from_iter(ids).to_string())
            }
            ("POST", "/images/load") => (ok, self.load(body, kind)),
            (method, path) => {
                let image = path.strip_prefix("/images/").unwrap_or_default();
                let image = image
                    .trim_end_matches("/json")
                    .trim_end_matches("/tag")
                    .to_owned();
                let tagged = format!("{image}:latest");
                let id = self.names.get(&image).or(self.names.get(&tagged));
                let id = id.unwrap_or(&image).clone();
                let Some(layers) = self.images.get(&id) else {
                    return (missing, json!({"message": "No such image"}).to_string());
                };
                match method {
                    "GET" => (
                        ok,
                        json!({"Id": id, "RootFS": {"Layers": layers}}).to_string(),
                    ),
                    "DELETE" => {
                        self.names.remove(&image);
                        (ok, "[]".to_owned())
                    }
                    _ => {
                        let name = query.replace("repo=", "").replace("&tag=", ":");
                        self.names.insert(name, id);
                        ("201 Created", String::new())
                    }
                }
            }
        }
    }

    /// Takes the images of an archive in, unless one lacks a layer; containerd's store gives the name before it finds that.
    fn load(&mut self, body: &[u8], kind: Kind) -> String {
        let files = files(body);
        let of = |name: &str| serde_json::from_slice::<Value>(&files[name]).unwrap();
        let blobs = files
            .keys()
            .filter(|name| name.starts_with("blobs/"))
            .count();
        for entry in of("manifest.json").as_array().unwrap() {
            let config = entry["Config"].as_str().unwrap();
            let layers = entry["Layers"].as_array().unwrap();
            let diff_ids = of(config)["rootfs"]["diff_ids"].clone();
            let diff_ids: Vec<Digest> = serde_json::from_value(diff_ids).unwrap();
            let came = layers
                .iter()
                .filter(|layer| files.contains_key(layer.as_str().unwrap()))
                .count();
            self.loads.push(came);
            assert!(blobs >= came);
            let id = match kind {
                Kind::Containerd => of("index.json")["manifests"][0]["digest"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                _ => Digest::of(&files[config]).to_string(),
            };
            let lacking = diff_ids.len() - came;
            let holds = |held: &Vec<Digest>| {
                held.len() >= lacking && held[..lacking] == diff_ids[..lacking]
            };
            let is_whole =
                lacking == 0 || kind != Kind::Forgetful && self.images.values().any(holds);
            let names = entry["RepoTags"].as_array().into_iter().flatten();
            let names = names.map(|name| {
                name.as_str()
                    .unwrap()
                    .trim_start_matches("docker.io/library/")
                    .to_owned()
            });
            if kind == Kind::Full || !is_whole {
                if kind == Kind::Full {
                    names.for_each(|name| drop(self.names.insert(name, id.clone())));
                    self.images.insert(id, Vec::new());
                }
                let why = "open layer.tar: no such file or directory";
                return json!({"errorDetail": {"message": why}, "error": why}).to_string();
            }
            names.for_each(|name| drop(self.names.insert(name, id.clone())));
            self.images.insert(id.clone(), diff_ids);
            let kept = |name: &String| name == "manifest.json" || name.starts_with("blobs/");
            let kept = files.iter().filter(|(name, _)| kept(name));
            let kept = kept.map(|(name, content)| (name.clone(), content.clone()));
            self.archives.insert(id, kept.collect());
        }
        json!({"stream": "Loaded image"}).to_string()
    }
}

fn info(kind: Kind) -> String {
    let status = match kind {
        Kind::Containerd => json!([["driver-type", "io.containerd.snapshotter.v1"]]),
        _ => json!([["Backing Filesystem", "extfs"]]),
    };
    json!({"DriverStatus": status}).to_string()
}

/// The files of a tar.
fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
    files
}
