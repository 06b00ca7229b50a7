//! The nodes of a run, as `--nodes` and `--nodes-file` name them.

use std::collections::HashMap;
use std::net::Ipv6Addr;

/// A node, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// What the node is called everywhere: its host part, unless the cluster gave it a name.
    pub name: String,
    /// Address, name, or alias in the SSH configuration.
    pub host: String,
    /// Port, if named.
    pub port: Option<u16>,
    /// User, if named.
    pub user: Option<String>,
}

/// Why a list of nodes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeListError {
    /// An entry is no address.
    #[error(
        "{place}: `{entry}` is no node: {problem}; write host, user@host:port or user@[ipv6]:port"
    )]
    Malformed {
        /// `node 3` or `line 3`.
        place: String,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two entries have the same host.
    #[error("{place}: `{name}` is listed twice, first as {first}")]
    Duplicate {
        /// `node 3` or `line 3`.
        place: String,
        /// The host.
        name: String,
        /// Where it was first.
        first: String,
    },
    /// No nodes at all.
    #[error("no nodes: name at least one, as in --nodes host1,host2 or one a line in --nodes-file")]
    Empty,
}

/// Parses the value of `--nodes`: entries separated by commas.
///
/// # Errors
/// An entry that is none (empty ones too), a host listed twice, or no entries.
pub fn parse_nodes(list: &str) -> Result<Vec<NodeAddress>, NodeListError> {
    if list.trim().is_empty() {
        return Err(NodeListError::Empty);
    }
    collect("node", (1..).zip(list.split(',').map(str::trim)))
}

/// Parses the text of a `--nodes-file`: one entry a line; `#` starts a comment; empty lines are skipped.
///
/// # Errors
/// As [`parse_nodes`], with line numbers.
pub fn parse_nodes_file(text: &str) -> Result<Vec<NodeAddress>, NodeListError> {
    let lines = text.lines().map(|line| {
        let (entry, _comment) = line.split_once('#').unwrap_or((line, ""));
        entry.trim()
    });
    collect(
        "line",
        (1..).zip(lines).filter(|(_, entry)| !entry.is_empty()),
    )
}

fn collect<'a>(
    unit: &str,
    entries: impl Iterator<Item = (usize, &'a str)>,
) -> Result<Vec<NodeAddress>, NodeListError> {
    let mut nodes = Vec::new();
    let mut seen = HashMap::new();
    for (number, entry) in entries {
        let place = format!("{unit} {number}");
        let node = parse_entry(entry).map_err(|problem| NodeListError::Malformed {
            place: place.clone(),
            entry: entry.to_owned(),
            problem,
        })?;
        if let Some(first) = seen.insert(node.name.clone(), place.clone()) {
            return Err(NodeListError::Duplicate {
                place,
                name: node.name,
                first,
            });
        }
        nodes.push(node);
    }
    if nodes.is_empty() {
        return Err(NodeListError::Empty);
    }
    Ok(nodes)
}

fn parse_entry(entry: &str) -> Result<NodeAddress, &'static str> {
    let (user, rest) = match entry.rsplit_once('@') {
        Some(("", _)) => return Err("the user before `@` is empty"),
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, entry),
    };
    let (host, port) = split_port(rest)?;
    if host.is_empty() {
        return Err("the host is empty");
    }
    if host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || "/\\\"'".contains(c)) {
        return Err("this is no host name");
    }
    Ok(NodeAddress {
        name: host.to_owned(),
        host: host.to_owned(),
        port,
        user,
    })
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or("`[` without `]`")?;
        host.parse::<Ipv6Addr>()
            .map_err(|_| "no IPv6 address between the brackets")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(parse_port(port)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("only `:port` may follow `]`"),
        };
    }
    // An IPv6 address without brackets cannot be told from one with a port unless it has none.
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err("an IPv6 address with a port needs brackets"),
        Some((host, port)) => Ok((host, Some(parse_port(port)?))),
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: Option<u16>, user: Option<&str>) -> NodeAddress {
        NodeAddress {
            name: host.to_owned(),
            host: host.to_owned(),
            port,
            user: user.map(str::to_owned),
        }
    }

    #[test]
    fn nodes_take_an_optional_user_and_port() {
        let nodes = parse_nodes("a, root@b ,deploy@10.0.0.3:2222,c.example.org:22").unwrap();
        assert_eq!(
            nodes,
            [
                node("a", None, None),
                node("b", None, Some("root")),
                node("10.0.0.3", Some(2222), Some("deploy")),
                node("c.example.org", Some(22), None),
            ]
        );
    }

    #[test]
    fn ipv6_addresses_need_brackets_only_with_a_port() {
        let nodes = parse_nodes("fd00::1,[fd00::2],me@[fd00::3]:2200").unwrap();
        assert_eq!(
            nodes,
            [
                node("fd00::1", None, None),
                node("fd00::2", None, None),
                node("fd00::3", Some(2200), Some("me")),
            ]
        );
    }

    #[test]
    fn a_nodes_file_may_hold_comments_and_empty_lines() {
        let nodes = parse_nodes_file("# cluster\n\na # first\n  b:23  \n").unwrap();
        assert_eq!(nodes, [node("a", None, None), node("b", Some(23), None)]);
    }

    #[test]
    fn a_host_listed_twice_is_refused_with_both_line_numbers() {
        let error = parse_nodes_file("a\n# x\nb\nroot@a:24\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 4: `a` is listed twice, first as line 1"
        );
    }

    #[test]
    fn an_empty_list_is_refused() {
        for text in ["", " ", "\n#only a comment\n"] {
            assert_eq!(
                parse_nodes_file(text),
                Err(NodeListError::Empty),
                "{text:?}"
            );
        }
        assert_eq!(parse_nodes(" "), Err(NodeListError::Empty));
    }

    #[test]
    fn malformed_entries_are_refused_with_their_place() {
        for (list, place) in [
            ("a,,b", "node 2"),
            ("@a", "node 1"),
            ("a,b:0", "node 2"),
            ("a:99999", "node 1"),
            ("a:", "node 1"),
            (":22", "node 1"),
            ("[fd00::1", "node 1"),
            ("[a]:1", "node 1"),
            ("[fd00::1]x", "node 1"),
            ("a:b:c", "node 1"),
            ("a b", "node 1"),
            ("-oProxyCommand=x", "node 1"),
        ] {
            let error = parse_nodes(list).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{place}: ")), "{list}: {error}");
        }
    }
}
