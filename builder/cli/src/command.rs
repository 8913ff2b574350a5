//! The commands, one file each: its arguments and what it does. To add one: a file and a line in the table below.

mod advise;
mod bake;
mod blame;
pub mod build;
mod builds;
mod cache;
mod commit;
mod compare;
mod complete;
mod completions;
mod config;
mod cp;
mod create;
mod debug;
mod df;
mod diff;
mod docker_plugin;
mod doctor;
mod exec;
mod explore;
mod export;
mod fsck;
mod history;
mod images;
mod imagetools;
mod import;
mod inspect;
mod instance;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod man;
mod plan;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod shell;
mod size;
mod start;
mod stats;
mod stop;
mod tag;
mod top;
mod verify;
mod version;
mod wait;
mod why;

use crate::environment::Globals;
use crate::failure::Failure;
use clap::Args;
use imagetools::{create as imagetools_create, inspect as imagetools_inspect};
use inspect::{containers as inspect_containers, images as inspect_images};
use instance::{
    create as instance_create, inspect as instance_inspect, ls as instance_ls,
    refused as instance_refused, rm as instance_rm, select as instance_select,
    stop as instance_stop, version as instance_version,
};
use prune::{cache as prune_cache, containers as prune_containers, images as prune_images};
use std::ffi::OsString;

/// What becomes of the failure of a line, whose flags are one word each, that is not understood: docker has an exit code of its own for
/// those that are to start a container.
pub fn told_by(line: &[OsString]) -> fn(Failure) -> Failure {
    let words = line.iter().skip(1).map(|word| word.as_encoded_bytes());
    let mut words = words.filter(|word| !word.starts_with(b"-"));
    let first = words.next();
    let verb = match first {
        Some(b"container") => words.next(),
        first => first,
    };
    match verb {
        Some(b"run" | b"create") => run::not_started,
        _ => |failure| failure,
    }
}

macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident = $module:ident),* $(,)?) => {
        /// What to do.
        #[allow(clippy::large_enum_variant)] // made once a process
        #[derive(Debug, clap::Subcommand)]
        pub enum Command {
            $($(#[$attribute])* $variant($module::Arguments)),*
        }

        impl Command {
            /// Does it.
            ///
            /// # Errors
            /// With what to show and the exit code.
            pub fn run(self, globals: &Globals) -> Result<(), Failure> {
                match self {
                    $(Command::$variant(arguments) => $module::run(arguments, globals)),*
                }
            }

            /// Adds the command of this name alone, without what its help says.
            #[allow(dead_code)] // of no use to groups
            pub fn alone(root: clap::Command, name: &str) -> Option<clap::Command> {
                $(if name == stringify!($module) {
                    let command = clap::Command::default().name(stringify!($module));
                    return Some(root.subcommand($module::Arguments::augment_args(command)));
                })*
                None
            }
        }
    };
}

mod group;
use group::{builder, container, image, past, remote, system};

commands! {
    /// Build an image from a Dockerfile
    Build = build,
    /// Build the targets of bake files
    Bake = bake,
    /// Tell what a build would do
    Plan = plan,
    /// Run a command on an image, to try it out
    Run = run,
    /// Open a shell before or after a step of a build
    Shell = shell,
    /// List containers
    Ps = ps,
    /// Run another command in a container
    Exec = exec,
    /// Copy files between a container and this machine
    Cp = cp,
    /// Make an image of a container
    Commit = commit,
    /// Stop containers
    Stop = stop,
    /// Stop containers, and start them again
    Restart = restart,
    /// Send containers a signal
    Kill = kill,
    /// Wait until containers have ended, and print their exit codes
    Wait = wait,
    /// List the processes of a container
    Top = top,
    /// List the ports of this machine that lead to a container
    Port = port,
    /// Give a container another name
    Rename = rename,
    /// Remove containers
    Rm = rm,
    /// Make a container that is started later
    Create = create,
    /// Start a container, once more or for the first time
    Start = start,
    /// List the last builds
    Builds = builds,
    /// Show what the steps of a build have printed, or a container in the background
    Logs = logs,
    /// Show what the steps of a build took
    Stats = stats,
    /// Tell why the steps of a build were executed
    Why = why,
    /// List images
    #[command(visible_alias = "ls")]
    Images = images,
    /// Show details of containers and images, as JSON
    Inspect = inspect,
    /// Show how an image was made
    History = history,
    /// Tell how an image becomes smaller, and do it
    Advise = advise,
    /// Compare ways to build an image: sizes, waste, times
    Compare = compare,
    /// Show what the bytes of an image are, and which of them are wasted
    Size = size,
    /// Browse the layers and files of an image on a terminal
    Explore = explore,
    /// Show which layers and instructions wrote a file of an image
    Blame = blame,
    /// Show what two images differ in
    Diff = diff,
    /// Give an image an additional name
    Tag = tag,
    /// Remove names, and images without any name
    Rmi = rmi,
    /// Get images from registries
    Pull = pull,
    /// Send an image to a registry
    Push = push,
    /// Log in to a registry
    Login = login,
    /// Log out of a registry
    Logout = logout,
    /// Write images to an archive
    Save = save,
    /// Read images from an archive
    Load = load,
    /// Check an archive without loading it
    Verify = verify,
    /// Make an image from a root file system
    Import = import,
    /// Write the file system of an image as a tar
    Export = export,
    /// Remove what is no longer needed from the store
    Prune = prune,
    /// Show what is in the store
    Df = df,
    /// Move cache mounts to and from shared caches
    Cache = cache,
    /// Manage images, with docker's grouping
    Image = image,
    /// Manage containers, with docker's grouping
    Container = container,
    /// Manage builds and their cache, with docker's grouping
    #[command(alias = "buildx")]
    Builder = builder,
    /// Manage the store, with docker's grouping
    System = system,
    /// Check the store for damage
    Fsck = fsck,
    /// Show what kiln can do on this machine
    #[command(alias = "info")]
    Doctor = doctor,
    /// Make kiln the builder behind docker's command line
    #[command(name = "docker-plugin")]
    DockerPlugin = docker_plugin,
    /// Show defaults of flags, and where they come from
    Config = config,
    /// Show how kiln reads a Dockerfile, a word or a .dockerignore
    Debug = debug,
    /// Print the version
    Version = version,
    /// Print completions for a shell
    Completions = completions,
    /// Print the manual page, or write one for every command
    Man = man,
    /// Complete a line, for the scripts of `kiln completions`
    #[command(name = "__complete", hide = true)]
    Complete = complete,
}
