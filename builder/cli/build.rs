//! Tells the end-to-end tests which modes to run: with `KILN_MODES=all` in the environment, the forced fallbacks too. Unaware
//! of what the modes are.

fn main() {
    println!("cargo::rerun-if-env-changed=KILN_MODES");
    println!("cargo::rustc-check-cfg=cfg(kiln_modes_all)");
    if std::env::var_os("KILN_MODES").is_some_and(|modes| modes == "all") {
        println!("cargo::rustc-cfg=kiln_modes_all");
    }
}
