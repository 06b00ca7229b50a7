//! How to log in: what the command line says, completed by `~/.ssh/config`, as ssh(1) would.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh2_config::{ParseRule, SshConfig};

use super::{ControlError, NodeAddress};

/// How to log in to all nodes of a run.
#[derive(Debug, Clone)]
pub struct Access {
    /// User, unless the node names one; else from the SSH configuration, else the local user.
    pub user: Option<String>,
    /// Port, unless the node names one; else from the SSH configuration, else 22.
    pub port: Option<u16>,
    /// Private key; else from the SSH configuration, else the usual files in `~/.ssh`.
    pub key: Option<PathBuf>,
    /// Ask the SSH agent (`SSH_AUTH_SOCK`) first.
    pub agent: bool,
    /// A host that every connection goes by way of.
    pub jump: Option<NodeAddress>,
    /// Run every command through `sudo -n`.
    pub sudo: bool,
    /// Known host keys; `~/.ssh/known_hosts` by default.
    pub known_hosts: PathBuf,
    /// Trust the key of a host seen for the first time, and remember it. A changed key is refused always.
    pub accept_new: bool,
    /// The user's SSH configuration; `None`: use none. A file that does not exist counts as empty.
    pub ssh_config: Option<PathBuf>,
    /// Bounds on waiting.
    pub patience: Patience,
}

/// Bounds on waiting, one for each thing waited for.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a TCP connection.
    pub connect: Duration,
    /// For each step of handshake and login.
    pub handshake: Duration,
    /// For a command, from start to end.
    pub command: Duration,
    /// For progress of an upload or download.
    pub stall: Duration,
    /// How often to try when connecting fails in a way that may pass (refused, reset, no greeting).
    pub attempts: u32,
    /// Wait before the second attempt; doubles with each.
    pub backoff: Duration,
}

impl Patience {
    /// The usual bounds, but this one for a connection and each step of handshake and login.
    pub fn to_log_in(within: Duration) -> Patience {
        Patience {
            connect: within,
            handshake: within,
            ..Patience::default()
        }
    }
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(30),
            command: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            attempts: 4,
            backoff: Duration::from_millis(200),
        }
    }
}

impl Default for Access {
    fn default() -> Access {
        Access {
            user: None,
            port: None,
            key: None,
            agent: false,
            jump: None,
            sudo: false,
            known_hosts: in_ssh_dir("known_hosts"),
            accept_new: false,
            ssh_config: Some(in_ssh_dir("config")),
            patience: Patience::default(),
        }
    }
}

fn in_ssh_dir(name: &str) -> PathBuf {
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/root"));
    home.join(".ssh").join(name)
}

/// A node with everything resolved that is needed to log in.
#[derive(Debug, Clone)]
pub struct Target {
    /// The node's name.
    pub node: String,
    /// What to connect to.
    pub host: String,
    /// Which port.
    pub port: u16,
    /// As whom.
    pub user: String,
    /// Private keys to try, in order.
    pub keys: Vec<PathBuf>,
    /// The host to go by way of.
    pub jump: Option<Box<Target>>,
    /// The rest.
    pub access: Access,
}

impl Target {
    /// Completes a node's address from the command line and the SSH configuration, in this order.
    ///
    /// # Errors
    /// The SSH configuration cannot be read.
    pub fn resolve(node: &NodeAddress, access: &Access) -> Result<Target, ControlError> {
        let config = match &access.ssh_config {
            Some(path) => read_config(path)?,
            None => SshConfig::default(),
        };
        let params = config.query(&node.host);
        let user = [node.user.clone(), access.user.clone(), params.user]
            .into_iter()
            .flatten()
            .next()
            .or_else(|| std::env::var("USER").ok())
            .unwrap_or_else(|| "root".to_owned());
        let keys = match (&access.key, params.identity_file) {
            (Some(key), _) => vec![key.clone()],
            (None, Some(files)) if !files.is_empty() => files,
            _ => ["id_ed25519", "id_ecdsa", "id_rsa"]
                .into_iter()
                .map(in_ssh_dir)
                .filter(|path| path.exists())
                .collect(),
        };
        let jump = match &access.jump {
            Some(jump) => Some(Box::new(Self::resolve_jump(jump, access)?)),
            None => None,
        };
        Ok(Target {
            jump,
            node: node.name.clone(),
            host: params.host_name.unwrap_or_else(|| node.host.clone()),
            port: node.port.or(access.port).or(params.port).unwrap_or(22),
            user,
            keys,
            access: access.clone(),
        })
    }

    /// A jump host has user and port of its own: those of the nodes are not meant for it.
    fn resolve_jump(jump: &NodeAddress, access: &Access) -> Result<Target, ControlError> {
        let access = Access {
            user: None,
            port: None,
            jump: None,
            sudo: false,
            ..access.clone()
        };
        let mut target = Self::resolve(jump, &access)?;
        target.node = format!("jump host {}", jump.name);
        Ok(target)
    }

    /// Host and port, and by way of whom, for messages.
    pub(crate) fn address(&self) -> String {
        let way = match &self.jump {
            Some(jump) => format!(" by way of {}", jump.node),
            None => String::new(),
        };
        if self.host.contains(':') {
            format!("[{}]:{}{way}", self.host, self.port)
        } else {
            format!("{}:{}{way}", self.host, self.port)
        }
    }
}

fn read_config(path: &Path) -> Result<SshConfig, ControlError> {
    let problem = |problem: String| ControlError::SshConfig {
        path: path.to_owned(),
        problem,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(SshConfig::default()),
        Err(e) => return Err(problem(e.to_string())),
    };
    SshConfig::default()
        .parse(
            &mut BufReader::new(file),
            ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS,
        )
        .map_err(|e| problem(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(node: &str, config: &str, access: Access) -> Target {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, config).unwrap();
        let node = super::super::parse_nodes(node).unwrap().remove(0);
        let access = Access {
            ssh_config: Some(path),
            ..access
        };
        Target::resolve(&node, &access).unwrap()
    }

    const CONFIG: &str =
        "Host db*\n  HostName 10.1.2.3\n  User deploy\n  Port 2222\n  IdentityFile /keys/db\n";

    #[test]
    fn the_ssh_configuration_fills_in_what_the_command_line_leaves_open() {
        let target = resolve("db1", CONFIG, Access::default());
        assert_eq!(target.node, "db1");
        assert_eq!(target.address(), "10.1.2.3:2222");
        assert_eq!(target.user, "deploy");
        assert_eq!(target.keys, [PathBuf::from("/keys/db")]);
    }

    #[test]
    fn the_command_line_overrides_the_ssh_configuration_and_the_node_overrides_both() {
        let access = Access {
            user: Some("ops".to_owned()),
            port: Some(23),
            key: Some("/keys/mine".into()),
            ..Access::default()
        };
        let target = resolve("db1", CONFIG, access.clone());
        assert_eq!((target.user.as_str(), target.port), ("ops", 23));
        assert_eq!(target.keys, [PathBuf::from("/keys/mine")]);
        let target = resolve("root@db1:24", CONFIG, access);
        assert_eq!((target.user.as_str(), target.port), ("root", 24));
    }

    #[test]
    fn a_jump_host_has_its_own_user_and_port_and_the_nodes_keys() {
        let jump = |text| super::super::parse_jump(text).unwrap();
        let access = Access {
            user: Some("ops".to_owned()),
            port: Some(23),
            key: Some("/keys/mine".into()),
            jump: Some(jump("me@bastion:2200")),
            ..Access::default()
        };
        let target = resolve("web1", CONFIG, access.clone());
        assert_eq!(target.address(), "web1:23 by way of jump host bastion");
        let by = target.jump.unwrap();
        assert_eq!(
            (by.address().as_str(), by.user.as_str()),
            ("bastion:2200", "me")
        );
        assert_eq!(by.keys, [PathBuf::from("/keys/mine")]);
        let access = Access {
            jump: Some(jump("db9")),
            ..access
        };
        let by = resolve("web1", CONFIG, access).jump.unwrap();
        assert_eq!(
            (by.address().as_str(), by.user.as_str()),
            ("10.1.2.3:2222", "deploy")
        );
    }

    #[test]
    fn a_host_without_configuration_is_taken_as_it_is() {
        let access = Access {
            user: Some("root".to_owned()),
            ..Access::default()
        };
        let target = resolve("web1", CONFIG, access);
        assert_eq!(target.address(), "web1:22");
    }

    #[test]
    fn a_missing_ssh_configuration_counts_as_empty() {
        let node = super::super::parse_nodes("root@a").unwrap().remove(0);
        let access = Access {
            ssh_config: Some("/nonexistent/config".into()),
            ..Access::default()
        };
        assert_eq!(Target::resolve(&node, &access).unwrap().address(), "a:22");
    }
}
