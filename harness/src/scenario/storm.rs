//! Storms: random faults within limits, worked out from the seed before a run begins.

mod draw;
mod sky;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::{Scenario, StormFault, Trigger};

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
    /// How many faults may be in force at a time.
    #[serde(default = "one_at_a_time")]
    pub at_once: Spanned<usize>,
    /// How many nodes may be struck at a time; every node without it.
    pub nodes_at_once: Option<Spanned<usize>>,
    /// Pairs of kinds that are never in force together.
    #[serde(default)]
    pub never_together: Vec<Spanned<[String; 2]>>,
    /// At the beginning of each stretch instead of a random moment in it.
    #[serde(default)]
    pub regular: bool,
    /// One after the other as they stand in the file, instead of at random by weight.
    #[serde(default)]
    pub in_turn: bool,
    /// What may strike.
    #[serde(default)]
    pub fault: Vec<StormFault>,
}

fn one_at_a_time() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

fn five_seconds() -> Spanned<HumanDuration> {
    Spanned::new(0..0, HumanDuration::from_secs(5))
}

fn two_seconds() -> HumanDuration {
    HumanDuration::from_secs(2)
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

impl StormItem {
    /// Shortest time between the end of a fault and the next one that must not meet it.
    pub(super) fn pause(&self) -> HumanDuration {
        let free = self.every.get_ref().0.saturating_sub(self.hold.0);
        HumanDuration((self.every.get_ref().0 / 4).min(free / 2))
    }

    /// How far into its stretch a fault may strike.
    fn slack(&self) -> HumanDuration {
        let every = self.every.get_ref().0;
        if *self.at_once.get_ref() == 1 {
            HumanDuration(every - self.hold.0 - self.pause().0)
        } else {
            HumanDuration(every)
        }
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
            let names: Vec<String> = drawn.iter().map(|f| f.name.get_ref().clone()).collect();
            scenario.wait_for_instead(storm.name.get_ref(), &names, *storm.at_once.get_ref());
        }
        (scenario, planned)
    }

    /// A storm has begun when its first fault has, and ended when its last ones have: all before those have
    /// ended when the very last begins.
    fn wait_for_instead(&mut self, storm: &str, drawn: &[String], at_once: usize) {
        let Some(first) = drawn.first() else {
            return;
        };
        let start = format!("{storm}.start");
        let last = &drawn[drawn.len().saturating_sub(at_once)..];
        for trigger in self.triggers_mut() {
            let Some(after) = &mut trigger.after else {
                continue;
            };
            let names = std::mem::take(&mut after.get_mut().0);
            for name in names {
                if name == storm {
                    after.get_mut().0.extend_from_slice(last);
                } else if name == start {
                    after.get_mut().0.push(format!("{first}.start"));
                } else {
                    after.get_mut().0.push(name);
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
        let mut longer = Duration::ZERO;
        let soaking = self.load.iter_mut().filter(|load| load.soak);
        let lengths = (soaking.filter_map(|load| load.duration.as_mut()))
            .chain(self.storm.iter_mut().map(|storm| &mut storm.duration));
        for length in lengths {
            longer = longer.max(time.0.saturating_sub(length.0));
            *length = time;
        }
        self.timeout = HumanDuration(self.timeout.0 + longer);
    }
}

#[cfg(test)]
mod tests;
