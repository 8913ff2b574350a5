//! A container as `docker inspect` shows it: names, order and omissions of moby's `container.InspectResponse`, as far as a container of kiln
//! has what they are about. And `kiln container inspect`.

pub use super::Arguments;
use super::ObjectType;
use super::fields::{NO_TIME, runtime};
use crate::environment::Globals;
use crate::failure::Failure;
use kiln_cache::Store;
use kiln_engine::trial::{Container, Draft, Kept, Line, Status};
use kiln_engine::{DefaultNetwork, VolumeAccess, rfc3339};
use kiln_parser::graph::Network;
use kiln_sandbox::Port;
use kiln_template::{Value, field, optional};
use std::collections::BTreeMap;

/// Shows containers.
///
/// # Errors
/// As of `kiln inspect`.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let object = Some(ObjectType::Container);
    super::run(
        Arguments {
            object,
            ..arguments
        },
        globals,
    )
}

/// All fields of a container.
pub fn of(store: &Store, kept: &Kept) -> Value {
    let (draft, container) = (&kept.record.draft, &kept.record.draft.container);
    let (path, arguments) = container.argv.split_at(1.min(container.argv.len()));
    let created = draft.created_us.div_euclid(1_000_000);
    Value::record([
        field("Id", kept.record.id.as_str()),
        field("Created", rfc3339(created)),
        field("Path", path.concat()),
        field("Args", Value::texts(arguments)),
        field("State", state(store, kept)),
        field("Image", draft.image_id.to_string()),
        field("Name", format!("/{}", kept.title())),
        field("Platform", "linux"),
        field("HostConfig", host_config(draft)),
        field("Mounts", mounts(container)),
        field("Config", config(draft)),
        field(
            "NetworkSettings",
            Value::record([field("Ports", ports(&container.ports))]),
        ),
    ])
}

fn state(store: &Store, kept: &Kept) -> Value {
    let at = |time: Option<i64>| time.map_or_else(|| NO_TIME.to_owned(), rfc3339);
    let (status, code, finished) = match kept.status {
        Status::Created => ("created", 0, None),
        Status::Running(_) => ("running", 0, None),
        Status::Exited(at, code) => ("exited", code, at),
    };
    let end = kept.state.end;
    let is_out_of_memory = end.is_some_and(|end| end.out_of_memory);
    Value::record([
        field("Status", status),
        field("Running", kept.runs()),
        field("Paused", false),
        field("Restarting", false),
        field("OOMKilled", is_out_of_memory),
        field("Dead", false),
        field("Pid", Value::Int(process(store, kept))),
        field("ExitCode", u64::from(code)),
        field("Error", ""),
        field("StartedAt", at(kept.state.began)),
        field("FinishedAt", at(finished)),
    ])
}

/// The PID of its first process, as this machine counts; 0 if it does not run.
fn process(store: &Store, kept: &Kept) -> i64 {
    // one that ends meanwhile has none
    let line = kept.runs().then(|| Line::to(store, kept).ok()).flatten();
    let process = line.and_then(|mut line| line.process().ok());
    let number = process.and_then(|process| process.number().ok());
    number.map_or(0, i64::from)
}

/// What it runs, and what the flags say besides.
fn config(draft: &Draft) -> Value {
    let (mut config, container) = (draft.config.clone(), &draft.container);
    let hostname = container.hostname.clone().unwrap_or_default();
    config.rest.extend([
        ("Hostname".to_owned(), hostname.into()),
        ("Tty".to_owned(), container.terminal.is_some().into()),
        ("OpenStdin".to_owned(), draft.is_interactive.into()),
        ("Image".to_owned(), draft.image.clone().into()),
    ]);
    runtime(&config)
}

fn host_config(draft: &Draft) -> Value {
    let (container, limits) = (&draft.container, &draft.container.options.limits);
    let cpus = limits.cpus.unwrap_or_default();
    Value::record([
        field("NetworkMode", network(container)),
        field("PortBindings", ports(&container.ports)),
        field("AutoRemove", draft.is_temporary),
        field("ReadonlyRootfs", container.is_read_only),
        field("Init", container.has_init),
        field("Memory", limits.memory.unwrap_or_default()),
        field("NanoCpus", cpus.saturating_mul(1_000_000)),
        optional("ShmSize", container.options.shm_size.unwrap_or_default()),
    ])
}

/// Which network a container has.
pub fn network(container: &Container) -> &'static str {
    match (container.network, &container.options.default_network) {
        (Network::None, _) => "none",
        (Network::Default, DefaultNetwork::Private(_)) => "private",
        (Network::Host, _) | (Network::Default, DefaultNetwork::Host) => "host",
    }
}

fn mounts(container: &Container) -> Value {
    let volumes = container.options.volumes.iter().map(|volume| {
        Value::record([
            field("Type", "bind"),
            field("Source", volume.source.to_string_lossy().into_owned()),
            field("Destination", volume.target.as_str()),
            field("RW", volume.access != VolumeAccess::ReadOnly),
        ])
    });
    let tmpfs = container.tmpfs.iter().map(|tmpfs| {
        Value::record([
            field("Type", "tmpfs"),
            field("Source", ""),
            field("Destination", tmpfs.target.as_str()),
            field("RW", !tmpfs.read_only),
        ])
    });
    Value::from(volumes.chain(tmpfs).collect::<Vec<_>>())
}

/// `80/tcp` and where it is reached.
fn ports(ports: &[Port]) -> Value {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in ports {
        let address = port
            .address
            .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        let place = Value::record([
            field("HostIp", address),
            field("HostPort", port.host.to_string()),
        ]);
        let name = format!("{}/{}", port.inside, port.protocol());
        all.entry(name).or_default().push(place);
    }
    Value::map(all.into_iter().map(|(name, places)| (name, places.into())))
}
