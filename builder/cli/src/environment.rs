//! Everything that kiln reads from its environment, in one place; libraries get it as arguments.
//!
//! `KILN_CONFIG` (`settings.rs`), `KILN_STORE`, `KILN_DISABLE`, `KILN_ISOLATION`, `KILN_LOG`, `KILN_OFFLINE`, `KILN_RETRY`, `KILN_RETRY_DELAY`, `NO_COLOR`, `TERM`, `BUILDKIT_STEP_LOG_MAX_SIZE`, `BUILDKIT_PROGRESS`, `SOURCE_DATE_EPOCH`, `PATH`, `HOME`, `XDG_DATA_HOME`,
//! proxies and certificate authorities (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, …), where credentials are, and what
//! `--build-arg NAME` and `--secret env=` name, and the source policy of `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY`; of other engines
//! `DOCKER_HOST`, `DOCKER_CONTEXT`, `CONTAINER_HOST`, `CONTAINERD_ADDRESS`, `CONTAINERD_NAMESPACE` (`daemon.rs`) and `DOCKER_CLI_PLUGIN_SOCKET` (`plugin.rs`).

use crate::failure::Failure;
use crate::pflag::Takes;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};
use kiln_engine::IsolationChoice;
use kiln_oci::http::Patience;
use kiln_sandbox::Disabled;
use std::path::PathBuf;

/// Above the options of every command, so that those of the command itself come first and together.
const HEADING: &str = "Everywhere";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Folder of the store [default: /var/lib/kiln for root, else ~/.local/share/kiln]
    #[arg(
        long,
        global = true,
        env = "KILN_STORE",
        value_name = "DIR",
        hide_env_values = true,
        help_heading = HEADING,
        add = Takes::Single
    )]
    pub store: Option<PathBuf>,
    /// Kernel features to disable, to test the fallbacks
    #[arg(
        long,
        global = true,
        env = "KILN_DISABLE",
        value_name = "NAMES",
        hide = true,
        default_value = "",
        add = Takes::Single
    )]
    pub disable: String,
    /// Do not use the network; report everything that is not in the store as missing
    #[arg(
        long,
        global = true,
        env = "KILN_OFFLINE",
        value_parser = FalseyValueParser::new(),
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_env_values = true,
        value_name = "BOOL",
        help_heading = HEADING,
        add = Takes::Switch
    )]
    pub offline: bool,
    /// Where the daemon listens that is asked for bases before registries are.
    #[arg(skip)]
    pub bases: Option<String>,
    /// Registry that may use plain http or any certificate (may be repeated)
    #[arg(long, global = true, value_name = "HOST[:PORT]", help_heading = HEADING, add = Takes::List)]
    pub insecure_registry: Vec<String>,
    /// Whether registries must use https and a valid certificate [default: true]
    #[arg(long, global = true, action = ArgAction::SetFalse, help_heading = HEADING, add = Takes::Switch)]
    pub tls_verify: bool,
    /// What may be asked in place of a registry, before the mirrors of the configuration; a command may add some.
    #[arg(skip)]
    pub mirrors: Vec<(String, String)>,
    /// Whatever is pulled from may be insecure; a command may say so.
    #[arg(skip)]
    pub insecure_pulls: bool,
    /// In which isolation RUN may run; a command may say so.
    #[arg(skip)]
    pub isolation: IsolationChoice,
    /// A process will be run for sure; a command may say so.
    #[arg(skip)]
    pub will_run: bool,
    /// How servers are waited for; a command may change it.
    #[arg(skip)]
    pub patience: Patience,
}

impl Globals {
    /// Where the store is.
    ///
    /// # Errors
    /// When an ordinary user has no home.
    pub fn store(&self) -> Result<PathBuf, Failure> {
        if let Some(store) = &self.store {
            return std::path::absolute(store)
                .map_err(|error| Failure::usage(format!("--store: {error}")));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/kiln"));
        }
        if let Some(data) = variable("XDG_DATA_HOME").filter(|data| data.starts_with('/')) {
            return Ok(PathBuf::from(data).join("kiln"));
        }
        let home = variable("HOME").filter(|home| home.starts_with('/'));
        let home = home.ok_or_else(|| {
            Failure::usage("HOME is not set, so there is no place for the store")
                .hint("choose a folder with --store DIR or KILN_STORE")
        })?;
        Ok(PathBuf::from(home).join(".local/share/kiln"))
    }

    /// The features that are switched off.
    ///
    /// # Errors
    /// When a name is unknown.
    pub fn disabled(&self) -> Result<Disabled, Failure> {
        self.disable
            .parse()
            .map_err(|error| Failure::usage(format!("KILN_DISABLE: {error}")))
    }
}

/// A variable, if it is set and text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How the network is to be used: proxies and certificate authorities, for programs that kiln starts. `direct` is what they
/// reach without a proxy.
pub fn network(direct: &str) -> Vec<(String, String)> {
    let proxies = ["http_proxy", "https_proxy", "all_proxy"];
    let names = proxies
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
    let mut variables: Vec<(String, String)> = names
        .chain(["SSL_CERT_FILE".to_owned(), "SSL_CERT_DIR".to_owned()])
        .filter_map(|name| variable(&name).map(|value| (name, value)))
        .collect();
    for name in ["no_proxy", "NO_PROXY"] {
        variables.push((name.to_owned(), direct.to_owned()));
    }
    // git has names of its own for them.
    for (ours, gits) in [
        ("SSL_CERT_FILE", "GIT_SSL_CAINFO"),
        ("SSL_CERT_DIR", "GIT_SSL_CAPATH"),
    ] {
        if let Some(value) = variable(ours) {
            variables.push((gits.to_owned(), value));
        }
    }
    variables
}

/// Bytes of a step's output that are kept where `BUILDKIT_STEP_LOG_MAX_SIZE` says nothing.
const LOG_LIMIT: u64 = 64 << 20;

/// Bytes of a step's output that are kept, by BuildKit's variable; -1 is no limit. As there, what is no number counts as nothing.
pub fn log_limit() -> u64 {
    let wish =
        variable("BUILDKIT_STEP_LOG_MAX_SIZE").and_then(|text| text.trim().parse::<i64>().ok());
    wish.map_or(LOG_LIMIT, |wish| u64::try_from(wish).unwrap_or(u64::MAX))
}

/// How progress is shown where no flag says it, by BuildKit's variable.
pub fn buildkit_progress() -> Option<String> {
    variable("BUILDKIT_PROGRESS").map(|name| name.trim().to_owned())
}

/// Whether colour is unwanted (<https://no-color.org>), or the terminal knows none.
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some_and(|value| !value.is_empty()) || is_dumb()
}

/// Whether text on a stream has colours.
pub fn color(is_terminal: bool) -> bool {
    is_terminal && !no_color()
}

/// Whether terminals are only known to show lines: nobody says which one it is, or that it can do no more.
pub fn is_dumb() -> bool {
    variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Logs for developers: `KILN_LOG=debug`, in the syntax of tracing's EnvFilter.
pub fn start_tracing(filter: Option<String>) {
    if let Some(filter) = filter {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
    }
}

/// The host's resolver, as RUN should use it. systemd's stub address means nothing in other network namespaces and gives no
/// answers where its socket is private, so its upstream file is taken instead.
pub fn resolv_conf() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let text = read("/etc/resolv.conf");
    let upstream = read("/run/systemd/resolve/resolv.conf");
    if text
        .lines()
        .any(|line| line.trim() == "nameserver 127.0.0.53")
        && !upstream.is_empty()
    {
        upstream
    } else {
        text
    }
}
