//! How git reaches repositories by ssh: with the keys of an agent that the user names (`--ssh default`) and nothing else of the
//! user's but the hosts that he knows. Unaware of git's own surroundings.

use super::command::io;
use crate::failure::FetchError;
use crate::host::agent::Agent;
use crate::source::fetch::Access;
use kiln_parser::graph::GitSource;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The agent's socket in git's home folder. A bare name: a socket's path may have no more than 107 bytes, the link behind it any.
pub(super) const AGENT: &str = "agent";
/// The user's known hosts, there.
const USERS_HOSTS: &str = "known_hosts_of_user";

/// What git runs for ssh, in its home folder: without the user's configuration, with no keys but an agent's, and nothing
/// forwarded. An unknown host is believed the first time, as BuildKit does; one whose key has changed is not.
pub(super) const COMMAND: &str = "cd && ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new \
    -o UserKnownHostsFile='known_hosts known_hosts_of_user' -o UpdateHostKeys=no -o IdentityFile=none \
    -o ProxyCommand=none -o ProxyJump=none -o PermitLocalCommand=no -o ControlPath=none -o ClearAllForwardings=yes \
    -o ForwardAgent=no -o ForwardX11=no -o ConnectTimeout=20 -o ServerAliveInterval=15";

/// The agent for a source by ssh, started if it has to be. Other sources get none, whatever their submodules are.
///
/// # Errors
/// When it cannot be reached or started, or does not accept a key.
pub(super) fn agent(access: Access<'_>, source: &GitSource) -> Result<Option<Agent>, FetchError> {
    let Some(asked) = access.agent.filter(|_| is_ssh(&source.remote)) else {
        return Ok(None);
    };
    let session = access.session;
    let folder = || session.store.scratch().dir("ssh");
    let agent = session
        .agents
        .get(asked, &session.host.search_path, folder)?;
    Ok(Some(agent))
}

/// `ssh://…`, or `user@host:path` as scp has it.
fn is_ssh(remote: &str) -> bool {
    remote
        .split_once("://")
        .is_none_or(|(scheme, _)| scheme.eq_ignore_ascii_case("ssh"))
}

/// Makes what ssh looks for in git's home folder; `own` is the user's.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn prepare(
    home: &Path,
    own: Option<&Path>,
    agent: Option<&Agent>,
) -> Result<(), FetchError> {
    let link = |name: &str, to: &Path| {
        let path = home.join(name);
        symlink(to, &path).map_err(|error| io("make", &path, error))
    };
    if let Some(own) = own {
        link(USERS_HOSTS, &own.join(".ssh/known_hosts"))?;
    }
    match agent {
        Some(agent) => link(AGENT, &agent.socket()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_for_ssh() {
        for (remote, expected) in [
            ("ssh://git@h/a", true),
            ("SSH://h/a", true),
            ("git@h:a/b.git", true),
            ("https://ssh@h/a", false),
            ("git://h/a", false),
        ] {
            assert_eq!(is_ssh(remote), expected, "{remote}");
        }
        assert!(COMMAND.contains(USERS_HOSTS));
    }
}
