//! The rules of faults on ports and on questions for names.

use super::rules::{Chain, Concerned, DROPPED, Management, REJECTED, Table, source, table};
use crate::ports::BlockMode;

/// Comment prefix of rules that lead to an attendant.
pub(crate) const LED: &str = "led astray";

/// The port of servers that answer questions for names.
const DNS_PORT: u16 = 53;

/// What opens a TCP connection.
const OPENING: &str = "tcp flags & (fin | syn | rst | ack) == syn";

/// Blocks a port, except for management traffic.
pub(crate) fn block(
    name: &str,
    concerned: Concerned<'_>,
    mode: BlockMode,
    management: &Management,
) -> Table {
    let mut input = Chain::input(management);
    let port = concerned.port.unwrap_or_default();
    for peer in concerned.sources() {
        let from = source(peer);
        let (tcp, udp) = (
            format!("{from} tcp dport {port}"),
            format!("{from} udp dport {port}"),
        );
        let dropped = format!("{DROPPED} {peer}");
        match mode {
            BlockMode::Drop => {
                input.rule(&format!("{tcp} counter drop"), &dropped);
                input.rule(&format!("{udp} counter drop"), &dropped);
            }
            BlockMode::DropNew => input.rule(&format!("{tcp} {OPENING} counter drop"), &dropped),
            BlockMode::Refuse => {
                let rejected = format!("{REJECTED} {peer}");
                let reset = format!("{tcp} {OPENING} counter reject with tcp reset");
                input.rule(&reset, &rejected);
                let unreachable = format!("{udp} counter reject with icmpx port-unreachable");
                input.rule(&unreachable, &rejected);
            }
        }
    }
    table(name, &[input])
}

/// Leads what opens a connection to a port to another port of this node, except management traffic.
pub(crate) fn lead_astray(
    name: &str,
    concerned: Concerned<'_>,
    to: u16,
    management: &Management,
) -> Table {
    let hook = "type nat hook prerouting priority dstnat; policy accept;";
    let mut chain = Chain::guarded("prerouting", hook, management);
    let port = concerned.port.unwrap_or_default();
    for peer in concerned.sources() {
        // Without the flags, a connection that was open before would be torn by the first packet that
        // the kernel follows.
        let rule = format!(
            "{} tcp dport {port} {OPENING} counter redirect to :{to}",
            source(peer)
        );
        chain.rule(&rule, &format!("{LED} {peer}"));
    }
    table(name, &[chain])
}

/// Leads this node's questions for names to a port of its own.
pub(crate) fn lead_questions(name: &str, to: u16, management: &Management) -> Table {
    let mut output = Chain::output(
        "type nat hook output priority -100; policy accept;",
        management,
    );
    for protocol in ["udp", "tcp"] {
        let rule = format!("{protocol} dport {DNS_PORT} counter redirect to :{to}");
        output.rule(&rule, &format!("{LED} {protocol}"));
    }
    table(name, &[output])
}

/// Drops answers to this node's questions for names. Its questions leave: dropped there, they would fail
/// at once and not, as on a broken network, after a while.
pub(crate) fn drop_answers(name: &str, management: &Management) -> Table {
    let mut input = Chain::input(management);
    for protocol in ["udp", "tcp"] {
        let rule = format!("{protocol} sport {DNS_PORT} counter drop");
        input.rule(&rule, &format!("{DROPPED} {protocol}"));
    }
    table(name, &[input])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn management() -> Management {
        vec![("10.0.0.254".parse().unwrap(), 22)]
    }

    /// All tables, for a node and clients over IPv4 and a node over IPv6.
    fn tables() -> Vec<Table> {
        let from = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let concerned = Concerned {
            from: &from,
            clients: &["10.0.0.254".parse().unwrap()],
            port: Some(7700),
            answers: false,
        };
        let m = management();
        vec![
            block("drop", concerned, BlockMode::Drop, &m),
            block("drop_new", concerned, BlockMode::DropNew, &m),
            block("refuse", concerned, BlockMode::Refuse, &m),
            lead_astray("lead_astray", concerned, 40_000, &m),
            lead_questions("lead_questions", 40_000, &m),
            drop_answers("drop_answers", &m),
        ]
    }

    #[test]
    fn faults_on_ports_spare_management_first() {
        let scripts: Vec<String> = tables().into_iter().map(|table| table.script).collect();
        insta::assert_snapshot!(scripts.join("\n"));
    }

    #[test]
    fn no_table_has_a_rule_before_those_that_spare_management() {
        for table in tables() {
            let first_harmful = table
                .comments
                .iter()
                .position(|comment| !comment.starts_with("management"))
                .unwrap();
            assert_eq!(
                first_harmful,
                if table.name == "lead_questions" { 1 } else { 2 }
            );
        }
    }
}
