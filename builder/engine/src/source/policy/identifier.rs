//! What a build takes from outside as rules see it, under BuildKit's identifiers and attributes, and back. Credentials of addresses
//! are left out. Unaware of rules.

use crate::request::policy::Source;
use crate::source::fetch::address::{self, redacted};
use kiln_oci::{Digest, Reference};
use kiln_parser::graph::GitSource;
use std::collections::BTreeMap;

const IMAGE: &str = "docker-image://";
const LAYOUT: &str = "oci-layout://";
const GIT: &str = "git://";
const FILE_CHECKSUM: &str = "http.checksum";
const GIT_CHECKSUM: &str = "git.checksum";
const GIT_ADDRESS: &str = "git.fullurl";
const GIT_FOLDER: &str = "git.keepgitdir";

impl Source {
    fn new(identifier: String) -> Self {
        Source {
            identifier,
            attributes: BTreeMap::new(),
        }
    }

    fn with(mut self, attribute: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let (attribute, value) = (attribute.to_owned(), value.to_owned());
            self.attributes.insert(attribute, value);
        }
        self
    }

    /// An image, by its full name. What is no name (an ID of the store) stays as it is.
    pub(crate) fn image(reference: &str) -> Self {
        let name = Reference::parse(reference).map(Reference::with_default_tag);
        let name = name.map_or_else(|_| reference.to_owned(), |name| name.to_string());
        Source::new(format!("{IMAGE}{name}"))
    }

    /// An image of the store that is named by its ID.
    pub(crate) fn image_by_id(id: &Digest) -> Self {
        Source::new(format!("{IMAGE}{id}"))
    }

    /// An image of an OCI layout that the command line names.
    pub(crate) fn layout(digest: &str) -> Self {
        Source::new(format!("{LAYOUT}{digest}"))
    }

    /// A file by http(s), in the one spelling of its address.
    pub(crate) fn file(url: &str, checksum: Option<&str>) -> Result<Self, String> {
        let identifier = address::identifier(url)?;
        Ok(Source::new(identifier).with(FILE_CHECKSUM, checksum))
    }

    /// A repository, whatever its protocol; its address is one of [`address::repository`].
    pub(crate) fn git(git: &GitSource) -> Self {
        let address = Address::of(&git.remote);
        let mut identifier = format!("{GIT}{}", address.place());
        let reference = git.reference.as_deref().unwrap_or_default();
        match &git.subdir {
            Some(folder) => identifier += &format!("#{reference}:{folder}"),
            None if !reference.is_empty() => identifier += &format!("#{reference}"),
            None => {}
        }
        Source::new(identifier)
            .with(GIT_ADDRESS, Some(&redacted(&git.remote)))
            .with(GIT_CHECKSUM, git.checksum.as_deref())
            .with(GIT_FOLDER, git.keep_git_dir.then_some("true"))
    }

    /// The image that an image became.
    pub(crate) fn into_image(self) -> Result<String, String> {
        self.check_attributes(&[])?;
        let name = self.identifier.strip_prefix(IMAGE);
        let name = name.ok_or_else(|| format!("an image stays an image ({IMAGE}…)"))?;
        let parsed = Reference::parse(name).map_err(|error| error.to_string())?;
        Ok(parsed.with_default_tag().to_string())
    }

    /// The address and the checksum that a file became; with the credentials of `url` where the address is still that one.
    pub(crate) fn into_file(self, url: &str) -> Result<(String, Option<String>), String> {
        self.check_attributes(&[FILE_CHECKSUM])?;
        let is_web = ["http://", "https://"]
            .iter()
            .any(|scheme| self.identifier.starts_with(scheme));
        if !is_web {
            return Err("a file stays a file (https://…)".to_owned());
        }
        let is_same = address::identifier(url).is_ok_and(|same| same == self.identifier);
        let address = if is_same {
            url.to_owned()
        } else {
            self.identifier
        };
        let checksum = self.attributes.get(FILE_CHECKSUM).cloned();
        Ok((address, checksum.filter(|checksum| !checksum.is_empty())))
    }

    /// The repository that a repository became.
    pub(crate) fn into_git(self, before: &GitSource) -> Result<GitSource, String> {
        self.check_attributes(&[GIT_ADDRESS, GIT_CHECKSUM, GIT_FOLDER])?;
        let rest = self.identifier.strip_prefix(GIT);
        let rest = rest.ok_or_else(|| format!("a repository stays a repository ({GIT}…)"))?;
        let (place, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let attribute = |key: &str| self.attributes.get(key).map(String::as_str);
        let remote = self.remote(&before.remote, place);
        if GitSource::parse(&remote).is_none() {
            return Err(format!("{remote} is no address of a repository"));
        }
        Ok(GitSource {
            remote,
            reference: given(reference),
            subdir: given(folder),
            checksum: attribute(GIT_CHECKSUM).and_then(given),
            keep_git_dir: attribute(GIT_FOLDER) == Some("true"),
            ..before.clone()
        })
    }

    /// The address of the repository at `place`: the one that a rule gives, else the old one, if need be elsewhere.
    fn remote(&self, before: &str, place: &str) -> String {
        let old = Address::of(before);
        let told = self.attributes.get(GIT_ADDRESS);
        match told.filter(|address| **address != redacted(before)) {
            Some(address) => address.clone(),
            None if place == old.place() => before.to_owned(),
            None => old.elsewhere(place),
        }
    }

    /// An attribute that would be ignored is an error.
    fn check_attributes(&self, known: &[&str]) -> Result<(), String> {
        let mut keys = self.attributes.keys();
        match keys.find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(format!("kiln does not know the attribute {unknown} of it")),
            None => Ok(()),
        }
    }
}

/// The parts of a repository's address, which may be `https://host/path`, `ssh://user@host/path` or `user@host:path`.
struct Address<'a> {
    /// With its `://`; empty for the short form.
    scheme: &'a str,
    /// With its `@`, or nothing.
    user: &'a str,
    host: &'a str,
    path: &'a str,
}

impl<'a> Address<'a> {
    fn of(remote: &'a str) -> Self {
        let (scheme, rest) = match remote.find("://") {
            Some(end) => remote.split_at(end + 3),
            None => ("", remote),
        };
        let ends = if scheme.is_empty() { ':' } else { '/' };
        let (authority, path) = rest.split_once(ends).unwrap_or((rest, ""));
        let user = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, host) = authority.split_at(user);
        let path = path.trim_start_matches('/');
        Address {
            scheme,
            user,
            host,
            path,
        }
    }

    /// Host and path in one spelling: without the port that the protocol has anyway.
    fn place(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        let port = match self.scheme.to_ascii_lowercase().as_str() {
            "ssh://" => ":22",
            "git://" => ":9418",
            _ => "",
        };
        let host = host.strip_suffix(port).unwrap_or(&host);
        format!("{}/{}", host.trim_end_matches('.'), self.path)
    }

    /// The same protocol at another `host/path`. A password goes nowhere else; a user is a name.
    fn elsewhere(&self, place: &str) -> String {
        let is_web = self.scheme.starts_with("http");
        let user = if is_web || self.user.contains(':') {
            ""
        } else {
            self.user
        };
        let place = if self.scheme.is_empty() {
            place.replacen('/', ":", 1)
        } else {
            place.to_owned()
        };
        format!("{}{user}{place}", self.scheme)
    }
}
