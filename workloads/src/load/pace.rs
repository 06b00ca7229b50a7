//! How fast a stage goes on and how long, whatever its workload.

use std::num::{NonZeroU32, NonZeroU64};

use crate::clock::RunClock;
use crate::duration::HumanDuration;
use crate::load::LoadError;
use crate::load::pacer::{self, Schedule};
use crate::load::turns::Turns;

/// The part of a load stage that is the same for every workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Client processes, each with one request under way at a time.
    pub(crate) processes: NonZeroU32,
    /// Requests per second over all processes; without it a closed loop.
    pub(crate) rate: Option<NonZeroU32>,
    /// Operations in all.
    pub(crate) count: Option<NonZeroU64>,
    /// How long it goes on.
    pub(crate) duration: Option<HumanDuration>,
}

impl Pace {
    /// How many of `count` operations fall to process `index`: they differ by at most one.
    pub(super) fn quota(&self, index: u32) -> u64 {
        let Some(count) = self.count else {
            return u64::MAX;
        };
        let processes = u64::from(self.processes.get());
        count.get() / processes + u64::from(u64::from(index) < count.get() % processes)
    }

    /// The turns of each process, from now on.
    pub(super) fn turns(&self, clock: RunClock) -> Result<Vec<Turns>, LoadError> {
        let processes = self.processes.get();
        let start_ns = clock.now_ns();
        let length_ns = self.duration.map(|length| length.as_nanos());
        let Some(rate) = self.rate else {
            let deadline_ns = length_ns.map(|length| start_ns.saturating_add(length));
            let turns = || Turns::BackToBack { deadline_ns };
            return Ok((0..processes).map(|_| turns()).collect());
        };
        let schedule = Schedule {
            start_ns,
            rate,
            length_ns,
        };
        let receivers = pacer::spawn(schedule, processes, clock).map_err(LoadError::Pacer)?;
        Ok(receivers.into_iter().map(Turns::Paced).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up_to_the_count() {
        let pace = Pace {
            processes: NonZeroU32::new(7).unwrap(),
            rate: None,
            count: NonZeroU64::new(100),
            duration: None,
        };
        let quotas: Vec<u64> = (0..7).map(|index| pace.quota(index)).collect();
        assert_eq!(quotas, [15, 15, 14, 14, 14, 14, 14]);
    }
}
