//! The flags of `kiln build`, one file each (or a small family): its spelling, its help and what it changes about the build.
//! To add one: a file and a line in the table below. Unaware of how builds run.

#[cfg(test)]
mod reference;

use crate::failure::{Failure, Kind};
use kiln_engine::{Built, Request};
use std::collections::BTreeMap;
use std::path::Path;

/// What a flag does. Flags that only show something do it when the build has finished.
pub trait Flag {
    /// Does its part before anything is read.
    ///
    /// # Errors
    /// When what an older build left behind cannot be removed.
    fn begins(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Changes what is asked of the build.
    ///
    /// # Errors
    /// When its value is malformed, or something that it names cannot be read.
    fn apply(&self, _request: &mut Request) -> Result<(), Failure> {
        Ok(())
    }

    /// Does its part with a build that went well.
    ///
    /// # Errors
    /// When what it should write cannot be written.
    fn finished(&self, _built: &Built) -> Result<(), Failure> {
        Ok(())
    }
}

macro_rules! flags {
    ($($module:ident: $flag:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// All flags, in the order of the help text, which is also the order in which they are applied.
        #[derive(Debug, clap::Args)]
        pub struct Flags {
            $(#[command(flatten)] pub(super) $module: $module::$flag,)*
        }

        impl Flag for Flags {
            fn begins(&self) -> Result<(), Failure> {
                $(self.$module.begins()?;)*
                Ok(())
            }

            fn apply(&self, request: &mut Request) -> Result<(), Failure> {
                $(self.$module.apply(request)?;)*
                Ok(())
            }

            fn finished(&self, built: &Built) -> Result<(), Failure> {
                $(self.$module.finished(built)?;)*
                Ok(())
            }
        }
    };
}

flags! {
    tag: Tag,
    build_arg: BuildArg,
    http_proxy: HttpProxy,
    source_date_epoch: SourceDateEpoch,
    target: Target,
    from: From,
    env: Env,
    label: Label,
    no_cache: NoCache,
    cache_ttl: CacheTtl,
    shared_cache: SharedCache,
    pull: Pull,
    retry: Retry,
    registries: Registries,
    build_context: BuildContext,
    ignorefile: Ignorefile,
    cpp_flag: CppFlag,
    source_policy: SourcePolicy,
    secret: Secret,
    ssh: Ssh,
    allow: Allow,
    network: Network,
    add_host: AddHost,
    shm_size: ShmSize,
    ulimit: Ulimit,
    resources: Resources,
    volume: Volume,
    stdin: Stdin,
    platform: Platform,
    manifest: Manifest,
    show: Show,
    logfile: Logfile,
    jobs: Jobs,
    call: Call,
    load: Load,
    annotation: Annotation,
    leave_out: LeaveOut,
    save_stages: SaveStages,
    output: Output,
    kaniko: Kaniko,
    metadata_file: MetadataFile,
    digest_file: DigestFile,
    foreign: ForeignFlags,
}

/// A file that will say what was built goes before the build, as in docker: one that fails leaves nothing that tells of an older
/// one. Pipes and devices stay.
fn forget(flag: &str, file: Option<&Path>) -> Result<(), Failure> {
    let is_file = |file: &&Path| file.symlink_metadata().is_ok_and(|found| found.is_file());
    let Some(file) = file.filter(is_file) else {
        return Ok(());
    };
    std::fs::remove_file(file).map_err(|error| {
        let message = format!("{flag} {}: {error}", file.display());
        Failure::new(Kind::Environment, message)
    })
}

/// `NAME=VALUE`, or `NAME` with the value that `default` gives; a name without any value is left out.
fn pairs(
    option: &str,
    arguments: &[String],
    default: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), default(argument)),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "{option} {argument}: expected NAME=VALUE"
            )));
        }
        if let Some(value) = value {
            pairs.insert(name.to_owned(), value);
        }
    }
    Ok(pairs)
}
