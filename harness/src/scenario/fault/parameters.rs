//! What strikes: one of the kinds, with its parameters.

use serde::de::{Error, MapAccess};
use toml::Spanned;

use super::{
    BlockFault, ClockFault, DelayFault, DiskFullFault, DnsFault, KillFault, LocalParameters,
    OperationFault, PartitionFault, PauseFault, PowerLossFault, ResetFault, ShapeFault, SplitFault,
    StreamFault,
};
use crate::scenario::Names;

/// What a target calls the node that is the primary when the fault strikes.
pub(crate) const PRIMARY: &str = "primary";

/// A fault's parameters, one of the kinds.
#[derive(Debug, Clone)]
pub enum FaultParameters {
    /// Packets between nodes are dropped.
    Partition(PartitionFault),
    /// Nodes fall apart into groups.
    Split(SplitFault),
    /// A service is killed.
    Kill(KillFault),
    /// A service is stopped and continued.
    Pause(PauseFault),
    /// Data packets are rejected with a TCP reset.
    Reset(ResetFault),
    /// Packets are held back.
    Delay(DelayFault),
    /// A link is bad.
    Shape(ShapeFault),
    /// A port is blocked.
    Block(BlockFault),
    /// Connections go wrong.
    Stream(StreamFault),
    /// Names can't be resolved.
    Dns(DnsFault),
    /// A service sees a wrong wall clock.
    Clock(ClockFault),
    /// A node loses power: what it has not made durable is gone.
    PowerLoss(PowerLossFault),
    /// A node's disk is full.
    DiskFull(DiskFullFault),
    /// One of those that each node suffers by itself.
    Local(LocalParameters),
    /// Operators do something to the system.
    Operation(OperationFault),
}

impl FaultParameters {
    /// The kinds, as scenario files spell them.
    pub const KINDS: [&str; 22] = [
        "partition",
        "split",
        "kill",
        "pause",
        "reset",
        "delay",
        "shape",
        "block",
        "stream",
        "dns",
        "clock",
        "power_loss",
        "disk_full",
        "crash_loop",
        "cpu",
        "memory",
        "limit",
        "inodes_full",
        "io",
        "corrupt",
        "host_clock",
        "operation",
    ];

    /// Reads the parameters of one of the kinds from what stands at its key.
    pub(super) fn read<'de, A: MapAccess<'de>>(kind: &str, map: &mut A) -> Result<Self, A::Error> {
        use LocalParameters as L;
        Ok(match kind {
            "partition" => Self::Partition(map.next_value()?),
            "split" => Self::Split(map.next_value()?),
            "kill" => Self::Kill(map.next_value()?),
            "pause" => Self::Pause(map.next_value()?),
            "reset" => Self::Reset(map.next_value()?),
            "delay" => Self::Delay(map.next_value()?),
            "shape" => Self::Shape(map.next_value()?),
            "block" => Self::Block(map.next_value()?),
            "stream" => Self::Stream(map.next_value()?),
            "dns" => Self::Dns(map.next_value()?),
            "clock" => Self::Clock(map.next_value()?),
            "power_loss" => Self::PowerLoss(map.next_value()?),
            "disk_full" => Self::DiskFull(map.next_value()?),
            "crash_loop" => Self::Local(L::CrashLoop(map.next_value()?)),
            "cpu" => Self::Local(L::Cpu(map.next_value()?)),
            "memory" => Self::Local(L::Memory(map.next_value()?)),
            "limit" => Self::Local(L::Limit(map.next_value()?)),
            "inodes_full" => Self::Local(L::InodesFull(map.next_value()?)),
            "io" => Self::Local(L::Io(map.next_value()?)),
            "corrupt" => Self::Local(L::Corrupt(map.next_value()?)),
            "host_clock" => Self::Local(L::HostClock(map.next_value()?)),
            "operation" => Self::Operation(map.next_value()?),
            unknown => return Err(A::Error::unknown_variant(unknown, &Self::KINDS)),
        })
    }

    /// Its kind, as scenario files spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Split(_) => "split",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Reset(_) => "reset",
            Self::Delay(_) => "delay",
            Self::Shape(_) => "shape",
            Self::Block(_) => "block",
            Self::Stream(_) => "stream",
            Self::Dns(_) => "dns",
            Self::Clock(_) => "clock",
            Self::PowerLoss(_) => "power_loss",
            Self::DiskFull(_) => "disk_full",
            Self::Local(local) => local.kind(),
            Self::Operation(_) => "operation",
        }
    }

    /// Everything it names as nodes.
    pub(crate) fn targets(&self) -> Vec<&Spanned<Names>> {
        match self {
            Self::Partition(p) => vec![&p.from, &p.to],
            Self::Split(s) => s.targets(),
            Self::Kill(k) => vec![&k.nodes],
            Self::Pause(p) => vec![&p.nodes],
            Self::Reset(r) => std::iter::once(&r.nodes).chain(&r.from).collect(),
            Self::Delay(d) => vec![&d.from, &d.to],
            Self::Shape(s) => vec![&s.from, &s.to],
            Self::Block(b) => std::iter::once(&b.nodes).chain(&b.from).collect(),
            Self::Stream(s) => std::iter::once(&s.nodes).chain(&s.from).collect(),
            Self::Dns(d) => vec![&d.nodes],
            Self::Clock(c) => vec![&c.nodes],
            Self::PowerLoss(p) => vec![&p.nodes],
            Self::DiskFull(d) => vec![&d.nodes],
            Self::Local(l) => vec![l.common().nodes()],
            Self::Operation(o) => o.on.iter().collect(),
        }
    }

    /// The same, to be changed.
    pub(crate) fn targets_mut(&mut self) -> Vec<&mut Names> {
        let spanned: Vec<&mut Spanned<Names>> = match self {
            Self::Partition(p) => vec![&mut p.from, &mut p.to],
            Self::Split(s) => s.targets_mut().collect(),
            Self::Kill(k) => vec![&mut k.nodes],
            Self::Pause(p) => vec![&mut p.nodes],
            Self::Reset(r) => std::iter::once(&mut r.nodes).chain(&mut r.from).collect(),
            Self::Delay(d) => vec![&mut d.from, &mut d.to],
            Self::Shape(s) => vec![&mut s.from, &mut s.to],
            Self::Block(b) => std::iter::once(&mut b.nodes).chain(&mut b.from).collect(),
            Self::Stream(s) => std::iter::once(&mut s.nodes).chain(&mut s.from).collect(),
            Self::Dns(d) => vec![&mut d.nodes],
            Self::Clock(c) => vec![&mut c.nodes],
            Self::PowerLoss(p) => vec![&mut p.nodes],
            Self::DiskFull(d) => vec![&mut d.nodes],
            Self::Local(l) => vec![l.nodes_mut()],
            Self::Operation(o) => o.on.iter_mut().collect(),
        };
        spanned.into_iter().map(Spanned::get_mut).collect()
    }

    /// Whether it names the primary: which node that is shows when it strikes.
    pub(crate) fn names_primary(&self) -> bool {
        (self.targets().into_iter())
            .flat_map(|names| &names.get_ref().0)
            .any(|target| target == PRIMARY)
    }

    /// Those it names whose packets come in at other nodes: `clients` may be among them.
    pub(crate) fn senders(&self) -> Option<&Spanned<Names>> {
        match self {
            Self::Partition(p) => Some(&p.from),
            Self::Shape(s) => Some(&s.from),
            Self::Block(b) => b.from.as_ref(),
            Self::Stream(s) => s.from.as_ref(),
            _ => None,
        }
    }

    /// Whether it acts on packets.
    pub(crate) fn filters_packets(&self) -> bool {
        matches!(
            self,
            Self::Partition(_)
                | Self::Split(_)
                | Self::Reset(_)
                | Self::Delay(_)
                | Self::Shape(_)
                | Self::Block(_)
                | Self::Stream(_)
                | Self::Dns(_)
        )
    }

    /// The service it concerns.
    pub(crate) fn service(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Kill(k) => Some(&k.service),
            Self::Pause(p) => Some(&p.service),
            Self::Clock(c) => Some(&c.service),
            Self::PowerLoss(p) => Some(&p.service),
            Self::Local(l) => l.common().service(),
            _ => None,
        }
    }

    /// What operators do, if it is that.
    pub(crate) fn operation(&self) -> Option<&OperationFault> {
        match self {
            Self::Operation(operation) => Some(operation),
            _ => None,
        }
    }
}
