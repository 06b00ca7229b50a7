//! The forms in which each kind of fault comes: what differs in its effect is a form of its own, and is proved by itself.

use super::io::IoEffects;
use super::local::{Damage, LocalFault};
use super::{CLIENTS, Fault, KillSignal, Skew};
use crate::effects::Effects;
use crate::ports::{BlockMode, DnsMode, Side, StreamMode};
use crate::split::Split;

/// A kind, as scenario files spell it, and a form of it; "" for a kind that has only one.
pub type Form = (&'static str, &'static str);

/// Every form of every fault that agents inflict. What is new in [`Fault::forms`] belongs here, too.
pub const FORMS: [Form; 61] = [
    ("partition", "both ways"),
    ("partition", "one way"),
    ("partition", "from clients"),
    ("split", "isolate"),
    ("split", "halves"),
    ("split", "majority_minority"),
    ("split", "majorities_ring"),
    ("split", "bridge"),
    ("split", "pairs"),
    ("kill", "kill"),
    ("kill", "terminate"),
    ("pause", "signal"),
    ("pause", "freezer"),
    ("pause", "threads"),
    ("reset", "any data"),
    ("reset", "containing"),
    ("delay", ""),
    ("shape", "loss"),
    ("shape", "corrupt"),
    ("shape", "corrupt_unnoticed"),
    ("shape", "duplicate"),
    ("shape", "rate"),
    ("shape", "delay"),
    ("shape", "reorder"),
    ("block", "drop"),
    ("block", "drop_new"),
    ("block", "refuse"),
    ("stream", "hang"),
    ("stream", "cut_after answers"),
    ("stream", "cut_after requests"),
    ("stream", "slice"),
    ("stream", "close_late"),
    ("dns", "drop"),
    ("dns", "servfail"),
    ("dns", "refused"),
    ("dns", "nxdomain"),
    ("clock", "offset"),
    ("clock", "strobe"),
    ("clock", "rate"),
    ("clock", "freeze"),
    ("power_loss", ""),
    ("disk_full", ""),
    ("crash_loop", ""),
    ("cpu", "quota_percent"),
    ("cpu", "burn"),
    ("memory", "more_mib"),
    ("memory", "hold_mib"),
    ("limit", "more_files"),
    ("limit", "more_tasks"),
    ("inodes_full", ""),
    ("io", "fail"),
    ("io", "torn"),
    ("io", "latency"),
    ("io", "bytes_per_second"),
    ("io", "read_only"),
    ("corrupt", "flip_bits"),
    ("corrupt", "truncate_bytes"),
    ("corrupt", "copy_bytes"),
    ("corrupt", "restore"),
    ("host_clock", "offset"),
    ("host_clock", "rate"),
];

impl Fault {
    /// Its kind, as scenario files spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::Split { .. } => "split",
            Self::Kill { .. } => "kill",
            Self::Pause { .. } => "pause",
            Self::Reset { .. } => "reset",
            Self::Delay { .. } => "delay",
            Self::Shape { .. } => "shape",
            Self::Block { .. } => "block",
            Self::Stream { .. } => "stream",
            Self::Dns { .. } => "dns",
            Self::Clock { .. } => "clock",
            Self::PowerLoss { .. } => "power_loss",
            Self::DiskFull { .. } => "disk_full",
            Self::Local { act, .. } => act.kind(),
        }
    }

    /// Its forms: several if it has several effects at once.
    pub fn forms(&self) -> Vec<Form> {
        let forms = match self {
            Self::Partition { from, .. } if from.iter().any(|node| node == CLIENTS) => {
                vec!["from clients"]
            }
            Self::Partition { one_way: true, .. } => vec!["one way"],
            Self::Partition { one_way: false, .. } => vec!["both ways"],
            Self::Split { split, .. } => vec![of_split(split)],
            Self::Kill { signal, .. } => vec![match signal {
                KillSignal::Kill => "kill",
                KillSignal::Terminate => "terminate",
            }],
            Self::Pause { .. } => vec!["signal"],
            Self::Reset { containing, .. } if containing.is_empty() => vec!["any data"],
            Self::Reset { .. } => vec!["containing"],
            Self::Delay { .. } | Self::PowerLoss { .. } | Self::DiskFull { .. } => vec![""],
            Self::Shape { effects, .. } => of_link(effects),
            Self::Block { mode, .. } => vec![match mode {
                BlockMode::Drop => "drop",
                BlockMode::DropNew => "drop_new",
                BlockMode::Refuse => "refuse",
            }],
            Self::Stream { mode, .. } => vec![of_stream(*mode)],
            Self::Dns { mode, .. } => vec![match mode {
                DnsMode::Drop => "drop",
                DnsMode::Servfail => "servfail",
                DnsMode::Refused => "refused",
                DnsMode::Nxdomain => "nxdomain",
            }],
            Self::Clock { skew, .. } => vec![match skew {
                Skew::Jump { .. } => "offset",
                Skew::Strobe { .. } => "strobe",
                Skew::Drift { .. } => "rate",
                Skew::Freeze => "freeze",
            }],
            Self::Local { act, .. } => of_local(act),
        };
        let kind = self.kind();
        forms.into_iter().map(|form| (kind, form)).collect()
    }
}

fn of_split(split: &Split) -> &'static str {
    match split {
        Split::Isolate { .. } => "isolate",
        Split::Halves => "halves",
        Split::MajorityMinority => "majority_minority",
        Split::MajoritiesRing => "majorities_ring",
        Split::Bridge => "bridge",
        Split::Pairs { .. } => "pairs",
    }
}

fn of_link(effects: &Effects) -> Vec<&'static str> {
    let corrupt = match effects.corrupt_unnoticed {
        true => "corrupt_unnoticed",
        false => "corrupt",
    };
    asked(&[
        (effects.loss_percent > 0.0, "loss"),
        (effects.corrupt_percent > 0.0, corrupt),
        (effects.duplicate_percent > 0.0, "duplicate"),
        (effects.rate > 0, "rate"),
        (effects.delay_ms > 0, "delay"),
        (effects.reorder_percent > 0.0, "reorder"),
    ])
}

fn of_stream(mode: StreamMode) -> &'static str {
    match mode {
        StreamMode::Hang => "hang",
        StreamMode::Cut { of, .. } => match of {
            Side::Answers => "cut_after answers",
            Side::Requests => "cut_after requests",
        },
        StreamMode::Slice { .. } => "slice",
        StreamMode::SlowClose { .. } => "close_late",
    }
}

fn of_local(act: &LocalFault) -> Vec<&'static str> {
    match act {
        LocalFault::Freeze { .. } => vec!["freezer"],
        LocalFault::HoldThreads { .. } => vec!["threads"],
        LocalFault::CrashLoop { .. } | LocalFault::InodesFull { .. } => vec![""],
        LocalFault::HostClock { .. } => vec!["offset"],
        LocalFault::HostClockRate { .. } => vec!["rate"],
        LocalFault::CpuQuota { .. } => vec!["quota_percent"],
        LocalFault::CpuBurn { .. } => vec!["burn"],
        LocalFault::MemoryLimit { .. } => vec!["more_mib"],
        LocalFault::MemoryHold { .. } => vec!["hold_mib"],
        LocalFault::TaskLimit { .. } => vec!["more_tasks"],
        LocalFault::FileLimit { .. } => vec!["more_files"],
        LocalFault::Io { effects, .. } => of_disk(effects),
        LocalFault::Corrupt { damage, .. } => vec![match damage {
            Damage::Flip { .. } => "flip_bits",
            Damage::Truncate { .. } => "truncate_bytes",
            Damage::Copy { .. } => "copy_bytes",
            Damage::Restore { .. } => "restore",
        }],
    }
}

fn of_disk(effects: &IoEffects) -> Vec<&'static str> {
    asked(&[
        (effects.fail > 0.0, "fail"),
        (effects.torn > 0.0, "torn"),
        (effects.latency_ms > 0, "latency"),
        (effects.bytes_per_second.is_some(), "bytes_per_second"),
        (effects.read_only, "read_only"),
    ])
}

fn asked(effects: &[(bool, &'static str)]) -> Vec<&'static str> {
    effects
        .iter()
        .filter(|(asked, _)| *asked)
        .map(|(_, form)| *form)
        .collect()
}
