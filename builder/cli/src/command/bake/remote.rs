//! A definition that is elsewhere, named before the targets: in a git repository, an archive or a file by http(s). Unaware of what it says.
//!
//! As in buildx, folders of contexts are in the tree that the definition is from, `cwd://` names those of this machine, and a second address is
//! what `BAKE_CMD_CONTEXT` means. A file alone has no tree: its folders are here.

use crate::building::{Builder, Order};
use crate::environment::{Globals, variable};
use crate::failure::{Failure, Kind};
use crate::flag::context::outside;
use kiln_bake::{Base, Source};
use kiln_engine::{ContextSource, Outside, chain_of_causes};
use std::ffi::OsString;

/// buildx's variables with the credentials of the repository, and the secrets that they are.
const CREDENTIALS: [(&str, &str); 2] = [
    ("BUILDX_BAKE_GIT_AUTH_TOKEN", "GIT_AUTH_TOKEN"),
    ("BUILDX_BAKE_GIT_AUTH_HEADER", "GIT_AUTH_HEADER"),
];

/// Where the definition is.
pub struct Remote {
    address: String,
    /// A second address.
    command_context: Option<String>,
    is_git: bool,
    files: Outside,
    builder: Builder,
    credentials: Vec<OsString>,
}

impl Remote {
    /// Fetches what the words before the targets name, if they are addresses.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn open(words: &[String], globals: &Globals) -> Result<Option<Self>, Failure> {
        let Some((address, source)) = address(words.first())? else {
            return Ok(None);
        };
        let credentials = credentials();
        let context = std::iter::once(OsString::from(address));
        let order = Order::read(context.chain(credentials.iter().cloned()), None)?;
        let builder = Builder::open(globals)?;
        let missing = || Failure::usage(format!("{address} is no address"));
        Ok(Some(Remote {
            command_context: address_of(words.get(1))?,
            address: address.clone(),
            is_git: matches!(source, ContextSource::Git(_)),
            files: builder.outside(&order)?.ok_or_else(missing)?,
            builder,
            credentials,
        }))
    }

    /// How many words are addresses.
    pub fn addresses(&self) -> usize {
        1 + usize::from(self.command_context.is_some())
    }

    /// What builds need: what has fetched this, and flags with credentials.
    pub fn into_parts(self) -> (Option<Builder>, Vec<OsString>) {
        (Some(self.builder), self.credentials)
    }

    /// What `BAKE_CMD_CONTEXT` is.
    pub fn command_context(&self) -> &str {
        self.command_context.as_deref().unwrap_or("cwd://")
    }

    /// What folders are relative to.
    pub fn base(&self) -> Base {
        match self.files {
            Outside::File(_) => Base::Here,
            _ if self.is_git => Base::Repository(self.address.clone()),
            Outside::Files(_) => Base::Archive(self.address.clone()),
        }
    }

    /// The files with these names, else those with usual ones.
    ///
    /// # Errors
    /// One is not there.
    pub fn sources(&self, named: &[&String], usual: &[&str]) -> Result<Vec<Source>, Failure> {
        let source = |name: &str, text| Source {
            name: name.to_owned(),
            text,
        };
        if let Outside::File(text) = &self.files {
            return Ok(vec![source(&self.address, text.clone())]);
        }
        let mut sources = Vec::new();
        for name in named {
            let text = self.text(name);
            let failed =
                |why| Failure::new(Kind::Build, format!("{}: {name}: {why}", self.address));
            sources.push(source(name, text.map_err(failed)?));
        }
        if named.is_empty() {
            let found = usual.iter().map(|name| (name, self.files.read(name)));
            let found = found.filter_map(|(name, text)| Some((name, text.ok()??)));
            sources.extend(found.map(|(name, text)| source(name, text)));
        }
        Ok(sources)
    }

    /// The text of a file of the tree.
    ///
    /// # Errors
    /// It is not there, or no text.
    pub fn text(&self, name: &str) -> Result<String, String> {
        let read = self.files.read(name);
        let read = read.map_err(|error| chain_of_causes(&error))?;
        read.ok_or_else(|| "there is no such file".to_owned())
    }
}

fn address(word: Option<&String>) -> Result<Option<(&String, ContextSource)>, Failure> {
    let Some(word) = word else { return Ok(None) };
    Ok(outside(word)?.map(|source| (word, source)))
}

fn address_of(word: Option<&String>) -> Result<Option<String>, Failure> {
    Ok(address(word)?.map(|(word, _)| word.clone()))
}

/// Flags with what opens the repository.
fn credentials() -> Vec<OsString> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let secrets = CREDENTIALS.iter().filter(|(name, _)| is_set(name));
    let secrets = secrets.map(|(name, id)| format!("--secret=id={id},env={name}").into());
    let keys = variable("BUILDX_BAKE_GIT_SSH").filter(|keys| !keys.is_empty());
    let agent = match keys {
        Some(keys) => Some(format!("--ssh=default={keys}")),
        None => is_set("SSH_AUTH_SOCK").then(|| "--ssh=default".to_owned()),
    };
    secrets.chain(agent.map(OsString::from)).collect()
}
