//! What may help a command that failed: what the instruction, its last output and the files below it say together. Nothing here is needed
//! for a build, so that what cannot be read only leaves an advice out. Unaware of how the command was run.

mod complaint;
mod program;

use crate::event::LogFile;
use crate::execute::users::Identity;
use crate::failure::StepError;
use crate::request::RunOptions;
use complaint::Complaint;
use kiln_cache::Chain;
use kiln_parser::almost_json;
use kiln_parser::graph::{CacheMount, Network, RunMount, RunOp};
use std::io::{Read, Seek, SeekFrom};

/// Bytes from the end of the output that are looked at.
const TAIL: u64 = 16 << 10;

/// Where a command failed.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub op: &'a RunOp,
    /// The finished layers below it.
    pub files: &'a Chain,
    pub user: &'a Identity,
    pub options: &'a RunOptions,
    /// Whether RUN has a single user id.
    pub has_one_id: bool,
}

impl Scene<'_> {
    /// The same error with advice, if it is that of a command.
    pub(super) fn advise(&self, mut error: StepError) -> StepError {
        if let StepError::Command { log, hints, .. } = &mut error {
            hints.extend(self.hints(&end(log)));
        }
        error
    }

    fn hints(&self, output: &str) -> Vec<String> {
        let complaint = Complaint::find(output, &self.op.argv);
        let program = complaint.and_then(|complaint| program::advice(self, &complaint));
        let program = self.almost_json().or(program);
        let others = [
            self.secrets(),
            self.caches(output),
            self.packages(output),
            self.one_id(output),
            self.network(output),
            space(output),
        ];
        program
            .into_iter()
            .chain(others.into_iter().flatten())
            .collect()
    }

    /// The command, without the shell that runs it.
    fn command(&self) -> &str {
        self.op.argv.last().map_or("", String::as_str)
    }

    /// An exec form that is no JSON: the shell gets it.
    fn almost_json(&self) -> Option<String> {
        let slip = almost_json::find(self.command())?;
        Some(format!(
            "what begins like the exec form is no JSON array, so the shell reads it: {}; write RUN {}",
            slip.what, slip.meant
        ))
    }

    /// What was not given, and need not be.
    fn secrets(&self) -> Option<String> {
        let id = |mount: &RunMount| match mount {
            RunMount::Secret(secret) if !self.options.secrets.contains_key(&secret.id) => {
                Some(secret.id.clone())
            }
            _ => None,
        };
        let id = self.op.mounts.iter().find_map(id)?;
        Some(format!(
            "the secret {id} was not given: build with --secret id={id},src=FILE"
        ))
    }

    /// A cache that another user owns.
    fn caches(&self, output: &str) -> Option<String> {
        if self.user.uid == 0 || !output.contains("ermission denied") {
            return None;
        }
        let is_foreign = |cache: &&CacheMount| {
            let is_open = cache.mode.is_some_and(|mode| mode & 0o002 != 0);
            cache.from.is_none() && !is_open && cache.uid.unwrap_or(0) != self.user.uid
        };
        let cache = self
            .op
            .mounts
            .iter()
            .filter_map(cache_of)
            .find(is_foreign)?;
        let (target, Identity { uid, gid, .. }) = (&cache.target, self.user);
        Some(format!(
            "the cache mount {target} belongs to user {}, and this step runs as {uid}: \
             --mount=type=cache,target={target},uid={uid},gid={gid}",
            cache.uid.unwrap_or(0)
        ))
    }

    /// Package lists that were never fetched.
    fn packages(&self, output: &str) -> Option<String> {
        let lacks = ["Unable to locate package", "has no installation candidate"];
        let updates = ["apt-get update", "apt update", "aptitude update"];
        let is_lacking = lacks.iter().any(|lack| output.contains(lack));
        let is_updated = updates.iter().any(|update| self.command().contains(update));
        (is_lacking && !is_updated).then(|| {
            "images have no package lists: begin the same RUN with apt-get update &&".to_owned()
        })
    }

    /// What changes its user, where there is one only.
    fn one_id(&self, output: &str) -> Option<String> {
        let calls = [
            "setgroups",
            "setegid",
            "seteuid",
            "setresuid",
            "setresgid",
            "chown",
        ];
        let is_refused = |line: &str| {
            let why = ["Invalid argument", "Operation not permitted"];
            calls.iter().any(|call| line.contains(call)) && why.iter().any(|why| line.contains(why))
        };
        (self.has_one_id && output.lines().any(is_refused)).then(|| {
            "this account has one user id, and the step wants others: give it a range in /etc/subuid and /etc/subgid \
             (`kiln doctor` shows how); apt alone is content with -o APT::Sandbox::User=root"
                .to_owned()
        })
    }

    /// A name that cannot be looked up, where there is no network.
    fn network(&self, output: &str) -> Option<String> {
        let lacks = [
            "Temporary failure",
            "ould not resolve",
            "Network is unreachable",
            "bad address",
        ];
        let is_lacking = lacks.iter().any(|lack| output.contains(lack));
        (is_lacking && self.op.network == Network::None)
            .then(|| "the step has no network: --network=none says so".to_owned())
    }
}

fn cache_of(mount: &RunMount) -> Option<&CacheMount> {
    match mount {
        RunMount::Cache(cache) => Some(cache),
        _ => None,
    }
}

fn space(output: &str) -> Option<String> {
    output.contains("No space left on device").then(|| {
        "`kiln df` shows what the store holds, and `kiln prune` removes what is no longer needed".to_owned()
    })
}

/// The end of a log, as text.
fn end(log: &LogFile) -> String {
    let read = || {
        let mut file = log.open()?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
