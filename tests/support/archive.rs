//! Images that travel: saved beside the store, loaded into other stores of the same space. Unaware of what is asserted of them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::image::members;
use super::{Kiln, Space};

/// Two layers.
const POEM: &str = "FROM scratch
COPY one /one
COPY two /two
LABEL poem=1
";

/// One layer that both platforms share, one that they do not.
const PLATFORMS: &str = "FROM scratch AS shared
COPY both /both
FROM shared
ARG TARGETARCH
COPY $TARGETARCH /own
LABEL for=$TARGETARCH
";

impl Space {
    /// Saves into a file of the space.
    pub fn save(&self, arguments: &[&str], file: &str) -> PathBuf {
        let path = self.own().join(file);
        self.kiln(["save", "-o"]).arg(&path).args(arguments).ok();
        path
    }

    /// The binary with another store of this space.
    pub fn in_store(&self, store: &str, arguments: &[&str]) -> Kiln {
        let root = self.own().join(store);
        self.kiln(arguments).env("KILN_STORE", root)
    }

    /// Loads a file into another store of this space, which then is whole.
    #[track_caller]
    pub fn load_in(&self, store: &str, archive: &Path) {
        self.in_store(store, &["load", "-i"]).arg(archive).ok();
        assert_eq!(self.in_store(store, &["fsck"]).ok().stdout, "clean\n");
    }

    /// Builds `app` of two layers of 36 kB; its ID.
    pub fn poem(&self) -> String {
        self.write("one", "one fish\n".repeat(4000));
        self.write("two", "two fish\n".repeat(4000));
        self.build(POEM).ok();
        self.id("app")
    }

    /// Builds `app` for linux/amd64 and linux/arm64.
    pub fn two_platforms(&self) {
        self.write("both", "both");
        self.write("amd64", "intel");
        self.write("arm64", "arm");
        self.build(PLATFORMS)
            .args(["--platform", "linux/amd64,linux/arm64"])
            .ok();
    }
}

/// What `index.json` of an archive lists.
pub fn listed(archive: &[u8]) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&members(archive)["index.json"]).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

/// The document that a descriptor names.
#[track_caller]
pub fn described(archive: &[u8], descriptor: &Value) -> Value {
    let name = descriptor["digest"].as_str().unwrap().replace(':', "/");
    serde_json::from_slice(&members(archive)[&format!("blobs/{name}")]).unwrap()
}
