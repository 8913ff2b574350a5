//! `RUN`: a process in the stage's file system.

mod mount;

use super::{CommandLine, Meaning};
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec, Flags};
use crate::graph::{Device, HeredocFile, Network, Op, ProxyEnv, RunOp, Security};
use crate::heredoc;
use crate::inputs::Entitlement;
use crate::line::{Form, Line, Word};
use crate::stage::StageBuilder;

pub use mount::MountSpec;

/// `RUN command` or `RUN ["executable", "argument"]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: CommandLine,
    /// `--mount`, in order.
    pub mounts: Box<[MountSpec]>,
    /// `--network`, None if it was not given.
    pub network: Option<Network>,
    /// `--security`.
    pub security: Security,
    /// `--device`, in order.
    pub devices: Box<[Device]>,
}

impl Meaning for Run {
    const NAME: &'static str = "RUN";
    const FORM: Form = Form::JsonOrText;
    const HEREDOCS: bool = true;
    const FLAGS: &'static [FlagSpec] = &[
        flags::list(
            "mount",
            "<type=…,…>",
            "makes other files visible while the command runs, see below",
        ),
        flags::text(
            "network",
            "<default|none|host>",
            "the network of the process",
        ),
        flags::text(
            "security",
            "<sandbox|insecure>",
            "the confinement of the process",
        ),
        flags::list(
            "device",
            "<name>[,required]",
            "gives the process a CDI device",
        ),
    ];
    const USAGE: &'static str = "RUN [options] <command>\nRUN [options] [\"<executable>\", …]\n\
        RUN [options] <<EOF\n…\nEOF";
    const DOC: &'static str = "Runs a command and keeps its changes as a layer. A heredoc alone is a script: the shell runs it, or it \
        runs itself if it begins with `#!`. kiln does not expand variables in the command; the shell does. \
        It expands the values of `--mount`, except `from`.";

    fn more() -> String {
        mount::reference()
    }

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let flags = flags::read(line, Self::FLAGS)?;
        let mounts = flags.list("mount").into_iter();
        let mounts = mounts.map(|word| MountSpec::parse(line, word));
        Ok(Run {
            command: CommandLine::read(line),
            mounts: mounts.collect::<Result<_, _>>()?,
            network: network(line, &flags)?,
            security: security(line, &flags)?,
            devices: devices(line, &flags)?,
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        if self.command.exec && self.command.words.is_empty() {
            let error = line.error(code::ARGUMENTS, "RUN requires at least one argument");
            return Err(error.with_help("[] names no program"));
        }
        let mounts = self.mounts.iter();
        let mounts: Result<_, _> = mounts.map(|spec| spec.resolve(line, stage)).collect();
        let mounts = mounts?;
        let (argv, heredocs) = self.program(line, stage);
        self.check_entitlements(line, stage)?;
        let arguments = stage.arguments_for_history();
        let history = format!("RUN {arguments}{} # buildkit", argv.join(" "));
        let scope = stage.scope;
        let run = RunOp {
            base: stage.state.output,
            argv,
            command_display: self.command.text(),
            env: stage.process_env(),
            cwd: stage.working_dir(),
            user: stage.state.config.user.clone(),
            mounts,
            network: self.network(scope.inputs.language.network),
            security: self.security,
            heredocs,
            proxy_env: ProxyEnv(scope.proxy_env()),
            devices: self.devices.to_vec(),
            hostname: scope
                .argument("BUILDKIT_SANDBOX_HOSTNAME")
                .map(str::to_owned),
        };
        stage.change(line, Op::Run(run), history);
        Ok(())
    }
}

impl Run {
    /// The argument vector and the files that it needs.
    fn program(&self, line: &Line, stage: &StageBuilder<'_>) -> (Vec<String>, Vec<HeredocFile>) {
        let Some(first) = line.heredocs().first() else {
            return (self.command.argv(&stage.shell()), Vec::new());
        };
        let written = self.command.text();
        // The delimiter was read with the line, so there is no error now.
        let alone = heredoc::opening(&written).is_ok_and(|opening| opening.is_some());
        let mut argv = stage.shell();
        if !alone {
            argv.push(with_bodies(written, line));
            return (argv, Vec::new());
        }
        // What counts is the script as it will be read, without the tabs that `<<-` drops.
        let script = first.text();
        if !script.starts_with("#!") {
            argv.push(script);
            return (argv, Vec::new());
        }
        argv.push(format!("/dev/pipes/{}", first.name));
        let file = HeredocFile {
            name: first.name.clone(),
            content: script,
            executable: true,
        };
        (argv, vec![file])
    }

    /// As in BuildKit, `default` is what the build says: a Dockerfile does not get a network that the build has taken away.
    fn network(&self, of_build: Network) -> Network {
        match self.network {
            None | Some(Network::Default) => of_build,
            Some(other) => other,
        }
    }

    fn check_entitlements(&self, line: &Line, stage: &StageBuilder<'_>) -> Result<(), Diagnostic> {
        let asks_for_host = self.network == Some(Network::Host);
        let is_insecure = self.security == Security::Insecure;
        let needed = [
            (asks_for_host, Entitlement::NetworkHost, "network.host"),
            (
                is_insecure,
                Entitlement::SecurityInsecure,
                "security.insecure",
            ),
            (!self.devices.is_empty(), Entitlement::Device, "device"),
        ];
        let allow = &stage.scope.inputs.language.allow;
        let mut needed = needed.iter().filter(|(is_needed, ..)| *is_needed);
        let Some((_, _, name)) = needed.find(|(_, right, _)| !allow.contains(right)) else {
            return Ok(());
        };
        let message = format!("granting entitlement {name} is not allowed");
        let help = format!("build with --allow {name}");
        Err(line.error(code::ENTITLEMENT, message).with_help(help))
    }
}

/// A heredoc among other words is for the shell, which gets the text as it was written.
fn with_bodies(mut command: String, line: &Line) -> String {
    for doc in line.heredocs() {
        command.push('\n');
        command.push_str(&doc.content);
        command.push_str(&doc.name);
    }
    command
}

fn network(line: &Line, flags: &Flags) -> Result<Option<Network>, Diagnostic> {
    let Some(word) = flags.text("network") else {
        return Ok(None);
    };
    Ok(Some(match word.text.as_str() {
        "default" => Network::Default,
        "none" => Network::None,
        "host" => Network::Host,
        other => {
            let message = format!("invalid network mode {other:?}");
            let error = line.error_at(word.span, code::FLAG, message);
            return Err(error.with_help("write default, none or host"));
        }
    }))
}

fn security(line: &Line, flags: &Flags) -> Result<Security, Diagnostic> {
    let word = flags.text("security");
    match word.as_ref().map(|word| word.text.as_str()) {
        None | Some("sandbox") => Ok(Security::Sandbox),
        Some("insecure") => Ok(Security::Insecure),
        Some(other) => {
            let error = line.error(code::FLAG, format!("security {other:?} is not valid"));
            Err(error.with_help("write sandbox or insecure"))
        }
    }
}

fn devices(line: &Line, flags: &Flags) -> Result<Box<[Device]>, Diagnostic> {
    let device = |word: Word| {
        let (mut name, mut required) = ("", false);
        for field in word.text.split(',') {
            match field.split_once('=') {
                None if field == "required" => required = true,
                Some(("required", "true")) => required = true,
                Some(("required", "false")) => required = false,
                Some(("name", given)) if name.is_empty() => name = given,
                _ if name.is_empty() && field.contains('/') => name = field,
                _ => return Err(line.error(code::FLAG, format!("invalid device {:?}", word.text))),
            }
        }
        if name.is_empty() {
            return Err(line.error(code::FLAG, format!("device {:?} has no name", word.text)));
        }
        let name = name.to_owned();
        Ok(Device { name, required })
    };
    flags.list("device").into_iter().map(device).collect()
}

#[cfg(test)]
mod tests;
