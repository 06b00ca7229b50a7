//! Faults in every form there is.

use shakedown_nemesis::effects::{Distribution, Effects};
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::{Damage, LocalFault, Range};
use shakedown_nemesis::fault::{CLIENTS, Fault, KillSignal, Skew};
use shakedown_nemesis::ports::{BlockMode, DnsMode, Side, StreamMode};
use shakedown_nemesis::split::Split;

use crate::local::web;

/// The node that every fault strikes; the others have no agent, and never notice.
pub(crate) const STRUCK: &str = "n1";

fn struck() -> Vec<String> {
    vec![STRUCK.to_owned()]
}

pub(crate) fn others() -> Vec<String> {
    ["n2", "n3", "n4", "n5"].map(str::to_owned).into()
}

fn everyone() -> Vec<String> {
    [struck(), others()].concat()
}

/// Faults on packets, connections and names.
pub(crate) fn on_the_network() -> Vec<Fault> {
    let partition = |from, one_way| Fault::Partition {
        from,
        to: struck(),
        one_way,
    };
    let split = |split| Fault::Split {
        nodes: everyone(),
        split,
    };
    let one = STRUCK.to_owned();
    let pair = (STRUCK.to_owned(), others()[0].clone());
    let reset = |containing| Fault::Reset {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        probability: 1.0,
        containing,
    };
    let shape = |effects| Fault::Shape {
        from: others(),
        to: struck(),
        both: false,
        port: None,
        effects,
    };
    let block = |mode| Fault::Block {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        mode,
    };
    let stream = |mode| Fault::Stream {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        mode,
    };
    let cut = |of| StreamMode::Cut { after_bytes: 1, of };
    let dns = |mode| Fault::Dns {
        nodes: struck(),
        mode,
    };
    let damaged = Effects {
        corrupt_percent: 100.0,
        ..Effects::default()
    };
    vec![
        partition(others(), false),
        partition(others(), true),
        partition(vec![CLIENTS.to_owned()], false),
        split(Split::Isolate { one }),
        split(Split::Halves),
        split(Split::MajorityMinority),
        split(Split::MajoritiesRing),
        split(Split::Bridge),
        split(Split::Pairs { pairs: vec![pair] }),
        reset(Vec::new()),
        reset(vec!["insert".to_owned()]),
        Fault::Delay {
            from: others(),
            to: struck(),
            port: None,
            delay_ms: 1000,
            jitter_ms: 0,
            distribution: Distribution::Uniform,
        },
        shape(Effects {
            loss_percent: 100.0,
            duplicate_percent: 100.0,
            reorder_percent: 100.0,
            rate: 1000,
            delay_ms: 1000,
            ..damaged
        }),
        shape(Effects {
            corrupt_unnoticed: true,
            ..damaged
        }),
        block(BlockMode::Drop),
        block(BlockMode::DropNew),
        block(BlockMode::Refuse),
        stream(StreamMode::Hang),
        stream(cut(Side::Answers)),
        stream(cut(Side::Requests)),
        stream(StreamMode::Slice {
            bytes: 1,
            pause_ms: 100,
        }),
        stream(StreamMode::SlowClose { hold_ms: 1000 }),
        dns(DnsMode::Drop),
        dns(DnsMode::Servfail),
        dns(DnsMode::Refused),
        dns(DnsMode::Nxdomain),
    ]
}

fn local(act: LocalFault) -> Fault {
    Fault::Local {
        nodes: struck(),
        act,
    }
}

/// Faults on the service, its files and its disk.
pub(crate) fn on_the_service(disk: &str) -> Vec<Fault> {
    let service = web;
    let kill = |signal| Fault::Kill {
        nodes: struck(),
        service: service(),
        restart: true,
        signal,
    };
    let clock = |skew| Fault::Clock {
        nodes: struck(),
        service: service(),
        skew,
    };
    let corrupt = |damage| {
        local(LocalFault::Corrupt {
            service: service(),
            files: "file".to_owned(),
            damage,
            seed: 1,
        })
    };
    let offset_ms = 3_600_000;
    let within = Range::default();
    vec![
        kill(KillSignal::Kill),
        kill(KillSignal::Terminate),
        Fault::Pause {
            nodes: struck(),
            service: service(),
        },
        local(LocalFault::Freeze { service: service() }),
        local(LocalFault::HoldThreads {
            service: service(),
            share: 1.0,
            hold_ms: 100,
        }),
        clock(Skew::Jump { offset_ms }),
        clock(Skew::Strobe {
            offset_ms,
            every_ms: 10,
        }),
        clock(Skew::Drift { rate: 100.0 }),
        clock(Skew::Freeze),
        Fault::PowerLoss {
            nodes: struck(),
            service: service(),
            dir: disk.to_owned(),
        },
        Fault::DiskFull {
            nodes: struck(),
            dir: disk.to_owned(),
            leave_bytes: 0,
        },
        local(LocalFault::InodesFull {
            dir: disk.to_owned(),
        }),
        local(LocalFault::CrashLoop {
            service: service(),
            up_ms: 10,
            down_ms: 10,
        }),
        local(LocalFault::CpuQuota {
            service: service(),
            percent: 1,
        }),
        local(LocalFault::CpuBurn { threads: 1 }),
        local(LocalFault::MemoryLimit {
            service: service(),
            more_mib: 1,
        }),
        local(LocalFault::MemoryHold { mib: 10 }),
        local(LocalFault::TaskLimit {
            service: service(),
            more: 0,
        }),
        local(LocalFault::FileLimit {
            service: service(),
            more: 0,
        }),
        corrupt(Damage::Flip { bits: 8, within }),
        corrupt(Damage::Truncate { bytes: 1 }),
        corrupt(Damage::Copy { bytes: 2, within }),
        corrupt(Damage::Restore { within }),
    ]
}

/// Faults on a disk with a layer.
pub(crate) fn on_a_layer(disk: &str) -> Vec<Fault> {
    vec![local(LocalFault::Io {
        dir: disk.to_owned(),
        effects: IoEffects {
            operations: Operation::ALL.into(),
            fail: 1.0,
            torn: 1.0,
            latency_ms: 1000,
            bytes_per_second: Some(1024),
            read_only: true,
            seed: 1,
        },
    })]
}
