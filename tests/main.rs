//! End-to-end tests through the real binary, one topic a file. Each case runs in every mode that the machine allows: as
//! root, as a user with a range of ids, as a user with one id, and without each kernel feature that has a fallback.
//!
//! To add a case: a function `fn name(space: &Space)` and its name in the table at the top of the topic's file.
//! `UPDATE_GOLDEN=1` writes `fixtures/golden/` anew, `KILN_NIGHTLY=1` makes long campaigns, `KILN_SEED` repeats one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod support;

mod accepted;
mod advise;
mod archive_damage;
mod archive_lazy;
mod archive_options;
mod archive_platforms;
mod archives;
mod archives_of_pack;
mod bad_input;
mod bake;
mod bake_remote;
mod beside;
mod bit_rot;
mod bit_rot_readers;
mod blame;
mod borrowed_flags;
mod budget;
mod build_flags;
mod build_run;
mod build_stages;
mod buildah_flags;
mod builds;
mod cache;
mod cache_command;
mod cache_damage;
mod cache_mounts;
mod cache_places;
mod checks;
mod ci_recipes;
mod claims;
mod compare;
mod completions;
mod containers;
mod containers_use;
mod context_changes;
mod contexts;
mod copy;
mod course;
mod credentials;
mod daemon_load;
mod debug;
mod disk_full;
mod docker_plugin;
mod dockerfiles;
mod documents;
mod epoch;
mod events;
mod events_rawjson;
mod explore;
mod faults;
mod fetch_files;
mod fetch_git;
mod fetch_repositories;
mod fetch_ssh;
mod few_files;
mod few_threads;
mod flags;
mod foreign_flags;
mod fsck_beside;
mod help;
mod history;
mod history_logs;
mod history_stats;
mod hostile_archives;
mod hostile_layers;
mod identity;
mod ignore;
mod image_diff;
mod images;
mod import;
mod inspect;
mod kaniko_flags;
mod key_fuzz;
mod kill_archives;
mod kill_loop;
mod language;
mod layers;
mod leftovers;
mod links;
mod lint_rules;
mod logins;
mod logs;
mod maintenance;
mod messages;
mod mistakes;
mod names;
mod network;
mod no_cache;
mod odd_images;
mod old_store;
mod on_error;
mod origins;
mod outputs;
mod outputs_places;
mod owners;
mod packages;
mod places;
mod plan;
mod platforms;
mod power_cut;
mod preprocessed;
mod probe;
mod progress;
mod proxies;
mod pushes;
mod read_only;
mod readme;
mod remote;
mod remote_layers;
mod rules;
mod run_attacks;
mod run_containers;
mod run_containers_ends;
mod run_limits;
mod run_mounts;
mod run_network;
mod run_rights;
mod run_secrets;
mod run_ssh;
mod run_surroundings;
mod run_terminal;
mod saved_stages;
mod screens;
mod settings;
mod shared_cache;
mod shells;
mod signals;
mod size;
mod source_policy;
mod sparse;
mod standard_output;
mod stdin;
mod store_fails;
mod supervised;
mod supervised_layers;
mod times;
mod together;
mod unread_output;
mod verbs;
mod waits;
mod why;
mod why_fuzz;
