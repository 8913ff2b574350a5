//! Git repositories for tests: a bare one that a server offers, and the folder in which its author works. Every commit has the
//! same time, 2020-01-02T03:04:05Z. Unaware of how they are fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::space::Space;

/// Runs git as the author of a repository.
#[track_caller]
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
        ])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", "2020-01-02T03:04:05Z")
        .env("GIT_AUTHOR_DATE", "2020-01-02T03:04:05Z")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {text}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository that is served as `/git/<name>.git`.
#[derive(Debug)]
pub struct Repository<'a> {
    space: &'a Space,
    name: &'a str,
}

impl<'a> Repository<'a> {
    /// An empty repository, with a folder to work in.
    pub fn new(space: &'a Space, name: &'a str) -> Self {
        Self::of_format(space, name, "sha1")
    }

    /// The same, whose ids are made by `sha1` or `sha256`.
    pub fn of_format(space: &'a Space, name: &'a str, format: &str) -> Self {
        let format = format!("--object-format={format}");
        let bare = space.path(&format!("repositories/{name}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        git(&bare, &["init", "-q", "--bare", "-b", "main", &format]);
        git(
            &bare,
            &["config", "uploadpack.allowReachableSHA1InWant", "true"],
        );
        let work = space.path(&format!("work-{name}"));
        std::fs::create_dir(&work).unwrap();
        git(&work, &["init", "-q", "-b", "main", &format]);
        Repository { space, name }
    }

    /// Lets servers that know nothing of git offer it, as plain files.
    pub fn publish_as_files(&self) {
        self.publish();
        let bare = self.space.path(&format!("repositories/{}.git", self.name));
        git(&bare, &["update-server-info"]);
    }

    /// The folder to work in.
    pub fn work(&self) -> PathBuf {
        self.space.path(&format!("work-{}", self.name))
    }

    /// Writes a file to be committed.
    pub fn write(&self, path: &str, content: &str) {
        self.space
            .write_in(&format!("work-{}", self.name), path, content);
    }

    /// Commits all files and publishes all branches and tags; the commit.
    pub fn commit(&self) -> String {
        git(&self.work(), &["add", "-A"]);
        git(
            &self.work(),
            &["commit", "-q", "--allow-empty", "-m", "more"],
        );
        self.publish();
        git(&self.work(), &["rev-parse", "HEAD"])
    }

    /// Publishes all branches and tags.
    pub fn publish(&self) {
        let bare = self.space.path(&format!("repositories/{}.git", self.name));
        let bare = bare.to_str().unwrap();
        git(&self.work(), &["push", "-q", "--mirror", bare]);
    }
}
