//! All cases, by subject. Those whose names start with an underscore are parts of others.

mod attacks;
mod basics;
mod identity;
mod killing;
mod mounting;
mod overlays;
mod probing;
mod sockets;
mod stubs;
mod system;
mod terminals;
mod workdir;

use crate::harness::Case;

pub const ALL: &[Case] = &[
    (
        "a terminal is the command's own",
        terminals::is_the_commands_own,
    ),
    (
        "a lent terminal comes back from a run that is dropped",
        terminals::a_lent_one_comes_back_from_a_run_that_is_dropped,
    ),
    (
        "a lent terminal stays lent until all is shown",
        terminals::a_lent_one_stays_lent_until_all_is_shown,
    ),
    ("an init is the first process", terminals::an_init_is_first),
    (
        "a read-only root leaves no mount points",
        terminals::a_read_only_root_leaves_no_mount_points,
    ),
    (
        "the program that starts it is read-only",
        basics::own_program_is_read_only,
    ),
    ("output and exit code arrive", basics::output_and_code),
    (
        "environment, folder, host name, umask, pid",
        basics::surroundings,
    ),
    ("the default umask is 022", basics::default_umask),
    ("stdin is passed", basics::stdin_is_passed),
    (
        "what cannot be executed is 126 or 127",
        basics::not_executable,
    ),
    ("impossible specs are errors", basics::impossible_specs),
    ("time and memory are counted", basics::usage_is_counted),
    (
        "signals are reset, descriptors closed",
        basics::signals_and_descriptors,
    ),
    (
        "eight runs from eight threads",
        basics::many_threads_at_once,
    ),
    (
        "root has docker's capabilities",
        identity::capabilities_of_root,
    ),
    (
        "a user has none, and its groups",
        identity::capabilities_of_a_user,
    ),
    (
        "a user can write to its streams",
        identity::a_user_can_write_to_its_streams,
    ),
    (
        "a user may start in a closed folder",
        identity::a_user_may_start_in_a_closed_folder,
    ),
    ("setuid programs work", identity::setuid_programs_work),
    ("limits are set", identity::limits),
    ("the seccomp filter answers", identity::filter),
    ("privileged has everything", identity::privileged),
    ("the root is the image", system::root_is_the_image),
    ("devices are the six", system::devices),
    (
        "made devices cannot be opened",
        system::made_devices_cannot_be_opened,
    ),
    ("masked and read-only paths", system::masked_and_read_only),
    ("only its own processes are seen", system::processes),
    ("networks", system::network),
    ("every fallback works", system::without_features),
    ("binds of folders and files", mounting::binds),
    (
        "a hostile bind path stays inside",
        mounting::hostile_bind_paths,
    ),
    ("a hostile target stays inside", mounting::hostile_targets),
    ("files in memory", mounting::files),
    ("file systems in memory", mounting::memory),
    ("parts of other roots", mounting::other_roots),
    ("mounts in mounts", mounting::nested),
    ("nothing of the host is left", mounting::host_is_gone),
    (
        "a link in a mount redirects no other mount",
        attacks::links_in_mounts,
    ),
    (
        "a link that comes and goes redirects no mount",
        attacks::racing_links,
    ),
    (
        "links of the image stay inside",
        attacks::links_of_the_image,
    ),
    ("sockets are the caller's", sockets::connections_arrive),
    ("a missing working folder is made", workdir::is_made),
    ("a working folder leads nowhere else", workdir::stays_inside),
    (
        "the caller's umask is the caller's own",
        workdir::umask_of_the_caller,
    ),
    ("a trivial run leaves nothing", stubs::nothing_is_left),
    ("an image without any folder", stubs::bare_image),
    ("resolv.conf is a dangling link", stubs::dangling_link),
    (
        "what the command puts into stubs stays",
        stubs::what_was_used_stays,
    ),
    ("times of folders are kept", stubs::times_are_kept),
    (
        "a folder that the command changes stays changed",
        stubs::changes_stay,
    ),
    ("removed and replaced stubs", stubs::removed_by_the_command),
    ("layers are merged, uppers are plain", overlays::merging),
    ("a view without upper is read-only", overlays::read_only),
    ("no lowers", overlays::no_lowers),
    ("hundreds of lowers", overlays::many_lowers),
    ("an upper is mounted again", overlays::again),
    ("odd folder names", overlays::odd_names),
    ("overlay errors are told", overlays::errors),
    (
        "a background process does not keep the run",
        killing::background,
    ),
    ("a run is killed from another thread", killing::kill_handle),
    ("a dropped run is killed", killing::dropped),
    ("a run outlives its thread", killing::thread_ends),
    (
        "kill -9 of the caller leaves nothing",
        killing::caller_is_killed,
    ),
    (
        "kill -9 of the supervisor leaves nothing",
        killing::supervisor_is_killed,
    ),
    ("kill -9 at any time leaves nothing", killing::at_any_time),
    ("the probe tells what is there", probing::tells),
    (
        "the probe of an ordinary user",
        probing::of_an_ordinary_user,
    ),
    ("_engine", killing::engine),
    ("_starter", killing::starter),
];
