//! A fault in a sentence, for people.

use crate::effects::Effects;
use crate::fault::{Fault, Skew};
use crate::ports::{BlockMode, DnsMode};

/// One line that tells a person what the fault does.
pub fn summary(fault: &Fault) -> String {
    match fault {
        Fault::Partition {
            from,
            to,
            one_way: true,
        } => format!("packets {} -> {} dropped", list(from), list(to)),
        Fault::Partition { from, to, .. } => {
            format!("packets {} <-> {} dropped", list(from), list(to))
        }
        Fault::Split { nodes, split } => format!("{} split: {}", list(nodes), split.words()),
        Fault::Kill {
            nodes,
            service,
            restart,
            signal,
        } => {
            let after = if *restart {
                ", started again afterwards"
            } else {
                ""
            };
            let signal = signal.name();
            format!("{service} on {} killed with {signal}{after}", list(nodes))
        }
        Fault::Pause { nodes, service } => {
            format!("{service} on {} stopped with SIGSTOP", list(nodes))
        }
        Fault::Reset {
            nodes,
            port,
            from,
            probability,
            containing,
        } => {
            let sources = if from.is_empty() {
                "any node".to_owned()
            } else {
                list(from)
            };
            let targets: Vec<String> = nodes.iter().map(|n| format!("{n}:{port}")).collect();
            let which = if containing.is_empty() {
                String::new()
            } else {
                format!(" containing {}", containing.join(" or "))
            };
            format!(
                "each data packet {sources} -> {}{which} reset with probability {probability}",
                list(&targets)
            )
        }
        Fault::Delay {
            from,
            to,
            port,
            delay_ms,
            jitter_ms,
            distribution,
        } => {
            let effects = Effects {
                delay_ms: *delay_ms,
                jitter_ms: *jitter_ms,
                distribution: *distribution,
                ..Effects::default()
            };
            link(from, "->", to, *port, &effects)
        }
        Fault::Shape {
            from,
            to,
            both,
            port,
            effects,
        } => link(from, if *both { "<->" } else { "->" }, to, *port, effects),
        Fault::Block {
            nodes,
            port,
            from,
            mode,
        } => {
            let what = match mode {
                BlockMode::Drop => "blocked",
                BlockMode::DropNew => "blocked for new connections",
                BlockMode::Refuse => "refuses connections",
            };
            format!("{} {what} for {}", ports(nodes, *port), everyone(from))
        }
        Fault::Stream {
            nodes,
            port,
            from,
            mode,
        } => {
            let (to, how) = (ports(nodes, *port), mode.words());
            format!("new connections {} -> {to} {how}", everyone(from))
        }
        Fault::Dns { nodes, mode } => {
            let how = match mode {
                DnsMode::Drop => "are never answered",
                DnsMode::Servfail => "are answered by SERVFAIL",
                DnsMode::Refused => "are answered by REFUSED",
                DnsMode::Nxdomain => "are answered by NXDOMAIN",
            };
            format!("questions for names on {} {how}", list(nodes))
        }
        Fault::Clock {
            nodes,
            service,
            skew,
        } => format!("wall clock of {service} on {} {}", list(nodes), how(*skew)),
        Fault::Local { nodes, act } => act.summary(&list(nodes)),
        Fault::PowerLoss {
            nodes,
            service,
            dir,
        } => format!(
            "power cut off {service} and its disk {dir} on {}: data not synced is lost",
            list(nodes)
        ),
        Fault::DiskFull {
            nodes,
            dir,
            leave_bytes,
        } => format!(
            "disk {dir} on {} filled, {leave_bytes} bytes left",
            list(nodes)
        ),
    }
}

fn link(
    from: &[String],
    arrow: &str,
    to: &[String],
    port: Option<u16>,
    effects: &Effects,
) -> String {
    let targets: Vec<String> = match port {
        Some(port) => to.iter().map(|node| format!("{node}:{port}")).collect(),
        None => to.to_vec(),
    };
    let (from, to) = (list(from), list(&targets));
    format!("packets {from} {arrow} {to} {}", effects.words())
}

fn ports(nodes: &[String], port: u16) -> String {
    let targets: Vec<String> = nodes.iter().map(|node| format!("{node}:{port}")).collect();
    list(&targets)
}

fn everyone(from: &[String]) -> String {
    if from.is_empty() {
        "everyone".to_owned()
    } else {
        list(from)
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

fn how(skew: Skew) -> String {
    let off = |offset_ms: i64| {
        let direction = if offset_ms < 0 { "behind" } else { "ahead" };
        format!("{} ms {direction}", offset_ms.unsigned_abs())
    };
    match skew {
        Skew::Jump { offset_ms } => format!("set {}", off(offset_ms)),
        Skew::Drift { rate } => format!("runs {rate} times as fast"),
        Skew::Strobe {
            offset_ms,
            every_ms,
        } => {
            let off = off(offset_ms);
            format!("set {off} and back, each for {every_ms} ms")
        }
        Skew::Freeze => "stands still".to_owned(),
    }
}
