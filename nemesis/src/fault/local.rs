//! Faults that each node suffers by itself: what is ordered of the node is what the scenario says.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::io::IoEffects;

/// A fault on a node by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LocalFault {
    /// A service is frozen by the kernel's freezer.
    Freeze {
        /// The service, as the system file names it.
        service: String,
    },
    /// Some of a service's threads are held still, others after a while.
    HoldThreads {
        /// The service, as the system file names it.
        service: String,
        /// Share of its threads held at a time, within [`SHARES`].
        share: f64,
        /// How long the same ones, milliseconds, within [`HOLD_MS`].
        hold_ms: u32,
    },
    /// A service is killed, started, killed again, and so on; it is started at the end.
    CrashLoop {
        /// The service, as the system file names it.
        service: String,
        /// How long it may run each time, milliseconds, within [`CRASH_MS`].
        up_ms: u32,
        /// How long it is down each time, milliseconds, within [`CRASH_MS`].
        down_ms: u32,
    },
    /// A service gets only so much of the processors.
    CpuQuota {
        /// The service, as the system file names it.
        service: String,
        /// Of one processor, percent, within [`CPU_PERCENT`].
        percent: u32,
    },
    /// Processors are kept busy.
    CpuBurn {
        /// Threads that never rest, within [`BURNERS`].
        threads: u32,
    },
    /// A service gets only so much more memory.
    MemoryLimit {
        /// The service, as the system file names it.
        service: String,
        /// More than it has, MiB, within [`MEMORY_MIB`].
        more_mib: u32,
    },
    /// Memory is taken and held.
    MemoryHold {
        /// How much, MiB, within [`MEMORY_MIB`]; at most four fifths of what is available.
        mib: u32,
    },
    /// A service may have only so many tasks (processes and threads).
    TaskLimit {
        /// The service, as the system file names it.
        service: String,
        /// More than it has.
        more: u32,
    },
    /// A service may open only so many files.
    FileLimit {
        /// The service, as the system file names it.
        service: String,
        /// More than it has, in each of its processes.
        more: u32,
    },
    /// A node's own disk has no inode left.
    InodesFull {
        /// Where the node's disk is mounted.
        dir: String,
    },
    /// A node's own disk, which has a layer, does badly what is asked of it.
    Io {
        /// Where the node's disk is mounted.
        dir: String,
        /// How badly.
        effects: IoEffects,
    },
    /// The node's own wall clock is set to a wrong time: only on a host with a kernel of its own, and only for a run that
    /// may do so.
    HostClock {
        /// Added, milliseconds, within [`HOST_OFFSET_MS`] either way.
        offset_ms: i64,
    },
    /// The node's own clocks run too fast or too slowly: where and when as above.
    HostClockRate {
        /// How much faster, millionths, within [`HOST_PPM`] either way.
        ppm: i32,
    },
    /// Bytes of a service's files are changed behind its back. Nothing puts them right.
    Corrupt {
        /// The service, as the system file names it; only files below its directory.
        service: String,
        /// Regular expression that a file's path below the directory must match in full.
        files: String,
        /// What is done to each of them.
        damage: Damage,
        /// Decides where.
        seed: u64,
    },
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub enum Damage {
    /// Bits are flipped.
    Flip {
        /// How many, within [`BITS`].
        bits: u32,
        /// Where they may lie.
        within: Range,
    },
    /// The end is cut off.
    Truncate {
        /// How much of it, bytes; all of a file that is shorter.
        bytes: u64,
    },
    /// A stretch is copied over another one of the same file.
    Copy {
        /// How long, bytes, within [`CHUNK`].
        bytes: u64,
        /// Where both may lie.
        within: Range,
    },
    /// What the file held when the fault was prepared is put back.
    Restore {
        /// What part of it; all of it includes its length.
        within: Range,
    },
}

/// A part of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Its first byte.
    pub from: u64,
    /// How many bytes; to the end without it.
    pub length: Option<u64>,
}

/// Shares of threads.
pub const SHARES: RangeInclusive<f64> = 0.01..=1.0;
/// How long threads are held, milliseconds.
pub const HOLD_MS: RangeInclusive<u32> = 1..=60_000;
/// How long a crashing service is up or down, milliseconds.
pub const CRASH_MS: RangeInclusive<u32> = 1..=600_000;
/// Percent of one processor.
pub const CPU_PERCENT: RangeInclusive<u32> = 1..=10_000;
/// Threads that burn.
pub const BURNERS: RangeInclusive<u32> = 1..=1024;
/// Memory, MiB.
pub const MEMORY_MIB: RangeInclusive<u32> = 1..=1_048_576;
/// By how much a host's clock may be set wrong, milliseconds: at least two seconds, which a time service would not slew
/// away unseen, up to ten years.
pub const HOST_OFFSET_MS: RangeInclusive<i64> = 2000..=crate::fault::LONGEST_OFFSET_MS;
/// By how much the rate of a host's clocks may be changed, millionths: what can be told from noise within seconds, up to what
/// the kernel takes (a tenth) less what a time service may have used of it.
pub const HOST_PPM: RangeInclusive<i32> = 100..=90_000;
/// Bits flipped.
pub const BITS: RangeInclusive<u32> = 1..=1_000_000;
/// Bytes cut off the end.
pub const CUT_OFF: RangeInclusive<u64> = 1..=u64::MAX;
/// Bytes copied.
pub const CHUNK: RangeInclusive<u64> = 1..=64 << 20;

impl LocalFault {
    /// Its kind, as scenario files spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Freeze { .. } | Self::HoldThreads { .. } => "pause",
            Self::CrashLoop { .. } => "crash_loop",
            Self::CpuQuota { .. } | Self::CpuBurn { .. } => "cpu",
            Self::MemoryLimit { .. } | Self::MemoryHold { .. } => "memory",
            Self::TaskLimit { .. } | Self::FileLimit { .. } => "limit",
            Self::InodesFull { .. } => "inodes_full",
            Self::HostClock { .. } | Self::HostClockRate { .. } => "host_clock",
            Self::Io { .. } => "io",
            Self::Corrupt { .. } => "corrupt",
        }
    }

    /// The service it concerns, if it concerns one.
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Freeze { service }
            | Self::HoldThreads { service, .. }
            | Self::CrashLoop { service, .. }
            | Self::CpuQuota { service, .. }
            | Self::MemoryLimit { service, .. }
            | Self::TaskLimit { service, .. }
            | Self::FileLimit { service, .. }
            | Self::Corrupt { service, .. } => Some(service),
            Self::CpuBurn { .. }
            | Self::MemoryHold { .. }
            | Self::InodesFull { .. }
            | Self::HostClock { .. }
            | Self::HostClockRate { .. }
            | Self::Io { .. } => None,
        }
    }

    /// Whether its numbers are within their bounds.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::HoldThreads { share, hold_ms, .. } => within("share", share, &SHARES, "")
                .and_then(|()| within("hold", hold_ms, &HOLD_MS, " ms")),
            Self::CrashLoop { up_ms, down_ms, .. } => within("up", up_ms, &CRASH_MS, " ms")
                .and_then(|()| within("down", down_ms, &CRASH_MS, " ms")),
            Self::CpuQuota { percent, .. } => within(
                "quota_percent",
                percent,
                &CPU_PERCENT,
                " percent of one processor",
            ),
            Self::CpuBurn { threads } => within("burn", threads, &BURNERS, " threads"),
            Self::MemoryLimit { more_mib: mib, .. } | Self::MemoryHold { mib } => {
                within("memory", mib, &MEMORY_MIB, " MiB")
            }
            Self::Io { effects, .. } => effects.check(),
            Self::HostClock { offset_ms } => within(
                "offset",
                &offset_ms.saturating_abs(),
                &HOST_OFFSET_MS,
                " ms either way",
            ),
            Self::HostClockRate { ppm } => within(
                "rate",
                &ppm.saturating_abs(),
                &HOST_PPM,
                " millionths more or less than 1",
            ),
            Self::Corrupt { files, damage, .. } => {
                pattern(files)?;
                damage.check()
            }
            Self::Freeze { .. }
            | Self::TaskLimit { .. }
            | Self::FileLimit { .. }
            | Self::InodesFull { .. } => Ok(()),
        }
    }

    /// What it does, in words; `nodes` says where.
    pub fn summary(&self, nodes: &str) -> String {
        match self {
            Self::Freeze { service } => format!("{service} on {nodes} frozen"),
            Self::HoldThreads {
                service,
                share,
                hold_ms,
            } => format!(
                "threads of {service} on {nodes} held, a share of {share} at a time, each time for {hold_ms} ms"
            ),
            Self::CrashLoop {
                service,
                up_ms,
                down_ms,
            } => format!(
                "{service} on {nodes} killed again and again: up for {up_ms} ms, down for {down_ms} ms"
            ),
            Self::CpuQuota { service, percent } => {
                format!("{service} on {nodes} gets {percent} % of one processor")
            }
            Self::CpuBurn { threads } => format!("{threads} threads burn processors on {nodes}"),
            Self::MemoryLimit { service, more_mib } => {
                format!("{service} on {nodes} gets {more_mib} MiB more memory and no more")
            }
            Self::MemoryHold { mib } => format!("{mib} MiB of memory taken on {nodes}"),
            Self::TaskLimit { service, more } => {
                format!("{service} on {nodes} may start {more} more threads or processes")
            }
            Self::FileLimit { service, more } => {
                format!("{service} on {nodes} may open {more} more files")
            }
            Self::HostClock { offset_ms } => {
                format!("the clock of {nodes} itself set off by {offset_ms} ms")
            }
            Self::HostClockRate { ppm } => {
                let rate = 1.0 + f64::from(*ppm) / 1e6;
                format!("the clocks of {nodes} themselves run {rate} times as fast")
            }
            Self::InodesFull { dir } => format!("no inode left on disk {dir} on {nodes}"),
            Self::Io { dir, effects } => format!("disk {dir} on {nodes}: {}", effects.text()),
            Self::Corrupt {
                service,
                files,
                damage,
                ..
            } => format!("files `{files}` of {service} on {nodes}: {}", damage.text()),
        }
    }
}

impl Damage {
    /// What it does, in words.
    pub fn text(self) -> String {
        match self {
            Self::Flip { bits, .. } => format!("{bits} bits flipped"),
            Self::Truncate { bytes } => format!("{bytes} bytes cut off the end"),
            Self::Copy { bytes, .. } => format!("{bytes} bytes copied over others"),
            Self::Restore { .. } => "older content put back".to_owned(),
        }
    }

    fn check(self) -> Result<(), String> {
        match self {
            Self::Flip { bits, .. } => within("bits", &bits, &BITS, ""),
            Self::Truncate { bytes } if !CUT_OFF.contains(&bytes) => {
                Err(format!("expected `bytes` of at least {}", CUT_OFF.start()))
            }
            Self::Copy { bytes, .. } => within("bytes", &bytes, &CHUNK, " bytes"),
            Self::Truncate { .. } | Self::Restore { .. } => Ok(()),
        }
    }
}

/// The expression that paths of files must match in full.
///
/// # Errors
/// When it is none.
pub fn pattern(files: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(&format!("^(?:{files})$"))
        .map_err(|error| format!("expected a regular expression for `files`: {error}"))
}

fn within<T: PartialOrd + std::fmt::Display>(
    what: &str,
    value: &T,
    bounds: &RangeInclusive<T>,
    unit: &str,
) -> Result<(), String> {
    if bounds.contains(value) {
        return Ok(());
    }
    let (low, high) = (bounds.start(), bounds.end());
    Err(format!("expected `{what}` from {low} to {high}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_their_bounds_are_refused_with_the_bounds() {
        let service = || "web".to_owned();
        let held = |share, hold_ms| LocalFault::HoldThreads {
            service: service(),
            share,
            hold_ms,
        };
        let flip = |bits| LocalFault::Corrupt {
            service: service(),
            files: "a".to_owned(),
            damage: Damage::Flip {
                bits,
                within: Range::default(),
            },
            seed: 1,
        };
        assert_eq!(held(0.5, 100).check(), Ok(()));
        assert_eq!(flip(1).check(), Ok(()));
        let refused = [
            held(0.0, 100),
            held(f64::NAN, 100),
            held(1.0, 0),
            LocalFault::CpuBurn { threads: 0 },
            LocalFault::HostClock { offset_ms: -1999 },
            LocalFault::HostClockRate { ppm: 99 },
            LocalFault::HostClockRate { ppm: -90_001 },
            flip(0),
        ];
        let texts: Vec<String> = (refused.iter()).map(|f| f.check().unwrap_err()).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        expected `share` from 0.01 to 1
        expected `share` from 0.01 to 1
        expected `hold` from 1 to 60000 ms
        expected `burn` from 1 to 1024 threads
        expected `offset` from 2000 to 315360000000 ms either way
        expected `rate` from 100 to 90000 millionths more or less than 1
        expected `rate` from 100 to 90000 millionths more or less than 1
        expected `bits` from 1 to 1000000
        ");
    }

    #[test]
    fn a_pattern_is_for_the_whole_path() {
        let found = pattern(r"data/.*\.db").unwrap();
        assert!(found.is_match("data/a.db"));
        assert!(!found.is_match("data/a.db.old"));
        assert!(!found.is_match("more/data/a.db"));
        assert!(pattern("(").is_err());
    }
}
