//! The nftables rules of a fault, as text for nft, and the comments by which they are known again.

use std::fmt::Write;
use std::net::IpAddr;

/// Comment prefix of rules that let management traffic pass.
pub(crate) const MANAGEMENT: &str = "management";
/// Comment prefix of rules that drop.
pub(crate) const DROPPED: &str = "dropped";
/// Comment of the rule that counts data packets a reset may hit.
pub(crate) const CANDIDATES: &str = "data packets";
/// Comment of the rule that counts those of them whose payload matched.
pub(crate) const MATCHED: &str = "payloads that match";
/// Comment of the rule that rejects.
pub(crate) const REJECTED: &str = "rejected";

/// Comment of the rule that hands packets to the process that looks at them.
pub(crate) const INSPECTED: &str = "inspected";
/// Comment of the rule that hands packets to the process that has effects on them.
pub(crate) const SHAPED: &str = "shaped";
/// Comment of the rule that lets the copies pass which that process sends.
const COPIES: &str = "copies";

/// Set in the mark of a packet whose payload matched, between two passes through the rules.
pub(crate) const MATCH_BIT: u32 = 1 << 27;
/// Set beside it if the packet is to be rejected.
pub(crate) const LOT_BIT: u32 = 1 << 26;
/// Set in the mark of a packet that is sent to the node itself as the copy of one that came.
pub(crate) const COPY_BIT: u32 = 1 << 28;

/// Shares are drawn out of this many.
const DRAWS: u32 = 1_000_000;

/// TCP connections that must never be touched: (address of the harness, SSH port of this node).
pub(crate) type Management = Vec<(IpAddr, u16)>;

/// A table and the comments of its rules, in the order the kernel must hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) script: String,
    pub(crate) comments: Vec<String>,
    /// The chain that is to end in a rule which fills a queue, and that rule's comment.
    pub(crate) queue: Option<(&'static str, &'static str)>,
}

/// The table of a fault. One agent runs one run, so run and fault name it.
pub(crate) fn table_name(run: &str, fault: &str) -> String {
    format!("shakedown_{run}_{fault}")
}

/// Drops what comes in, except management traffic.
pub(crate) fn drop_from(name: &str, concerned: Concerned<'_>, management: &Management) -> Table {
    let mut chain = Chain::input(management);
    chain.spare_neighbours(&concerned.sources());
    for peer in concerned.sources() {
        let comment = format!("{DROPPED} {peer}");
        chain.rule(&format!("{} counter drop", source(peer)), &comment);
    }
    table(name, &[chain])
}

/// Which packets from other machines a fault concerns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Concerned<'a> {
    /// Those from these addresses.
    pub(crate) from: &'a [IpAddr],
    /// Those of the harness's clients, too, from these addresses.
    pub(crate) clients: &'a [IpAddr],
    /// Only TCP and UDP packets for this port.
    pub(crate) port: Option<u16>,
    /// The port is that of the sender: answers.
    pub(crate) answers: bool,
}

impl Concerned<'_> {
    /// Where packets come from, each address once.
    pub(crate) fn sources(&self) -> Vec<IpAddr> {
        let mut all = [self.from, self.clients].concat();
        all.sort();
        all.dedup();
        all
    }

    /// What a rule says of the port, once for each protocol it is looked for in.
    fn ports(&self) -> Vec<String> {
        let side = if self.answers { "sport" } else { "dport" };
        match self.port {
            None => vec![String::new()],
            Some(port) => ["tcp", "udp"]
                .map(|protocol| format!(" {protocol} {side} {port}"))
                .into(),
        }
    }
}

/// Hands packets to a queue, except management traffic and copies of packets that were there before.
pub(crate) fn shape(name: &str, concerned: Concerned<'_>, management: &Management) -> Table {
    let mut shaped = Chain::new("shaped");
    shaped.queue(SHAPED);
    let mut input = Chain::input(management);
    let copy = format!("meta mark & {COPY_BIT:#x} != 0 counter return");
    input.rule(&copy, COPIES);
    input.spare_neighbours(&concerned.sources());
    for peer in concerned.sources() {
        for port in concerned.ports() {
            let rule = format!("{}{port} goto shaped", source(peer));
            input.rule(&rule, &format!("from {peer}"));
        }
    }
    table(name, &[shaped, input])
}

/// Rejects a share of the data packets from `from` to `port` with a TCP reset; lets SYN, pure
/// acknowledgements and FIN pass.
///
/// Rules can't compute a payload's length. Instead there is one rule for each length a TCP header can
/// have (5 to 15 words): the packet holds data if it is longer than that header and its IP header. An
/// IPv4 header with options or an IPv6 packet with extension headers is left alone.
///
/// If payloads are to be `inspected`, data packets go to a queue first, whose reader draws the lots. Those that come back
/// marked are counted in their second pass and rejected if they are marked once more; others aren't seen again.
pub(crate) fn reset(
    name: &str,
    (port, from): (u16, &[IpAddr]),
    probability: f64,
    inspected: bool,
    management: &Management,
) -> Table {
    let mut input = Chain::input(management);
    if inspected {
        input.rule(
            &format!("meta mark & {MATCH_BIT} != 0 goto matched"),
            "matched",
        );
    }
    for peer in from {
        let (plain, target) = match peer {
            IpAddr::V4(_) => ("ip hdrlength 5", "ipv4"),
            IpAddr::V6(_) => ("ip6 nexthdr tcp", "ipv6"),
        };
        input.rule(
            &format!(
                "{} {plain} tcp dport {port} tcp flags & (syn | rst) == 0x0 jump {target}",
                source(*peer)
            ),
            &format!("from {peer}"),
        );
    }
    let by_length = |target, ip_header: u32| {
        let mut chain = Chain::new(target);
        for words in 5..=15_u32 {
            let headers = ip_header + 4 * words;
            chain.rule(
                &format!("tcp doff {words} meta length > {headers} goto data"),
                &format!("{target} {headers}"),
            );
        }
        chain
    };
    let mut data = Chain::new("data");
    data.rule("counter", CANDIDATES);
    if !inspected {
        reject(&mut data, probability);
        let chains = [data, by_length("ipv4", 20), by_length("ipv6", 40), input];
        return table(name, &chains);
    }
    data.queue(INSPECTED);
    let mut matched = Chain::new("matched");
    matched.rule("counter", MATCHED);
    let hit = format!("meta l4proto tcp meta mark & {LOT_BIT:#x} != 0 {REJECT}");
    matched.rule(&hit, REJECTED);
    // Who is spared must look as it did, and not be inspected again.
    let spare = format!(
        "meta mark set meta mark & {:#x} accept",
        !(MATCH_BIT | LOT_BIT)
    );
    matched.rule(&spare, "spared");
    let chains = [
        matched,
        data,
        by_length("ipv4", 20),
        by_length("ipv6", 40),
        input,
    ];
    table(name, &chains)
}

/// What a rule that rejects does.
const REJECT: &str = "counter reject with tcp reset";

/// Rejects a share of TCP packets with a reset. The kernel draws the lots: they follow no seed.
fn reject(chain: &mut Chain, probability: f64) {
    // Rounded up, so that a rare reset doesn't become an impossible one.
    let share = (probability * f64::from(DRAWS)).ceil();
    if share >= f64::from(DRAWS) {
        chain.rule(&format!("meta l4proto tcp {REJECT}"), REJECTED);
    } else if share > 0.0 {
        chain.rule(
            &format!("meta l4proto tcp numgen random mod {DRAWS} < {share} {REJECT}"),
            REJECTED,
        );
    }
}

/// What a rule says of who sent a packet.
pub(crate) fn source(peer: IpAddr) -> String {
    match peer {
        IpAddr::V4(address) => format!("ip saddr {address}"),
        IpAddr::V6(address) => format!("ip6 saddr {address}"),
    }
}

/// A chain of a table under construction.
pub(crate) struct Chain {
    name: &'static str,
    hook: &'static str,
    rules: String,
    comments: Vec<String>,
    queue: Option<&'static str>,
}

impl Chain {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            hook: "",
            rules: String::new(),
            comments: Vec::new(),
            queue: None,
        }
    }

    /// Leaves room at the end for the rule that fills a queue, which is added once the table is loaded.
    fn queue(&mut self, comment: &'static str) {
        self.comments.push(comment.to_owned());
        self.queue = Some(comment);
    }

    /// The chain that sees every incoming packet, just before the host's own filters do. `return` in
    /// it hands the packet on to those, so it opens nothing that is closed.
    pub(crate) fn input(management: &Management) -> Self {
        let hook = "type filter hook input priority -10; policy accept;";
        Self::guarded("input", hook, management)
    }

    /// A chain on a hook for incoming packets that first lets management traffic pass.
    pub(crate) fn guarded(name: &'static str, hook: &'static str, management: &Management) -> Self {
        let mut chain = Self {
            hook,
            ..Self::new(name)
        };
        for (address, port) in management {
            let comment = format!("{MANAGEMENT} {address} {port}");
            let from = source(*address);
            chain.rule(&format!("{from} tcp dport {port} counter return"), &comment);
            chain.rule(&format!("{from} tcp sport {port} counter return"), &comment);
            // Without neighbour discovery an IPv6 connection dies within seconds.
            if address.is_ipv6() {
                chain.rule(
                    &format!(
                        "{from} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} counter return"
                    ),
                    &comment,
                );
            }
        }
        chain
    }

    /// The chain that sees every packet of this node's own, and first lets management traffic pass.
    pub(crate) fn output(hook: &'static str, management: &Management) -> Self {
        let mut chain = Self {
            hook,
            ..Self::new("output")
        };
        for (address, port) in management {
            let to = source(*address).replace("saddr", "daddr");
            let comment = format!("{MANAGEMENT} {address} {port}");
            chain.rule(&format!("{to} tcp sport {port} counter return"), &comment);
        }
        chain
    }

    /// Lets nodes find each other on their link. What that takes is among IPv6 packets, other than with IPv4: without it
    /// a cut of one direction would be one of both.
    fn spare_neighbours(&mut self, sources: &[IpAddr]) {
        if sources.iter().any(IpAddr::is_ipv6) {
            let rule = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } counter return";
            self.rule(rule, "neighbour discovery");
        }
    }

    pub(crate) fn rule(&mut self, rule: &str, comment: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.rules, "    {rule} comment \"{comment}\"");
        self.comments.push(comment.to_owned());
    }
}

/// A table of these chains; those that others go to come first.
pub(crate) fn table(name: &str, chains: &[Chain]) -> Table {
    // `create` fails if there is such a table, where `table` alone would add to it.
    let mut script = format!("create table inet {name}\ntable inet {name} {{\n");
    for chain in chains {
        let hook = match chain.hook {
            "" => String::new(),
            hook => format!("    {hook}\n"),
        };
        let _ = writeln!(
            script,
            "  chain {} {{\n{hook}{}  }}",
            chain.name, chain.rules
        );
    }
    script.push_str("}\n");
    Table {
        name: name.to_owned(),
        script,
        comments: chains
            .iter()
            .flat_map(|chain| chain.comments.clone())
            .collect(),
        queue: chains
            .iter()
            .find_map(|chain| Some((chain.name, chain.queue?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn management() -> Management {
        vec![
            ("10.0.0.254".parse().unwrap(), 22),
            ("fd00::fe".parse().unwrap(), 22),
        ]
    }

    fn clients() -> Vec<IpAddr> {
        management()
            .into_iter()
            .map(|(address, _)| address)
            .collect()
    }

    #[test]
    fn a_partition_lets_management_pass_before_it_drops() {
        let peers = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let concerned = Concerned {
            from: &peers,
            clients: &clients(),
            port: None,
            answers: false,
        };
        insta::assert_snapshot!(drop_from("shakedown_r_f", concerned, &management()).script);
    }

    #[test]
    fn a_reset_judges_data_by_header_lengths() {
        let peers = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let table = reset("shakedown_r_f", (7700, &peers), 0.02, false, &management());
        insta::assert_snapshot!(table.script);
    }

    #[test]
    fn a_reset_by_content_inspects_each_packet_once() {
        let peers = ["10.0.0.1".parse().unwrap()];
        let table = reset("shakedown_r_f", (7700, &peers), 0.5, true, &management());
        assert_eq!(table.queue, Some(("data", INSPECTED)));
        insta::assert_snapshot!(table.script);
    }

    #[test]
    fn packets_go_to_a_queue_once_and_management_never() {
        let clients = clients();
        let concerned = Concerned {
            from: &["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            clients: &clients,
            port: Some(7700),
            answers: false,
        };
        let table = shape("shakedown_r_f", concerned, &management());
        assert_eq!(table.queue, Some(("shaped", SHAPED)));
        insta::assert_snapshot!(table.script);
        let answers = Concerned {
            clients: &[],
            answers: true,
            ..concerned
        };
        let script = shape("t", answers, &management()).script;
        assert!(script.contains("ip saddr 10.0.0.1 tcp sport 7700 goto shaped"));
        assert!(!script.contains("10.0.0.254 tcp sport 7700"), "no clients");
    }

    #[test]
    fn a_certain_reset_draws_no_lots_a_rare_one_stays_possible_and_none_rejects_nothing() {
        let script = |p| reset("t", (1, &[]), p, false, &vec![]).script;
        assert!(script(1.0).contains("reject") && !script(1.0).contains("numgen"));
        assert!(script(0.02).contains("< 20000 "));
        assert!(script(1e-9).contains("< 1 "));
        assert!(!script(0.0).contains("reject"));
    }
}
