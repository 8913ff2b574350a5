//! `EXPOSE`: the ports that containers listen on.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use kiln_oci::Empty;
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map_res, opt};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line, Word};
use crate::lint::evaluated;
use crate::stage::StageBuilder;

/// How a port is written.
const HELP: &str = "write a number, and a protocol if it is not tcp, as in 80 or 53/udp";

/// `EXPOSE port[/protocol] …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    /// At least one; not expanded. A word may expand to several.
    pub ports: Arc<[Word]>,
}

/// How many ports one instruction may name; repeated ones count each time.
const MOST: usize = 1 << 22;

impl Meaning for Expose {
    const NAME: &'static str = "EXPOSE";
    const FORM: Form = Form::List;
    const USAGE: &'static str = "EXPOSE <port>[-<last port>][/<protocol>] …";
    const DOC: &'static str = "Declares the ports that a container listens on; the protocol is `tcp`, `udp` or `sctp`, \
        by default `tcp`. An address and a host port before the port are accepted and ignored. Variables \
        are expanded and may contain several ports.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        super::at_least_one(line, Self::NAME)?;
        flags::read(line, Self::FLAGS)?;
        let ports = line.shared_words();
        Ok(Expose { ports })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let mut words: Vec<&Word> = self.ports.iter().collect();
        words.sort_by(|a, b| a.text.cmp(&b.text));
        let mut ports = Ports::default();
        for word in words {
            for spec in stage.expand_words(word)? {
                warn(&spec, word, stage);
                ports.add(&spec).map_err(|message| {
                    line.error_at(word.span, code::VALUE, message)
                        .with_help(HELP)
                })?;
            }
        }
        stage.record(format!("EXPOSE [{}]", ports.list.join(" ")));
        let ports = ports.list.into_iter().map(|port| (port, Empty {}));
        stage.state.config.exposed_ports.extend(ports);
        Ok(())
    }
}

/// Warns of upper case and of mappings.
fn warn(spec: &str, word: &Word, stage: &mut StageBuilder<'_>) {
    let (before, port) = spec.rsplit_once(':').unwrap_or(("", spec));
    let protocol = port.split_once('/').map_or("", |(_, protocol)| protocol);
    if protocol != protocol.to_lowercase() {
        let message =
            format!("Defined protocol '{spec}' in EXPOSE instruction should be lowercase");
        stage.warn_of_value(&evaluated::EXPOSE_PROTO_CASING, word.span, message);
    }
    if !before.is_empty() {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{spec}'"
        );
        stage.warn_of_value(&evaluated::EXPOSE_INVALID_FORMAT, word.span, message);
    }
}

/// Ports in the order written, each once.
#[derive(Default)]
struct Ports {
    list: Vec<String>,
    seen: BTreeSet<(u16, &'static str)>,
    named: usize,
}

impl Ports {
    fn add(&mut self, spec: &str) -> Result<(), String> {
        let (first, last, protocol) = parse(spec)?;
        self.named += usize::from(last - first) + 1;
        if self.named > MOST {
            return Err(format!("more than {MOST} ports"));
        }
        for port in first..=last {
            if self.seen.insert((port, protocol)) {
                self.list.push(format!("{port}/{protocol}"));
            }
        }
        Ok(())
    }
}

/// `[[address:]host port:]port[-port][/protocol]`
fn parse(spec: &str) -> Result<(u16, u16, &'static str), String> {
    let (rest, ports) = spec.rsplit_once(':').unwrap_or(("", spec));
    let (address, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (ports, protocol) = ports.split_once('/').unwrap_or((ports, ""));
    if ports.is_empty() {
        return Err(format!("no port specified: {spec}<empty>"));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(format!("invalid proto: {other}")),
    };
    check_address(address)?;
    let (first, last) = range(ports).ok_or_else(|| format!("invalid containerPort: {ports}"))?;
    if !host.is_empty() {
        let (from, to) = range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?;
        if first != last && last - first != to - from {
            let message = "invalid ranges specified for container and host Ports";
            return Err(format!("{message}: {ports} and {host}"));
        }
    }
    Ok((first, last, protocol))
}

fn check_address(address: &str) -> Result<(), String> {
    let bare = address.strip_prefix('[');
    let bare = bare.and_then(|inner| inner.strip_suffix(']'));
    if address.is_empty() || bare.unwrap_or(address).parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("invalid IP address: {address}"))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut ports = all_consuming((port, opt(preceded(char('-'), port))));
    let (_, (first, last)) = ports.parse(text).ok()?;
    let last = last.unwrap_or(first);
    (first <= last).then_some((first, last))
}

/// As Go reads a number: a sign may precede it.
fn port(input: &str) -> IResult<&str, u16> {
    map_res(preceded(opt(char('+')), digit1), str::parse).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{evaluation_messages, messages, target};

    #[test]
    fn specifications() {
        assert_eq!(parse("80"), Ok((80, 80, "tcp")));
        assert_eq!(parse("8000-8002/UDP"), Ok((8000, 8002, "udp")));
        assert_eq!(parse("+80/udp"), Ok((80, 80, "udp")));
        assert_eq!(parse("+8000-+8002"), Ok((8000, 8002, "tcp")));
        assert_eq!(parse("+8080:+0080"), Ok((80, 80, "tcp")));
        assert_eq!(parse("8080:80"), Ok((80, 80, "tcp")));
        assert_eq!(parse("127.0.0.1::80/sctp"), Ok((80, 80, "sctp")));
        assert_eq!(parse("[::1]:8000-8001:80-81"), Ok((80, 81, "tcp")));
        for bad in [
            "",
            "/tcp",
            "99999",
            "80/xyz",
            "81-80",
            "80-",
            "a",
            "++80",
            "-80",
            "+",
            "80-+",
            "0x50",
            "x:1:2",
            "1-3:80-81",
            "80:",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_may_hold_several_ports() {
        let stage = target("FROM scratch\nENV P=\"80 81/udp\"\nEXPOSE 90 $P 90/tcp");
        let ports: Vec<_> = stage.config.exposed_ports.keys().collect();
        assert_eq!(ports, ["80/tcp", "81/udp", "90/tcp"]);
        assert_eq!(stage.history[1].created_by, "EXPOSE [80/tcp 81/udp 90/tcp]");
    }

    #[test]
    fn ranges_are_counted_once_and_limited() {
        let source = |times| format!("FROM scratch\nEXPOSE{}", " 0-65535".repeat(times));
        assert_eq!(target(&source(10)).config.exposed_ports.len(), 65_536);
        assert_eq!(
            evaluation_messages(&source(1000)),
            ["more than 4194304 ports"]
        );
        assert_eq!(messages("FROM x\nEXPOSE").len(), 1);
    }
}
