//! The nodes of a run, as `--nodes` and `--nodes-file` name them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// A node, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// What the node is called everywhere: its host part, unless the cluster gave it a name; of nodes behind one host,
    /// the first of their own addresses.
    pub name: String,
    /// Address, name, or alias in the SSH configuration: where SSH goes.
    pub host: String,
    /// Port, if named.
    pub port: Option<u16>,
    /// User, if named.
    pub user: Option<String>,
    /// Addresses or names by which nodes and clients know it, the first above all; none if that is `host`.
    pub cluster: Vec<String>,
}

/// Why a list of nodes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeListError {
    /// An entry is no address.
    #[error(
        "{place}: `{entry}` is no node: {problem}; write host, user@host:port or user@[ipv6]:port, and behind it \
         =address if nodes know it by another than SSH does"
    )]
    Malformed {
        /// `node 3` or `line 3`.
        place: String,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two entries have the same host, or the same address behind `=`.
    #[error(
        "{place}: `{name}` is listed twice, first as {first}; nodes behind one host differ in port and in what is \
         behind `=`"
    )]
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

/// Parses the value of `--jump`: one host.
///
/// # Errors
/// It is none, or more, or has an address behind `=`.
pub fn parse_jump(text: &str) -> Result<NodeAddress, NodeListError> {
    let mut nodes = parse_nodes(text)?;
    let problem = match &nodes[..] {
        [node] if node.cluster.is_empty() => return Ok(nodes.remove(0)),
        [_] => "nodes do not know a jump host, so nothing belongs behind it",
        _ => "there is one jump host for all nodes",
    };
    Err(NodeListError::Malformed {
        place: "jump host".to_owned(),
        entry: text.to_owned(),
        problem,
    })
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
    let mut places = Vec::new();
    for (number, entry) in entries {
        let place = format!("{unit} {number}");
        let node = parse_entry(entry).map_err(|problem| NodeListError::Malformed {
            place: place.clone(),
            entry: entry.to_owned(),
            problem,
        })?;
        nodes.push(node);
        places.push(place);
    }
    if nodes.is_empty() {
        return Err(NodeListError::Empty);
    }
    tell_apart(&mut nodes);
    refuse_duplicates(&nodes, &places)?;
    Ok(nodes)
}

/// Nodes behind one host, as with a NAT or tunnels, are called by their own addresses.
fn tell_apart(nodes: &mut [NodeAddress]) {
    let mut behind: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        behind.entry(node.host.clone()).or_default().push(index);
    }
    for together in behind.into_values().filter(|t| t.len() > 1) {
        if together
            .iter()
            .all(|&index| !nodes[index].cluster.is_empty())
        {
            for index in together {
                nodes[index].name = nodes[index].cluster[0].clone();
            }
        }
    }
}

/// No two nodes have a name, an address of their own, or host and port in common.
fn refuse_duplicates(nodes: &[NodeAddress], places: &[String]) -> Result<(), NodeListError> {
    let mut names = HashMap::new();
    let mut own = HashMap::new();
    let mut doors = HashMap::new();
    for (node, place) in nodes.iter().zip(places) {
        let door = (node.host.clone(), node.port);
        let first = [
            (&node.name, names.insert(node.name.clone(), place)),
            (&node.host, doors.insert(door, place)),
        ];
        let addresses = node.cluster.iter();
        let first = (first.into_iter())
            .chain(addresses.map(|address| (address, own.insert(address.clone(), place))));
        for (name, first) in first {
            if let Some(first) = first {
                return Err(NodeListError::Duplicate {
                    place: place.clone(),
                    name: name.clone(),
                    first: first.clone(),
                });
            }
        }
    }
    Ok(())
}

fn parse_entry(entry: &str) -> Result<NodeAddress, &'static str> {
    let (login, cluster) = match entry.split_once('=') {
        Some((login, cluster)) => (login.trim(), parse_cluster(cluster)?),
        None => (entry, Vec::new()),
    };
    let (user, rest) = match login.rsplit_once('@') {
        Some(("", _)) => return Err("the user before `@` is empty"),
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, login),
    };
    let (host, port) = split_port(rest)?;
    check_host(host)?;
    Ok(NodeAddress {
        name: host.to_owned(),
        host: host.to_owned(),
        port,
        user,
        cluster,
    })
}

/// What is behind `=`: addresses or names, separated by `+`.
fn parse_cluster(text: &str) -> Result<Vec<String>, &'static str> {
    let mut found = Vec::new();
    for address in text.split('+').map(str::trim) {
        if address.contains('@') {
            return Err("a user belongs before `=`");
        }
        let (host, port) = split_port(address)?;
        if port.is_some() {
            return Err(
                "no port may follow the address behind `=`: the system's file has its ports",
            );
        }
        check_host(host)?;
        let host = host
            .parse::<IpAddr>()
            .map_or_else(|_| host.to_owned(), |address| address.to_string());
        if found.contains(&host) {
            return Err("an address is named twice behind `=`");
        }
        found.push(host);
    }
    Ok(found)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("the host is empty");
    }
    if host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || "/\\\"'=+".contains(c))
    {
        return Err("this is no host name");
    }
    Ok(())
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
            cluster: Vec::new(),
        }
    }

    /// Name, host and own addresses of each node of a list.
    fn apart(list: &str) -> Vec<(String, String, Vec<String>)> {
        let nodes = parse_nodes(list).unwrap().into_iter();
        nodes.map(|n| (n.name, n.host, n.cluster)).collect()
    }

    fn expected(name: &str, host: &str, cluster: &[&str]) -> (String, String, Vec<String>) {
        let cluster = cluster.iter().map(|&address| address.to_owned());
        (name.to_owned(), host.to_owned(), cluster.collect())
    }

    #[test]
    fn a_node_may_be_known_by_other_addresses_than_ssh_goes_to() {
        let list = "deploy@203.0.113.7:22=10.0.0.7, db2 = db2.internal,[2001:db8::3]:22=10.0.0.9+[fd00::9]";
        assert_eq!(
            apart(list),
            [
                expected("203.0.113.7", "203.0.113.7", &["10.0.0.7"]),
                expected("db2", "db2", &["db2.internal"]),
                expected("2001:db8::3", "2001:db8::3", &["10.0.0.9", "fd00::9"]),
            ]
        );
        let first = &parse_nodes(list).unwrap()[0];
        assert_eq!(
            (first.user.as_deref(), first.port),
            (Some("deploy"), Some(22))
        );
        let file = "a=10.0.0.1 # first\nb=10.0.0.2\n";
        assert_eq!(parse_nodes_file(file).unwrap()[1].cluster, ["10.0.0.2"]);
    }

    #[test]
    fn nodes_behind_one_host_are_called_by_their_own_addresses() {
        assert_eq!(
            apart("127.0.0.1:2201=10.0.0.1,127.0.0.1:2202=db2,127.0.0.2=10.0.0.3"),
            [
                expected("10.0.0.1", "127.0.0.1", &["10.0.0.1"]),
                expected("db2", "127.0.0.1", &["db2"]),
                expected("127.0.0.2", "127.0.0.2", &["10.0.0.3"]),
            ]
        );
    }

    #[test]
    fn one_node_listed_twice_is_refused_however_it_is_written() {
        for (list, name) in [
            ("a=10.0.0.1,a=10.0.0.2", "a"),
            ("a:1=10.0.0.1,a:2", "a"),
            ("a:1,a:2", "a"),
            ("a=10.0.0.1,b=10.0.0.1", "10.0.0.1"),
            ("a=fd00::1,b=10.0.0.2+[fd00:0::1]", "fd00::1"),
            ("10.0.0.1,a:1=10.0.0.1,a:2=10.0.0.2", "10.0.0.1"),
        ] {
            let error = parse_nodes(list).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{name}` is listed twice")),
                "{list}: {error}"
            );
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
            "line 4: `a` is listed twice, first as line 1; nodes behind one host differ in port and in what is behind `=`"
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
            ("a,b=", "node 2"),
            ("=10.0.0.1", "node 1"),
            ("a=10.0.0.1:2380", "node 1"),
            ("a=me@10.0.0.1", "node 1"),
            ("a=10.0.0.1+10.0.0.1", "node 1"),
            ("a=10.0.0.1+", "node 1"),
            ("a=10.0.0.1=10.0.0.2", "node 1"),
        ] {
            let error = parse_nodes(list).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{place}: ")), "{list}: {error}");
        }
    }
}
