//! The operation behind `COPY` and `ADD`. Unaware of how it is executed.

use serde::Serialize;

use super::NodeId;
use crate::chmod::Chmod;

/// `COPY` and `ADD`: put `sources` at `destination` in `base`.
///
/// Semantics that the executor owes (BuildKit's): a directory source gives its contents; a
/// symlink named as a source is followed, one inside a tree is kept; a wildcard may match
/// nothing, a path without wildcards must exist; missing parents are made 0755 and take
/// `chown`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CopyOp {
    /// The file system to change. With `link` it is only what the new layer is put upon.
    pub base: NodeId,
    /// Paths and addresses in the order written, then heredocs; later ones overwrite earlier.
    pub sources: Vec<CopySource>,
    /// Absolute and cleaned; a trailing slash (also from `.` or a `WORKDIR`-relative `x/`) is
    /// kept and means "a directory".
    pub destination: String,
    /// `--chown=user[:group]`, expanded, names unresolved. None keeps the owner of files that
    /// come from images and stages; files from contexts, URLs, git and heredocs are 0:0.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--link`: the layer is made without looking at `base`. Already false where the
    /// reference ignores it.
    pub link: bool,
    /// `--parents`: keep the directories of each source below its pivot.
    pub parents: bool,
    /// `--exclude` patterns in the order given (`.dockerignore` syntax, relative to each source).
    pub exclude: Vec<String>,
    /// Whether archives are unpacked.
    pub unpack: Unpack,
    /// True for `ADD`.
    pub is_add: bool,
}

/// One group of sources of a [`CopyOp`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum CopySource {
    /// Paths in a context, a stage or an image.
    Files {
        /// Where they are.
        from: NodeId,
        /// In the order written.
        paths: Vec<SourcePath>,
    },
    /// A heredoc: a file of mode 0644, 0:0.
    Inline {
        /// The delimiter, which is the file's name if the destination is a directory.
        name: String,
        /// Variables expanded and tabs stripped already.
        content: String,
    },
    /// `ADD https://…`: a file of mode 0600, 0:0, with the time of `Last-Modified`.
    Url {
        /// The address, expanded.
        url: String,
        /// The file's name if the destination is a directory (last part of the URL's path).
        name: String,
        /// `--checksum`, as `algorithm:hex`.
        checksum: Option<String>,
    },
    /// `ADD` of a git repository.
    Git(GitSource),
}

/// A path or pattern of `COPY`, relative to the root of its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SourcePath {
    /// Cleaned, no leading or trailing slash, `..` clamped to the root; `""` is the root
    /// itself. May hold wildcards (see [`crate::glob`]); with `--parents` also `**`.
    pub pattern: String,
    /// With `--parents`: the directory (cleaned like `pattern`, may hold wildcards) that
    /// `pattern` starts from and whose name is dropped, i.e. what stood before `/./`;
    /// `""` when there was no pivot. Always `""` without `--parents`.
    pub pivot: String,
}

/// A git repository as a source of `ADD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct GitSource {
    /// The address without fragment and query: `https://github.com/a/b.git`.
    pub remote: String,
    /// Branch, tag or commit; None is the remote's HEAD.
    pub reference: Option<String>,
    /// Folder of the repository that is copied; None is all of it.
    pub subdir: Option<String>,
    /// Prefix (at least 7 hex digits) that the commit must have.
    pub checksum: Option<String>,
    /// `--keep-git-dir` (or the URL's own `keep-git-dir`).
    pub keep_git_dir: bool,
    /// Fetch submodules (the default).
    pub submodules: bool,
}

/// Whether `ADD` and `COPY` unpack archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpack {
    /// Never: `COPY`, `ADD --unpack=false`, `ADD` of a URL.
    No,
    /// Local files of `ADD` that are archives by content are unpacked, others are copied.
    Auto,
    /// `ADD --unpack=true`: files from URLs are unpacked too if they are archives.
    Yes,
}
