//! Parameters of the faults that each node suffers by itself.

mod disk;
mod host_clock;
mod resources;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use shakedown_nemesis::fault::local::LocalFault;
use toml::Spanned;

use crate::scenario::Names;
pub use disk::{CorruptFault, InodesFullFault, IoFault};
pub use host_clock::HostClockFault;
pub use resources::{CpuFault, CrashLoopFault, LimitFault, MemoryFault};

/// What all of these faults have in common.
pub trait Local: Debug {
    /// Roles or node names.
    fn nodes(&self) -> &Spanned<Names>;

    /// The service it concerns.
    fn service(&self) -> Option<&Spanned<String>> {
        None
    }

    /// Whether the nodes need a disk of their own.
    fn needs_disk(&self) -> bool {
        false
    }

    /// Whether that disk needs a layer.
    fn needs_layer(&self) -> bool {
        false
    }

    /// What each node is ordered. `seed` is for what is left to chance, `disk` where nodes have their own.
    ///
    /// # Errors
    /// What was expected instead.
    fn act(&self, seed: u64, disk: &str) -> Result<LocalFault, String>;
}

/// One of these faults.
#[derive(Debug, Clone)]
pub enum LocalParameters {
    /// A service is killed whenever it runs.
    CrashLoop(CrashLoopFault),
    /// Processors are short or busy.
    Cpu(CpuFault),
    /// Memory is short or taken.
    Memory(MemoryFault),
    /// A service may open or start only so much.
    Limit(LimitFault),
    /// A node's disk has no inode left.
    InodesFull(InodesFullFault),
    /// A node's disk does badly what is asked of it.
    Io(IoFault),
    /// Files of a service are changed behind its back.
    Corrupt(CorruptFault),
    /// A node's own clock is set to a wrong time.
    HostClock(HostClockFault),
}

impl LocalParameters {
    /// Its kind, as scenario files spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CrashLoop(_) => "crash_loop",
            Self::Cpu(_) => "cpu",
            Self::Memory(_) => "memory",
            Self::Limit(_) => "limit",
            Self::InodesFull(_) => "inodes_full",
            Self::Io(_) => "io",
            Self::Corrupt(_) => "corrupt",
            Self::HostClock(_) => "host_clock",
        }
    }

    /// What it has in common with the others.
    pub fn common(&self) -> &dyn Local {
        match self {
            Self::CrashLoop(fault) => fault,
            Self::Cpu(fault) => fault,
            Self::Memory(fault) => fault,
            Self::Limit(fault) => fault,
            Self::InodesFull(fault) => fault,
            Self::Io(fault) => fault,
            Self::Corrupt(fault) => fault,
            Self::HostClock(fault) => fault,
        }
    }

    /// Roles or node names, to be changed.
    pub(in crate::scenario) fn nodes_mut(&mut self) -> &mut Spanned<Names> {
        match self {
            Self::CrashLoop(fault) => &mut fault.nodes,
            Self::Cpu(fault) => &mut fault.nodes,
            Self::Memory(fault) => &mut fault.nodes,
            Self::Limit(fault) => &mut fault.nodes,
            Self::InodesFull(fault) => &mut fault.nodes,
            Self::Io(fault) => &mut fault.nodes,
            Self::Corrupt(fault) => &mut fault.nodes,
            Self::HostClock(fault) => &mut fault.nodes,
        }
    }
}
