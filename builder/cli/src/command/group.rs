//! The same commands where docker groups them: `kiln image ls`, `kiln builder prune`, `kiln system df`. One line each.

/// A group: a module with its table, as `mod.rs` has one.
macro_rules! group {
    ($group:ident { $($table:tt)* }) => {
        pub mod $group {
            #![allow(missing_docs)]
            use super::super::*;

            commands! { $($table)* }

            /// What the group does.
            #[derive(Debug, clap::Args)]
            pub struct Arguments {
                #[command(subcommand)]
                command: Command,
            }

            /// Does it.
            ///
            /// # Errors
            /// Those of the command.
            pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
                arguments.command.run(globals)
            }
        }
    };
}

group! {
    image {
        /// Build an image from a Dockerfile
        Build = build,
        /// List images
        #[command(visible_alias = "list")]
        Ls = images,
        /// Show details of images, as JSON
        Inspect = inspect_images,
        /// Show how an image was made
        History = history,
        /// Give an image an additional name
        Tag = tag,
        /// Remove names, and images without any name
        #[command(visible_alias = "remove")]
        Rm = rmi,
        /// Remove images without names
        Prune = prune_images,
        /// Get images from registries
        Pull = pull,
        /// Send an image to a registry
        Push = push,
        /// Write images to an archive
        Save = save,
        /// Read images from an archive
        Load = load,
        /// Make an image from a root file system
        Import = import,
    }
}

group! {
    container {
        /// Run a command on an image, to try it out
        Run = run,
        /// List containers
        #[command(visible_aliases = ["list", "ps"])]
        Ls = ps,
        /// Show details of containers, as JSON
        Inspect = inspect_containers,
        /// Run another command in a container
        Exec = exec,
        /// Show what a container in the background has printed
        Logs = logs,
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
        #[command(visible_alias = "remove")]
        Rm = rm,
        /// Remove all containers that do not run
        Prune = prune_containers,
        /// Make a container that is started later
        Create = create,
        /// Start a container, once more or for the first time
        Start = start,
    }
}

group! {
    builder {
        /// Build an image from a Dockerfile
        Build = build,
        /// Build the targets of bake files
        #[command(alias = "f")]
        Bake = bake,
        /// Look at earlier builds
        History = past,
        /// Show what is in the store
        Du = df,
        /// Remove what builds have cached
        Prune = prune_cache,
        /// Look at images in registries, and put them together
        Imagetools = remote,
        /// List builder instances: this machine is the only one
        Ls = instance_ls,
        /// Show the builder
        Inspect = instance_inspect,
        /// Accepted: kiln needs no builder instance
        #[command(hide = true)]
        Create = instance_create,
        /// Accepted: kiln needs no builder instance
        #[command(hide = true)]
        Use = instance_select,
        /// Accepted: forget a builder instance
        #[command(hide = true)]
        Rm = instance_rm,
        /// Accepted: kiln needs no builder instance
        #[command(hide = true)]
        Stop = instance_stop,
        /// Print the version, behind that of the buildx which kiln answers like
        Version = instance_version,
        /// Refused: it speaks to BuildKit's own daemon
        #[command(hide = true)]
        DialStdio = instance_refused,
        /// Refused: it speaks to BuildKit's own daemon
        #[command(hide = true)]
        Dap = instance_refused,
    }
}

group! {
    past {
        /// List the last builds
        Ls = builds,
        /// Show what the steps of a build have printed
        Logs = logs,
    }
}

group! {
    remote {
        /// Show what a registry has under a name
        Inspect = imagetools_inspect,
        /// Make an index of images that registries have
        Create = imagetools_create,
    }
}

group! {
    system {
        /// Show what is in the store
        Df = df,
        /// Show what kiln can do on this machine
        Info = doctor,
        /// Remove what is no longer needed from the store
        Prune = prune,
    }
}
