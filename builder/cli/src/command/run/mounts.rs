//! `--mount`, `--tmpfs`, `--read-only`: what a container sees besides its image, and whether it may write to that. Unaware of how it is
//! mounted.

use crate::failure::Failure;
use crate::flag::Flag;
use crate::flag::volume::{place, source};
use crate::pflag::{Takes, boolean};
use crate::units;
use kiln_engine::trial::Tmpfs;
use kiln_engine::{Request, Volume, VolumeAccess};
use kiln_parser::csv;

/// What to do instead of a volume with a name.
const NO_VOLUMES: &str =
    "kiln has no volumes: write type=bind,src=FOLDER,dst=PATH for a folder of this machine";
/// The mode of a folder for temporary files.
const TEMPORARY: u32 = 0o1777;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// The same as --volume and --tmpfs: type=bind,src=PATH,dst=PATH[,ro], or type=tmpfs,dst=PATH (may be repeated)
    #[arg(long, value_name = "TYPE,…", add = Takes::StrictList)]
    mount: Vec<String>,
    /// Empty folder in memory, as PATH[:size=64m,mode=1777,ro] (may be repeated)
    #[arg(long, value_name = "PATH[:OPTIONS]", add = Takes::StrictList)]
    tmpfs: Vec<String>,
    /// Refuse writes to the image's files
    #[arg(long, add = Takes::Switch)]
    pub read_only: bool,
}

/// One `--mount`.
#[derive(Debug, Default)]
struct Fields {
    kind: String,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    size: Option<u64>,
    mode: Option<u32>,
}

impl Flag for Flags {
    /// Folders of this machine are as those of `--volume`.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.mount {
            let bind = Fields::read(text).and_then(|fields| fields.bind());
            let bind = bind.map_err(|why| of_mount(text, &why))?;
            request.run.volumes.extend(bind);
        }
        Ok(())
    }
}

impl Flags {
    /// File systems in memory.
    pub fn tmpfs(&self) -> Result<Vec<Tmpfs>, Failure> {
        let mut all = Vec::new();
        for text in &self.mount {
            let tmpfs = Fields::read(text).and_then(|fields| fields.tmpfs());
            all.extend(tmpfs.map_err(|why| of_mount(text, &why))?);
        }
        for text in &self.tmpfs {
            let wrong = |why| Failure::usage(format!("--tmpfs {text}: {why}"));
            all.push(tmpfs(text).map_err(wrong)?);
        }
        Ok(all)
    }
}

fn of_mount(text: &str, why: &str) -> Failure {
    Failure::usage(format!("--mount {text}: {why}"))
}

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        let mut fields = Fields::default();
        for field in csv::fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (&*field, None),
            };
            fields.set(&key.trim().to_ascii_lowercase(), value)?;
        }
        match &*fields.kind {
            "bind" | "tmpfs" => Ok(fields),
            // docker's default
            "" | "volume" => Err(NO_VOLUMES.to_owned()),
            other => Err(format!("kiln mounts bind and tmpfs, and no {other:?}")),
        }
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let needed = || {
            value
                .map(str::to_owned)
                .ok_or(format!("{key} needs a value"))
        };
        match key {
            "type" => self.kind = needed()?.to_ascii_lowercase(),
            "source" | "src" => self.source = Some(needed()?),
            "target" | "dst" | "destination" => self.target = Some(needed()?),
            "readonly" | "ro" => {
                let is_on = boolean(value.unwrap_or("true"));
                self.read_only = is_on.ok_or(format!("{key} is true or false"))?;
            }
            "tmpfs-size" => self.size = Some(units::parse_memory(&needed()?)?),
            "tmpfs-mode" => self.mode = Some(mode(&needed()?)?),
            _ => return unneeded(key, value),
        }
        Ok(())
    }

    fn place(&self) -> Result<String, String> {
        let target = self.target.as_deref();
        place(target.ok_or("it needs a target, as dst=PATH")?)
    }

    fn bind(&self) -> Result<Option<Volume>, String> {
        if self.kind != "bind" {
            return Ok(None);
        }
        let given = self.source.as_deref();
        Ok(Some(Volume {
            source: source(given.ok_or("it needs a source, as src=PATH")?)?,
            target: self.place()?,
            access: match self.read_only {
                true => VolumeAccess::ReadOnly,
                false => VolumeAccess::Kept,
            },
        }))
    }

    fn tmpfs(&self) -> Result<Option<Tmpfs>, String> {
        if self.kind != "tmpfs" {
            return Ok(None);
        }
        if self.source.is_some() {
            return Err("a tmpfs has no source".to_owned());
        }
        Ok(Some(Tmpfs {
            target: self.place()?,
            size: self.size,
            mode: self.mode.unwrap_or(TEMPORARY),
            read_only: self.read_only,
        }))
    }
}

/// What is so in any case, or cannot be.
fn unneeded(key: &str, value: Option<&str>) -> Result<(), String> {
    match key {
        "bind-propagation" if matches!(value, Some("private" | "rprivate")) => Ok(()),
        "bind-propagation" => Err("mounts of a container are private".to_owned()),
        // folders in the folder are there too, and as read-only as it is
        "bind-recursive" if matches!(value, Some("enabled" | "readonly")) => Ok(()),
        "consistency" => Ok(()),
        _ if key.starts_with("volume-") => Err(NO_VOLUMES.to_owned()),
        _ => Err(format!("unknown key {key:?}")),
    }
}

/// `PATH[:OPTIONS]`, options as of mount(8). Whether programs may run there is not looked at.
fn tmpfs(text: &str) -> Result<Tmpfs, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let mut tmpfs = Tmpfs {
        target: place(target)?,
        size: None,
        mode: TEMPORARY,
        read_only: false,
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => tmpfs.size = Some(units::parse_memory(size)?),
            ("mode", text) => tmpfs.mode = mode(text)?,
            ("ro", "") => tmpfs.read_only = true,
            ("rw", "") => tmpfs.read_only = false,
            ("exec" | "noexec" | "nosuid" | "nodev", "") => {}
            _ => return Err(format!("unknown option {option:?}")),
        }
    }
    Ok(tmpfs)
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("{text:?} is not a mode such as 1777"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_as_docker_does() {
        let fields = Fields::read("type=bind,source=/,dst=/host/../x,readonly").unwrap();
        assert!(fields.bind().is_err(), "a way upwards");
        let bind = Fields::read("Type=bind,src=/,target=/host//a,ro=true").unwrap();
        let bind = bind.bind().unwrap().unwrap();
        assert_eq!(
            (&*bind.target, bind.access),
            ("/host/a", VolumeAccess::ReadOnly)
        );
        let memory = Fields::read("type=tmpfs,destination=/run,tmpfs-size=64m,tmpfs-mode=755");
        let memory = memory.unwrap().tmpfs().unwrap().unwrap();
        assert_eq!((memory.size, memory.mode), (Some(64 << 20), 0o755));
        for wrong in [
            "type=volume,dst=/x",
            "dst=/x",
            "type=bind,what=1",
            "type=bind,ro=maybe",
            "type=npipe",
            "type=volume,src=v,dst=/x,volume-nocopy",
            "type=bind,src=/,dst=/x,bind-recursive=disabled",
        ] {
            assert!(Fields::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_in_memory_have_options() {
        let memory = tmpfs("/run:rw,noexec,nosuid,size=65536k,mode=700").unwrap();
        let expected = Tmpfs {
            target: "/run".to_owned(),
            size: Some(64 << 20),
            mode: 0o700,
            read_only: false,
        };
        assert_eq!(memory, expected);
        for wrong in ["run", "/run:size=much", "/run:mode=9", "/run:fast"] {
            assert!(tmpfs(wrong).is_err(), "{wrong}");
        }
    }
}
