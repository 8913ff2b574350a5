//! Platforms (`linux/arm64`), parsed and normalised as containerd's `platforms` package does.
//! Unaware of what the machine can emulate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image runs on. Values made by [`Platform::parse`] are normalised; values read from JSON
/// are as written and compared through [`Platform::matches`].
///
/// JSON: the `platform` object of a descriptor (OCI image specification, "Image Index").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH: `amd64`, `arm64`, `arm`, …
    pub architecture: String,
    /// GOOS: `linux`, `windows`, …
    pub os: String,
    /// Windows build, for example `10.0.14393.1066`.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the image demands of the system (`win32k`).
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the processor: `v7` for arm; none for amd64 (v1) and arm64 (v8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not one to three parts between slashes.
    #[error("invalid platform {0:?}: expected os/architecture or os/architecture/variant")]
    Shape(String),
    /// A part is empty or has other characters than letters, digits, `_`, `.` and `-`.
    #[error("invalid platform {platform:?}: {part:?} is not a name")]
    Part {
        /// The whole text.
        platform: String,
        /// The part.
        part: String,
    },
    /// One word that is neither an operating system nor an architecture.
    #[error(
        "unknown operating system or architecture {0:?}: expected os/architecture, for example linux/amd64"
    )]
    Unknown(String),
}

/// Operating systems that may stand alone (those of Go).
const KNOWN_OS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// Architectures that may stand alone (those of Go that images exist for).
pub const KNOWN_ARCHITECTURES: [&str; 17] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc",
    "ppc64", "ppc64le", "riscv", "riscv64", "s390x", "sparc64", "wasm",
];

impl Platform {
    /// A normalised platform from its two usual parts.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self::normal(os, architecture, None)
    }

    /// The platform that this program was compiled for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "loongarch64" => "loong64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            other => other,
        };
        Self::new("linux", architecture)
    }

    /// Parses `os/architecture[/variant]`, a lone operating system or a lone architecture; the
    /// missing part is the host's. `os(version)` sets the OS version.
    ///
    /// # Errors
    /// [`PlatformError`] when the shape, a part or a lone word is not understood.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let (os, version) = split_version(parts[0]);
        for part in [os]
            .into_iter()
            .chain(version)
            .chain(parts[1..].iter().copied())
        {
            if !is_name(part) {
                return Err(PlatformError::Part {
                    platform: text.into(),
                    part: part.into(),
                });
            }
        }
        let mut platform = match parts[..] {
            [_] => Self::from_word(os)?,
            [_, architecture] => Self::new(os, architecture),
            [_, architecture, variant] => Self::normal(os, architecture, Some(variant)),
            _ => return Err(PlatformError::Shape(text.into())),
        };
        platform.os_version = version.map(Into::into);
        Ok(platform)
    }

    fn from_word(word: &str) -> Result<Self, PlatformError> {
        let host = Self::host();
        let as_os = Self::normal(word, &host.architecture, host.variant.as_deref());
        if KNOWN_OS.contains(&as_os.os.as_str()) {
            return Ok(as_os);
        }
        let as_architecture = Self::new(&host.os, word);
        if KNOWN_ARCHITECTURES.contains(&as_architecture.architecture.as_str()) {
            return Ok(as_architecture);
        }
        Err(PlatformError::Unknown(word.into()))
    }

    /// Lower-case, with aliases replaced and the default variant of each architecture in its usual
    /// form: left out for amd64 and arm64, `v7` for arm.
    fn normal(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (os, architecture) = (os.to_ascii_lowercase(), architecture.to_ascii_lowercase());
        let os = if os == "macos" { "darwin".into() } else { os };
        let variant = variant.map(str::to_ascii_lowercase).unwrap_or_default();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", _) => ("amd64", variant.as_str()),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", _) => ("arm64", variant.as_str()),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        Self {
            architecture: architecture.into(),
            os,
            os_version: None,
            os_features: Vec::new(),
            variant: Some(variant).filter(|v| !v.is_empty()).map(Into::into),
        }
    }

    /// The same platform with aliases replaced, as [`Platform::parse`] would give it.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Self::normal(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Whether both name the same operating system, architecture and variant after normalisation.
    /// OS versions are compared only when both have one; features are not compared.
    pub fn matches(&self, other: &Self) -> bool {
        let (a, b) = (self.normalized(), other.normalized());
        let same_version =
            a.os_version.is_none() || b.os_version.is_none() || a.os_version == b.os_version;
        same_version && (a.os, a.architecture, a.variant) == (b.os, b.architecture, b.variant)
    }
}

impl Platform {
    /// How well what is made for `other` runs on this platform, the smaller the better; `None` when it does not. As containerd's
    /// `platforms.Only`: a processor also runs what is for its older variants, amd64 also 386, arm64 also arm.
    pub fn rank(&self, other: &Self) -> Option<usize> {
        if self.matches(other) {
            return Some(0);
        }
        let older = self.normalized().older();
        let found = older.iter().position(|older| older.matches(other));
        found.map(|position| position + 1)
    }

    /// What else runs here, the best first.
    fn older(&self) -> Vec<Self> {
        let version = |default| {
            let digits = self.variant.as_deref().map(|v| v.trim_start_matches('v'));
            digits.map_or(Some(default), |v| v.parse::<u8>().ok())
        };
        let with = |architecture: &str, versions: std::ops::Range<u8>| {
            let variants = versions.rev().map(|version| format!("v{version}"));
            let platform = |variant: String| Self {
                os_version: self.os_version.clone(),
                ..Self::normal(&self.os, architecture, Some(&variant))
            };
            variants.map(platform).collect::<Vec<_>>()
        };
        let mut older = Vec::new();
        match self.architecture.as_str() {
            "amd64" => {
                older.extend(with("amd64", 1..version(1).unwrap_or(1).min(9)));
                older.push(Self::new(&self.os, "386"));
            }
            "arm64" => {
                older.extend(with("arm64", 8..version(8).unwrap_or(8).min(10)));
                older.extend(with("arm", 5..9));
            }
            "arm" => older.extend(with("arm", 5..version(7).unwrap_or(7).min(9))),
            _ => {}
        }
        older
    }
}

/// Splits `windows(10.0.17763)`.
fn split_version(os: &str) -> (&str, Option<&str>) {
    match os.strip_suffix(')').and_then(|os| os.split_once('(')) {
        Some((os, version)) => (os, Some(version)),
        None => (os, None),
    }
}

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

/// As [`Platform::parse`] reads it, which containerd calls `FormatAll`: with the version of the operating system.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.os_version {
            Some(version) => write!(f, "{}({version})/{}", self.os, self.architecture)?,
            None => write!(f, "{}/{}", self.os, self.architecture)?,
        }
        self.variant
            .as_ref()
            .map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_replaced() {
        for (given, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("amd64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("riscv64", "linux/riscv64"),
        ] {
            assert_eq!(
                Platform::parse(given).unwrap().to_string(),
                normal,
                "{given}"
            );
        }
        assert_eq!(Platform::parse("linux").unwrap(), Platform::host());
        let windows = Platform::parse("windows(10.0.1)/amd64").unwrap();
        assert_eq!(windows.to_string(), "windows(10.0.1)/amd64");
        assert_eq!(
            Platform::parse("windows(10.0.1)/amd64")
                .unwrap()
                .os_version
                .as_deref(),
            Some("10.0.1")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "/",
            "linux/",
            "/amd64",
            "linux/amd64/v1/x",
            "linux/a md",
            "vax",
            "linux/$ARCH",
            "linux()/amd64",
        ] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn matching_ignores_how_the_default_variant_is_written() {
        let parse = |text| Platform::parse(text).unwrap();
        let written = Platform {
            variant: Some("v8".into()),
            ..parse("linux/arm64")
        };
        assert!(parse("linux/arm64").matches(&written) && written.matches(&parse("arm64")));
        assert!(!parse("linux/arm/v6").matches(&parse("linux/arm")));
        assert!(!parse("linux/amd64").matches(&parse("windows/amd64")));
    }

    #[test]
    fn processors_run_what_is_for_older_ones() {
        let rank = |here: &str, image: &str| {
            Platform::parse(here)
                .unwrap()
                .rank(&Platform::parse(image).unwrap())
        };
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/386"), Some(1));
        assert_eq!(rank("linux/amd64", "linux/amd64/v2"), None);
        assert!(rank("linux/amd64/v3", "linux/amd64/v2") < rank("linux/amd64/v3", "linux/amd64"));
        assert!(rank("linux/arm64", "linux/arm/v8") < rank("linux/arm64", "linux/arm/v7"));
        assert_eq!(rank("linux/arm/v6", "linux/arm/v7"), None);
        assert_eq!(rank("linux/arm/v7", "linux/arm/v6"), Some(1));
        assert_eq!(rank("linux/arm64", "linux/amd64"), None);
        assert_eq!(rank("linux/amd64", "windows/amd64"), None);
    }

    #[test]
    fn json_is_the_specification_s() {
        let json = r#"{"architecture":"arm","os":"linux","variant":"v7"}"#;
        let platform: Platform = serde_json::from_str(json).unwrap();
        assert_eq!(platform, Platform::parse("linux/arm/v7").unwrap());
        assert_eq!(serde_json::to_string(&platform).unwrap(), json);
    }
}
