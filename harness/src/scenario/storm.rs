//! Storms: random faults, one at a time, worked out from the seed before a run begins.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    ClockFault, DelayFault, DiskFullFault, FaultItem, KillFault, Names, PartitionFault, PauseFault,
    PowerLossFault, ResetFault, Scenario, Trigger,
};

/// Set in the number of every storm's ChaCha stream, so that none is another actor's.
const STORM_STREAM: u64 = 1 << 63;
/// How a target names one node of a role, drawn anew for each fault.
pub(super) const ANY: &str = "[?]";

/// A stretch of random faults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormItem {
    /// Unique among the scenario's items; its faults are `NAME-001`, `NAME-002`, ...
    pub name: Spanned<String>,
    /// When it begins.
    pub when: Spanned<Trigger>,
    /// How long it lasts; `--time` sets it.
    #[serde(rename = "for")]
    pub duration: HumanDuration,
    /// One fault in each stretch of this length, at a random moment.
    #[serde(default = "five_seconds")]
    pub every: Spanned<HumanDuration>,
    /// How long each fault lasts.
    #[serde(default = "two_seconds")]
    pub hold: HumanDuration,
    /// What may strike.
    #[serde(default)]
    pub fault: Vec<StormFault>,
}

fn five_seconds() -> Spanned<HumanDuration> {
    Spanned::new(0..0, HumanDuration::from_secs(5))
}

fn two_seconds() -> HumanDuration {
    HumanDuration::from_secs(2)
}

/// A fault that may strike in a storm.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormFault {
    /// How often, against the others of the storm.
    pub weight: Spanned<u32>,
    /// As of a fault.
    pub partition: Option<PartitionFault>,
    /// As of a fault.
    pub kill: Option<KillFault>,
    /// As of a fault.
    pub pause: Option<PauseFault>,
    /// As of a fault.
    pub reset: Option<ResetFault>,
    /// As of a fault.
    pub delay: Option<DelayFault>,
    /// As of a fault.
    pub clock: Option<ClockFault>,
    /// As of a fault.
    pub power_loss: Option<PowerLossFault>,
    /// As of a fault.
    pub disk_full: Option<DiskFullFault>,
}

/// A fault of a storm as it was drawn; for plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it strikes, as in the scenario, with single nodes drawn.
    pub targets: Vec<String>,
    /// When, from the beginning of its storm.
    pub at: HumanDuration,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub length: HumanDuration,
}

impl StormFault {
    /// As an item of a scenario.
    pub(super) fn item(&self, name: Spanned<String>, when: Spanned<Trigger>) -> FaultItem {
        FaultItem {
            name,
            when,
            until: None,
            duration: None,
            partition: self.partition.clone(),
            kill: self.kill.clone(),
            pause: self.pause.clone(),
            reset: self.reset.clone(),
            delay: self.delay.clone(),
            clock: self.clock.clone(),
            power_loss: self.power_loss.clone(),
            disk_full: self.disk_full.clone(),
            alone_after: None,
        }
    }
}

impl StormItem {
    /// Shortest time between the end of one fault and the next.
    pub(super) fn pause(&self) -> HumanDuration {
        let free = self.every.get_ref().0.saturating_sub(self.hold.0);
        HumanDuration((self.every.get_ref().0 / 4).min(free / 2))
    }
}

impl Scenario {
    /// The scenario with every storm turned into faults, and with `time` (if given) as the length of
    /// storms and of loads with `soak`; its time-out grows by as much. The same seed gives the same faults.
    #[must_use]
    pub fn expanded(
        &self,
        seed: u64,
        time: Option<HumanDuration>,
    ) -> (Scenario, Vec<PlannedFault>) {
        let mut scenario = self.clone();
        if let Some(time) = time {
            scenario.stretch(time);
        }
        let mut planned = Vec::new();
        while !scenario.storm.is_empty() {
            let storm = scenario.storm.remove(0);
            let before = scenario.fault.len();
            scenario.expand(&storm, seed, &mut planned);
            let drawn = &scenario.fault[before..];
            let name = |fault: Option<&FaultItem>| fault.map(|f| f.name.get_ref().clone());
            if let (Some(first), Some(last)) = (name(drawn.first()), name(drawn.last())) {
                scenario.wait_for_instead(storm.name.get_ref(), &first, &last);
            }
        }
        (scenario, planned)
    }

    /// A storm has begun when its first fault has, and ended when its last one has.
    fn wait_for_instead(&mut self, storm: &str, first: &str, last: &str) {
        let start = format!("{storm}.start");
        for trigger in self.triggers_mut() {
            for name in trigger.after.iter_mut().flat_map(|n| &mut n.get_mut().0) {
                if *name == storm {
                    last.clone_into(name);
                } else if *name == start {
                    *name = format!("{first}.start");
                }
            }
        }
    }

    fn triggers_mut(&mut self) -> impl Iterator<Item = &mut Trigger> {
        let loads =
            (self.load.iter_mut()).flat_map(|i| std::iter::once(&mut i.when).chain(&mut i.until));
        let faults =
            (self.fault.iter_mut()).flat_map(|i| std::iter::once(&mut i.when).chain(&mut i.until));
        loads
            .chain(faults)
            .chain(self.storm.iter_mut().map(|i| &mut i.when))
            .chain(self.action.iter_mut().map(|i| &mut i.when))
            .chain(self.checkpoint.iter_mut().map(|i| &mut i.when))
            .map(Spanned::get_mut)
    }

    fn stretch(&mut self, time: HumanDuration) {
        let mut longer = std::time::Duration::ZERO;
        let soaking = self.load.iter_mut().filter(|load| load.soak);
        let lengths = (soaking.filter_map(|load| load.duration.as_mut()))
            .chain(self.storm.iter_mut().map(|storm| &mut storm.duration));
        for length in lengths {
            longer = longer.max(time.0.saturating_sub(length.0));
            *length = time;
        }
        self.timeout = HumanDuration(self.timeout.0 + longer);
    }

    fn expand(&mut self, storm: &StormItem, seed: u64, planned: &mut Vec<PlannedFault>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STORM_STREAM | xxh3_64(storm.name.get_ref().as_bytes()));
        let total: u64 = (storm.fault.iter().map(|f| u64::from(*f.weight.get_ref()))).sum();
        let every = storm.every.get_ref().as_nanos();
        let slack = every - storm.hold.as_nanos() - storm.pause().as_nanos();
        let mut before: Option<String> = None;
        for number in 0..storm.duration.as_nanos() / every {
            // Milliseconds, so that a plan reads well.
            let offset = rng.random_range(0..=slack / 1_000_000) * 1_000_000;
            let at = std::time::Duration::from_nanos(number * every + offset);
            let mut drawn = rng.random_range(0..total);
            let kind = (storm.fault.iter()).find(|fault| {
                let weight = u64::from(*fault.weight.get_ref());
                let found = drawn < weight;
                drawn = drawn.saturating_sub(weight);
                found
            });
            let kind = kind.expect("a number below the sum of the weights falls into one of them");
            let name = format!("{}-{:03}", storm.name.get_ref(), number + 1);
            let mut when = storm.when.clone();
            let own = when
                .get_ref()
                .delay
                .map_or(std::time::Duration::ZERO, |d| d.0);
            when.get_mut().delay = Some(HumanDuration(own + at));
            let mut item = kind.item(Spanned::new(storm.name.span(), name.clone()), when);
            item.duration = Some(storm.hold);
            item.alone_after = before.replace(name.clone());
            for targets in item.targets_mut() {
                self.draw(targets, &mut rng);
            }
            let parameters = item
                .parameters()
                .expect("validation saw to it that one kind is given");
            planned.push(PlannedFault {
                name,
                kind: parameters.kind().to_owned(),
                targets: (parameters.targets().iter())
                    .flat_map(|names| names.get_ref().0.clone())
                    .collect(),
                at: HumanDuration(at),
                length: storm.hold,
            });
            self.fault.push(item);
        }
    }

    /// Replaces each `role[?]` by one node of the role.
    fn draw(&self, targets: &mut Names, rng: &mut ChaCha8Rng) {
        for target in &mut targets.0 {
            if let Some(role) = target.strip_suffix(ANY) {
                let nodes = self
                    .nodes_of(role)
                    .expect("validation saw to it that the role exists");
                let one = rng.random_range(0..nodes as u64);
                *target = format!("{role}[{one}]");
            }
        }
    }
}

#[cfg(test)]
mod tests;
