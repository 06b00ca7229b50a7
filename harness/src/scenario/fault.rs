//! Faults of a scenario and their parameters.

use serde::Deserialize;
use shakedown_nemesis::effects::Distribution;
use shakedown_nemesis::fault::{KillSignal, LONGEST_OFFSET_MS, RATES, STROBE_MS, Skew};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::{
    BlockFault, CorruptFault, CpuFault, CrashLoopFault, DnsFault, HostClockFault, InodesFullFault,
    IoFault, LimitFault, LocalParameters, MemoryFault, Names, OperationFault, PauseBy, ShapeFault,
    SplitFault, StreamFault, Trigger,
};

/// A fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it strikes.
    pub when: Spanned<Trigger>,
    /// When it ends; the end of the scenario if neither this nor `for` is given.
    pub until: Option<Spanned<Trigger>>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub duration: Option<HumanDuration>,
    /// Packets between nodes are dropped.
    pub partition: Option<PartitionFault>,
    /// Nodes fall apart into groups.
    pub split: Option<SplitFault>,
    /// A service is killed.
    pub kill: Option<KillFault>,
    /// A service is stopped and continued.
    pub pause: Option<PauseFault>,
    /// Data packets are rejected with a TCP reset.
    pub reset: Option<ResetFault>,
    /// Packets are held back.
    pub delay: Option<DelayFault>,
    /// A link is bad.
    pub shape: Option<ShapeFault>,
    /// A port is blocked.
    pub block: Option<BlockFault>,
    /// Connections go wrong.
    pub stream: Option<StreamFault>,
    /// Names can't be resolved.
    pub dns: Option<DnsFault>,
    /// A service sees a wrong wall clock.
    pub clock: Option<ClockFault>,
    /// A node loses power: what it has not made durable is gone.
    pub power_loss: Option<PowerLossFault>,
    /// A node's disk is full.
    pub disk_full: Option<DiskFullFault>,
    /// A service is killed whenever it runs.
    pub crash_loop: Option<CrashLoopFault>,
    /// Processors are short or busy.
    pub cpu: Option<CpuFault>,
    /// Memory is short or taken.
    pub memory: Option<MemoryFault>,
    /// A service may open or start only so much.
    pub limit: Option<LimitFault>,
    /// A node's disk has no inode left.
    pub inodes_full: Option<InodesFullFault>,
    /// A node's disk does badly what is asked of it.
    pub io: Option<IoFault>,
    /// Files of a service are changed behind its back.
    pub corrupt: Option<CorruptFault>,
    /// A node's own clock is set to a wrong time.
    pub host_clock: Option<HostClockFault>,
    /// Operators do something to the system.
    pub operation: Option<OperationFault>,
    /// What must have happened in its storm before this one strikes.
    #[serde(skip)]
    pub in_storm: Option<InStorm>,
}

/// What a storm's fault waits for, should others take longer than planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InStorm {
    /// The fault drawn before it, which must have begun.
    pub begun: Option<String>,
    /// Faults that must have ended: with them it would not fit.
    pub ended: Vec<String>,
}

/// Parameters of `partition`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFault {
    /// One side: roles or node names.
    pub from: Spanned<Names>,
    /// The other side: roles or node names.
    pub to: Spanned<Names>,
    /// Only packets that travel `from` -> `to`.
    #[serde(default)]
    pub one_way: bool,
}

/// Parameters of `kill`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// Start it again when the fault ends.
    #[serde(default = "yes")]
    pub restart: bool,
    /// What ends it: `kill` (SIGKILL) or `terminate` (SIGTERM).
    #[serde(default)]
    pub signal: KillSignal,
}

fn yes() -> bool {
    true
}

/// Parameters of `pause`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// What stops it.
    #[serde(default)]
    pub by: PauseBy,
    /// With `by = "threads"`: the share of its threads held at a time.
    pub share: Option<f64>,
    /// With `by = "threads"`: how long the same ones are held.
    pub hold: Option<HumanDuration>,
}

/// Parameters of `reset`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetFault {
    /// The nodes that listen: roles or node names.
    pub nodes: Spanned<Names>,
    /// The port they listen on.
    pub port: u16,
    /// Only packets from these: roles or node names; from any node without it.
    pub from: Option<Spanned<Names>>,
    /// Share of data packets rejected, above 0 up to 1.
    pub probability: Spanned<f64>,
    /// Only packets whose payload matches one of these regular expressions over bytes; all without any.
    #[serde(default)]
    pub containing: Vec<Spanned<String>>,
}

/// Parameters of `delay`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayFault {
    /// The nodes that send: roles or node names.
    pub from: Spanned<Names>,
    /// The nodes at which packets are held: roles or node names.
    pub to: Spanned<Names>,
    /// Only packets for this port; all without it.
    pub port: Option<u16>,
    /// How long each is held.
    pub delay: Spanned<HumanDuration>,
    /// Held so much longer or shorter, at random.
    #[serde(default)]
    pub jitter: HumanDuration,
    /// How that varies.
    #[serde(default)]
    pub distribution: Distribution,
}

/// Parameters of `clock`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// How far the wall clock is off: a duration, with `-` before it if it is behind.
    pub offset: Option<Spanned<String>>,
    /// The clock is off and right by turns, each for so long.
    pub strobe: Option<Spanned<HumanDuration>>,
    /// How fast the clock runs.
    pub rate: Option<Spanned<f64>>,
    /// The clock stands still.
    #[serde(default)]
    pub freeze: bool,
}

/// Parameters of `power_loss`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLossFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
}

/// Parameters of `disk_full`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFullFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
    /// What stays free, KiB.
    #[serde(default)]
    pub leave_kib: u32,
}

/// A fault's parameters, one of the kinds.
#[derive(Debug, Clone, Copy)]
pub enum FaultParameters<'a> {
    /// See [`PartitionFault`].
    Partition(&'a PartitionFault),
    /// See [`SplitFault`].
    Split(&'a SplitFault),
    /// See [`KillFault`].
    Kill(&'a KillFault),
    /// See [`PauseFault`].
    Pause(&'a PauseFault),
    /// See [`ResetFault`].
    Reset(&'a ResetFault),
    /// See [`DelayFault`].
    Delay(&'a DelayFault),
    /// See [`ShapeFault`].
    Shape(&'a ShapeFault),
    /// See [`BlockFault`].
    Block(&'a BlockFault),
    /// See [`StreamFault`].
    Stream(&'a StreamFault),
    /// See [`DnsFault`].
    Dns(&'a DnsFault),
    /// See [`ClockFault`].
    Clock(&'a ClockFault),
    /// See [`PowerLossFault`].
    PowerLoss(&'a PowerLossFault),
    /// See [`DiskFullFault`].
    DiskFull(&'a DiskFullFault),
    /// See [`OperationFault`].
    Operation(&'a OperationFault),
    /// One of those that each node suffers by itself, with its kind.
    Local(&'static str, &'a dyn LocalParameters),
}

fn local<'a, T: LocalParameters>(
    kind: &'static str,
    given: &'a Option<T>,
) -> Option<FaultParameters<'a>> {
    let given = given.as_ref()?;
    Some(FaultParameters::Local(kind, given))
}

impl FaultItem {
    /// Its parameters; `None` unless exactly one kind is given.
    pub fn parameters(&self) -> Option<FaultParameters<'_>> {
        let mut given = [
            self.partition.as_ref().map(FaultParameters::Partition),
            self.split.as_ref().map(FaultParameters::Split),
            self.kill.as_ref().map(FaultParameters::Kill),
            self.pause.as_ref().map(FaultParameters::Pause),
            self.reset.as_ref().map(FaultParameters::Reset),
            self.delay.as_ref().map(FaultParameters::Delay),
            self.shape.as_ref().map(FaultParameters::Shape),
            self.block.as_ref().map(FaultParameters::Block),
            self.stream.as_ref().map(FaultParameters::Stream),
            self.dns.as_ref().map(FaultParameters::Dns),
            self.clock.as_ref().map(FaultParameters::Clock),
            self.power_loss.as_ref().map(FaultParameters::PowerLoss),
            self.disk_full.as_ref().map(FaultParameters::DiskFull),
            self.operation.as_ref().map(FaultParameters::Operation),
            local("crash_loop", &self.crash_loop),
            local("cpu", &self.cpu),
            local("memory", &self.memory),
            local("limit", &self.limit),
            local("inodes_full", &self.inodes_full),
            local("io", &self.io),
            local("corrupt", &self.corrupt),
            local("host_clock", &self.host_clock),
        ]
        .into_iter()
        .flatten();
        let first = given.next();
        if given.next().is_some() { None } else { first }
    }
}

/// What a target calls the node that is the primary when the fault strikes.
pub(crate) const PRIMARY: &str = "primary";

impl FaultItem {
    /// Whether it names the primary: which node that is shows when it strikes.
    pub(crate) fn names_primary(&self) -> bool {
        let parameters = self.parameters();
        let targets = parameters
            .iter()
            .flat_map(|parameters| parameters.targets());
        targets
            .flat_map(|names| &names.get_ref().0)
            .any(|target| target == PRIMARY)
    }

    /// Everything it names as nodes, to be changed.
    pub(crate) fn targets_mut(&mut self) -> impl Iterator<Item = &mut Names> {
        let partition = self.partition.iter_mut();
        let reset = self.reset.iter_mut();
        let delay = self.delay.iter_mut();
        let shape = self.shape.iter_mut();
        let block = self.block.iter_mut();
        let stream = self.stream.iter_mut();
        let split = self.split.iter_mut();
        (partition.flat_map(|p| [&mut p.from, &mut p.to]))
            .chain(split.flat_map(SplitFault::targets_mut))
            .chain(self.kill.iter_mut().map(|k| &mut k.nodes))
            .chain(self.pause.iter_mut().map(|p| &mut p.nodes))
            .chain(reset.flat_map(|r| std::iter::once(&mut r.nodes).chain(r.from.as_mut())))
            .chain(delay.flat_map(|d| [&mut d.from, &mut d.to]))
            .chain(shape.flat_map(|s| [&mut s.from, &mut s.to]))
            .chain(block.flat_map(|b| std::iter::once(&mut b.nodes).chain(b.from.as_mut())))
            .chain(stream.flat_map(|s| std::iter::once(&mut s.nodes).chain(s.from.as_mut())))
            .chain(self.dns.iter_mut().map(|d| &mut d.nodes))
            .chain(self.clock.iter_mut().map(|c| &mut c.nodes))
            .chain(self.power_loss.iter_mut().map(|p| &mut p.nodes))
            .chain(self.disk_full.iter_mut().map(|d| &mut d.nodes))
            .chain(self.crash_loop.iter_mut().map(|f| &mut f.nodes))
            .chain(self.cpu.iter_mut().map(|f| &mut f.nodes))
            .chain(self.memory.iter_mut().map(|f| &mut f.nodes))
            .chain(self.limit.iter_mut().map(|f| &mut f.nodes))
            .chain(self.inodes_full.iter_mut().map(|f| &mut f.nodes))
            .chain(self.io.iter_mut().map(|f| &mut f.nodes))
            .chain(self.corrupt.iter_mut().map(|f| &mut f.nodes))
            .chain(self.host_clock.iter_mut().map(|f| &mut f.nodes))
            .chain(self.operation.iter_mut().flat_map(|o| &mut o.on))
            .map(Spanned::get_mut)
    }
}

impl<'a> FaultParameters<'a> {
    /// Its kind, as scenario files spell it.
    pub fn kind(self) -> &'static str {
        match self {
            FaultParameters::Partition(_) => "partition",
            FaultParameters::Split(_) => "split",
            FaultParameters::Kill(_) => "kill",
            FaultParameters::Pause(_) => "pause",
            FaultParameters::Reset(_) => "reset",
            FaultParameters::Delay(_) => "delay",
            FaultParameters::Shape(_) => "shape",
            FaultParameters::Block(_) => "block",
            FaultParameters::Stream(_) => "stream",
            FaultParameters::Dns(_) => "dns",
            FaultParameters::Clock(_) => "clock",
            FaultParameters::PowerLoss(_) => "power_loss",
            FaultParameters::DiskFull(_) => "disk_full",
            FaultParameters::Operation(_) => "operation",
            FaultParameters::Local(kind, _) => kind,
        }
    }

    /// Everything it names as nodes.
    pub(crate) fn targets(self) -> Vec<&'a Spanned<Names>> {
        match self {
            FaultParameters::Partition(p) => vec![&p.from, &p.to],
            FaultParameters::Split(s) => s.targets(),
            FaultParameters::Kill(k) => vec![&k.nodes],
            FaultParameters::Pause(p) => vec![&p.nodes],
            FaultParameters::Reset(r) => std::iter::once(&r.nodes).chain(r.from.as_ref()).collect(),
            FaultParameters::Delay(d) => vec![&d.from, &d.to],
            FaultParameters::Shape(s) => vec![&s.from, &s.to],
            FaultParameters::Block(b) => std::iter::once(&b.nodes).chain(b.from.as_ref()).collect(),
            FaultParameters::Stream(s) => {
                std::iter::once(&s.nodes).chain(s.from.as_ref()).collect()
            }
            FaultParameters::Dns(d) => vec![&d.nodes],
            FaultParameters::Clock(c) => vec![&c.nodes],
            FaultParameters::PowerLoss(p) => vec![&p.nodes],
            FaultParameters::DiskFull(d) => vec![&d.nodes],
            FaultParameters::Operation(o) => o.on.iter().collect(),
            FaultParameters::Local(_, l) => vec![l.nodes()],
        }
    }

    /// Those it names whose packets come in at other nodes: `clients` may be among them.
    pub(crate) fn senders(self) -> Option<&'a Spanned<Names>> {
        match self {
            FaultParameters::Partition(p) => Some(&p.from),
            FaultParameters::Shape(s) => Some(&s.from),
            FaultParameters::Block(b) => b.from.as_ref(),
            FaultParameters::Stream(s) => s.from.as_ref(),
            _ => None,
        }
    }

    /// Whether it acts on packets.
    pub(crate) fn filters_packets(self) -> bool {
        matches!(
            self,
            FaultParameters::Partition(_)
                | FaultParameters::Split(_)
                | FaultParameters::Reset(_)
                | FaultParameters::Delay(_)
                | FaultParameters::Shape(_)
                | FaultParameters::Block(_)
                | FaultParameters::Stream(_)
                | FaultParameters::Dns(_)
        )
    }

    /// The service it concerns.
    pub(crate) fn service(self) -> Option<&'a Spanned<String>> {
        match self {
            FaultParameters::Kill(k) => Some(&k.service),
            FaultParameters::Pause(p) => Some(&p.service),
            FaultParameters::Clock(c) => Some(&c.service),
            FaultParameters::PowerLoss(p) => Some(&p.service),
            FaultParameters::Local(_, l) => l.service(),
            _ => None,
        }
    }
}

impl ClockFault {
    /// In which way the clock is wrong.
    ///
    /// # Errors
    /// What was expected instead, and where.
    pub fn skew(&self) -> Result<Skew, (std::ops::Range<usize>, String)> {
        let given = [self.offset.is_some(), self.rate.is_some(), self.freeze];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = "expected exactly one of `offset`, `rate`, `freeze = true`";
            return Err((self.service.span(), message.to_owned()));
        }
        match (&self.offset, &self.rate, &self.strobe) {
            (Some(offset), _, None) => Ok(Skew::Jump {
                offset_ms: offset_ms(offset)?,
            }),
            (Some(offset), _, Some(every)) => Ok(Skew::Strobe {
                offset_ms: offset_ms(offset)?,
                every_ms: strobe_ms(every)?,
            }),
            (None, _, Some(strobe)) => Err((
                strobe.span(),
                "expected `strobe` only with `offset`, by which the clock is off and right by turns"
                    .to_owned(),
            )),
            (None, Some(rate), None) => {
                let fast = *rate.get_ref();
                if fast == 1.0 || !RATES.contains(&fast) {
                    let message = format!(
                        "expected a rate from {} to {} and other than 1, like 1.01 for a clock that gains one second in a hundred",
                        RATES.start(),
                        RATES.end()
                    );
                    return Err((rate.span(), message));
                }
                Ok(Skew::Drift { rate: fast })
            }
            (None, None, None) => Ok(Skew::Freeze),
        }
    }
}

pub(super) fn offset_ms(offset: &Spanned<String>) -> Result<i64, (std::ops::Range<usize>, String)> {
    let (sign, length) = match offset.get_ref().strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, offset.get_ref().as_str()),
    };
    let length: Option<HumanDuration> = length.parse().ok();
    length
        .and_then(|length| i64::try_from(length.0.as_millis()).ok())
        .filter(|ms| (1..=LONGEST_OFFSET_MS).contains(ms))
        .map(|ms| sign * ms)
        .ok_or_else(|| {
            let message = "expected a duration other than 0, up to ten years, with `-` before it for a clock that is behind, like \"-5s\"";
            (offset.span(), message.to_owned())
        })
}

fn strobe_ms(every: &Spanned<HumanDuration>) -> Result<u32, (std::ops::Range<usize>, String)> {
    u32::try_from(every.get_ref().0.as_millis())
        .ok()
        .filter(|ms| STROBE_MS.contains(ms))
        .ok_or_else(|| {
            (
                every.span(),
                "expected a duration from 1ms to 1h".to_owned(),
            )
        })
}
