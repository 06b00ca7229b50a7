//! From a scenario's faults, on roles, to faults on nodes.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use shakedown_nemesis::fault::{CLIENTS, Fault};
use shakedown_nemesis::split::Split;
use toml::Spanned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::scenario::{
    FaultItem, FaultParameters, Names, SplitFault, SplitShape, Target, millis, split_target,
};
use crate::system::NodeRef;

/// Resolves a scenario's fault to node names.
///
/// `nodes` has the scenario's nodes by role; validation saw to it that every target exists. `disk` is where
/// nodes that have a disk of their own have it; `seed` is the run's: all that is left to chance is drawn from it and the
/// fault's name.
pub(crate) fn resolve(
    item: &FaultItem,
    nodes: &BTreeMap<String, Vec<NodeRef>>,
    disk: &str,
    seed: u64,
) -> Fault {
    let seed = xxh3_64_with_seed(item.name.get_ref().as_bytes(), seed);
    let targets = |targets: &Spanned<Names>| -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for target in &targets.get_ref().0 {
            if target == CLIENTS {
                names.push(target.clone());
                continue;
            }
            let (role, which) = split_target(target);
            let members = &nodes[role];
            match which {
                Target::One(index) => names.push(members[index].name.clone()),
                Target::All => names.extend(members.iter().map(|n| n.name.clone())),
            }
        }
        names
    };
    match &item.parameters {
        FaultParameters::Partition(p) => Fault::Partition {
            from: targets(&p.from),
            to: targets(&p.to),
            one_way: p.one_way,
        },
        FaultParameters::Split(s) => split(s, targets, seed),
        FaultParameters::Kill(k) => Fault::Kill {
            nodes: targets(&k.nodes),
            service: k.service.get_ref().clone(),
            restart: k.restart,
            signal: k.signal,
        },
        FaultParameters::Pause(p) => {
            match p.act().expect("validation saw to it that it makes sense") {
                Some(act) => Fault::Local {
                    nodes: targets(&p.nodes),
                    act,
                },
                None => Fault::Pause {
                    nodes: targets(&p.nodes),
                    service: p.service.get_ref().clone(),
                },
            }
        }
        FaultParameters::Local(l) => Fault::Local {
            nodes: targets(l.common().nodes()),
            act: (l.common())
                .act(seed, disk)
                .expect("validation saw to it that it makes sense"),
        },
        FaultParameters::Operation(_) => {
            unreachable!("operations are carried out by the harness, not by agents")
        }
        FaultParameters::Reset(r) => Fault::Reset {
            nodes: targets(&r.nodes),
            port: r.port,
            from: r.from.as_ref().map(targets).unwrap_or_default(),
            probability: *r.probability.get_ref(),
            containing: r.containing.iter().map(|p| p.get_ref().clone()).collect(),
        },
        FaultParameters::Delay(d) => Fault::Delay {
            from: targets(&d.from),
            to: targets(&d.to),
            port: d.port,
            delay_ms: millis(*d.delay.get_ref()),
            jitter_ms: millis(d.jitter),
            distribution: d.distribution,
        },
        FaultParameters::Shape(s) => Fault::Shape {
            from: targets(&s.from),
            to: targets(&s.to),
            both: s.both,
            port: s.port,
            effects: s.effects(),
        },
        FaultParameters::Block(b) => Fault::Block {
            nodes: targets(&b.nodes),
            port: *b.port.get_ref(),
            from: b.from.as_ref().map(targets).unwrap_or_default(),
            mode: b.mode,
        },
        FaultParameters::Stream(s) => Fault::Stream {
            nodes: targets(&s.nodes),
            port: *s.port.get_ref(),
            from: s.from.as_ref().map(targets).unwrap_or_default(),
            mode: s
                .mode()
                .expect("validation saw to it that one thing happens"),
        },
        FaultParameters::Dns(d) => Fault::Dns {
            nodes: targets(&d.nodes),
            mode: d.mode,
        },
        FaultParameters::Clock(c) => Fault::Clock {
            nodes: targets(&c.nodes),
            service: c.service.get_ref().clone(),
            skew: c.skew().expect("validation saw to it that it makes sense"),
        },
        FaultParameters::PowerLoss(p) => Fault::PowerLoss {
            nodes: targets(&p.nodes),
            service: p.service.get_ref().clone(),
            dir: disk.to_owned(),
        },
        FaultParameters::DiskFull(d) => Fault::DiskFull {
            nodes: targets(&d.nodes),
            dir: disk.to_owned(),
            leave_bytes: u64::from(d.leave_kib) * 1024,
        },
    }
}

fn split(
    parameters: &SplitFault,
    targets: impl Fn(&Spanned<Names>) -> Vec<String>,
    seed: u64,
) -> Fault {
    let mut nodes: Vec<String> = Vec::new();
    let mut pairs = Vec::new();
    let named = parameters.nodes.iter();
    for node in named.chain(parameters.pairs.iter().flat_map(|(a, b)| [a, b])) {
        for node in targets(node) {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
    }
    if parameters.shuffle {
        nodes.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    for (from, to) in &parameters.pairs {
        for one in targets(from) {
            pairs.extend(targets(to).into_iter().map(|other| (one.clone(), other)));
        }
    }
    let one = parameters.one.as_ref().map(&targets).unwrap_or_default();
    let split = match parameters.shape {
        None => Split::Pairs { pairs },
        Some(SplitShape::Isolate) => Split::Isolate { one: one.concat() },
        Some(SplitShape::Halves) => Split::Halves,
        Some(SplitShape::MajorityMinority) => Split::MajorityMinority,
        Some(SplitShape::MajoritiesRing) => Split::MajoritiesRing,
        Some(SplitShape::Bridge) => Split::Bridge,
    };
    Fault::Split { nodes, split }
}
