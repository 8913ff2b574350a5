//! Tells the end-to-end tests which modes to run: with `KILN_MODES=all` in the environment, the forced fallbacks too, and as root also what
//! an ordinary user has by himself. And links kiln to a fixed address: an executable that may be loaded anywhere writes to a hundred pages
//! of its own before it begins, each time it starts. Stack, heap and mappings stay where the kernel puts them by chance. Unaware of
//! what the modes are.

use std::os::unix::fs::MetadataExt;

fn main() {
    println!("cargo::rerun-if-env-changed=KILN_MODES");
    let is_static = std::env::var("CARGO_CFG_TARGET_FEATURE");
    if is_static.is_ok_and(|features| features.split(',').any(|one| one == "crt-static")) {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-static");
    }
    println!("cargo::rustc-check-cfg=cfg(kiln_modes_all, kiln_single)");
    let has_all = std::env::var_os("KILN_MODES").is_some_and(|modes| modes == "all");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if has_all {
        println!("cargo::rustc-cfg=kiln_modes_all");
    }
    if has_all || !is_root {
        println!("cargo::rustc-cfg=kiln_single");
    }
}
