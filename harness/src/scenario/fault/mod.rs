//! Faults of a scenario: what strikes, when, and for how long.

mod clock;
mod disk;
mod local;
mod operation;
mod packets;
mod parameters;
mod ports;
mod process;
mod shape;
mod split;
mod table;

use serde::{Deserialize, Deserializer};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

pub use clock::ClockFault;
pub use disk::{DiskFullFault, PowerLossFault};
pub use local::{
    CorruptFault, CpuFault, CrashLoopFault, HostClockFault, InodesFullFault, IoFault, LimitFault,
    Local, LocalParameters, MemoryFault,
};
pub use operation::OperationFault;
pub use packets::{DelayFault, PartitionFault, ResetFault};
pub use parameters::FaultParameters;
pub(crate) use parameters::PRIMARY;
pub use ports::{BlockFault, DnsFault, StreamFault};
pub use process::{KillFault, PauseBy, PauseFault};
pub use shape::ShapeFault;
pub(crate) use shape::millis;
pub use split::{SplitFault, SplitShape};

use super::{Scenario, Trigger};

/// A fault.
#[derive(Debug, Clone)]
pub struct FaultItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it strikes.
    pub when: Spanned<Trigger>,
    /// When it ends; the end of the scenario if neither this nor `for` is given.
    pub until: Option<Spanned<Trigger>>,
    /// How long it lasts.
    pub duration: Option<HumanDuration>,
    /// What strikes.
    pub parameters: FaultParameters,
    /// What must have happened in its storm before this one strikes.
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

/// A fault that may strike in a storm.
#[derive(Debug, Clone)]
pub struct StormFault {
    /// How often, against the others of the storm.
    pub weight: Spanned<u32>,
    /// What strikes.
    pub parameters: FaultParameters,
}

impl<'de> Deserialize<'de> for FaultItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            name: Spanned<String>,
            when: Spanned<Trigger>,
            until: Option<Spanned<Trigger>>,
            r#for: Option<HumanDuration>,
        }
        let (own, parameters) = table::read::<Own, D>(deserializer)?;
        Ok(FaultItem {
            name: own.name,
            when: own.when,
            until: own.until,
            duration: own.r#for,
            parameters,
            in_storm: None,
        })
    }
}

impl<'de> Deserialize<'de> for StormFault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            #[serde(default = "once")]
            weight: Spanned<u32>,
        }
        let (own, parameters) = table::read::<Own, D>(deserializer)?;
        Ok(StormFault {
            weight: own.weight,
            parameters,
        })
    }
}

fn once() -> Spanned<u32> {
    Spanned::new(0..0, 1)
}

impl Scenario {
    /// What may strike, by itself or in a storm.
    pub(crate) fn all_faults(&self) -> impl Iterator<Item = &FaultParameters> {
        let storms = self.storm.iter().flat_map(|storm| &storm.fault);
        (self.fault.iter().map(|item| &item.parameters))
            .chain(storms.map(|fault| &fault.parameters))
    }
}

#[cfg(test)]
mod tests;
