//! Storms: random faults within limits, worked out from the seed before a run begins.

mod sky;

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use shakedown_nemesis::fault::CLIENTS;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;
use xxhash_rust::xxh3::xxh3_64;

use sky::{Active, Sky};

use super::{
    BlockFault, ClockFault, DelayFault, DiskFullFault, DnsFault, FaultItem, InStorm, KillFault,
    Names, PartitionFault, PauseFault, PowerLossFault, ResetFault, Scenario, ShapeFault,
    SplitFault, StreamFault, Trigger,
};

/// Set in the number of every storm's ChaCha stream, so that none is another actor's.
const STORM_STREAM: u64 = 1 << 63;
/// How often a kind and its nodes are drawn anew before a stretch stays without a fault.
const DRAWS: usize = 64;
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

fn once() -> Spanned<u32> {
    Spanned::new(0..0, 1)
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
    #[serde(default = "once")]
    pub weight: Spanned<u32>,
    /// As of a fault.
    pub partition: Option<PartitionFault>,
    /// As of a fault.
    pub split: Option<SplitFault>,
    /// As of a fault.
    pub kill: Option<KillFault>,
    /// As of a fault.
    pub pause: Option<PauseFault>,
    /// As of a fault.
    pub reset: Option<ResetFault>,
    /// As of a fault.
    pub delay: Option<DelayFault>,
    /// As of a fault.
    pub shape: Option<ShapeFault>,
    /// As of a fault.
    pub block: Option<BlockFault>,
    /// As of a fault.
    pub stream: Option<StreamFault>,
    /// As of a fault.
    pub dns: Option<DnsFault>,
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
            split: self.split.clone(),
            kill: self.kill.clone(),
            pause: self.pause.clone(),
            reset: self.reset.clone(),
            delay: self.delay.clone(),
            shape: self.shape.clone(),
            block: self.block.clone(),
            stream: self.stream.clone(),
            dns: self.dns.clone(),
            clock: self.clock.clone(),
            power_loss: self.power_loss.clone(),
            disk_full: self.disk_full.clone(),
            in_storm: None,
        }
    }
}

impl StormItem {
    /// Shortest time between the end of a fault and the next one that must not meet it.
    pub(super) fn pause(&self) -> HumanDuration {
        let free = self.every.get_ref().0.saturating_sub(self.hold.0);
        HumanDuration((self.every.get_ref().0 / 4).min(free / 2))
    }

    fn by_weight(&self, rng: &mut ChaCha8Rng) -> &StormFault {
        let weights = || self.fault.iter().map(|f| u64::from(*f.weight.get_ref()));
        let mut drawn = rng.random_range(0..weights().sum());
        let found = weights().position(|weight| {
            let found = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            found
        });
        let index = found.expect("a number below the sum of the weights falls into one of them");
        &self.fault[index]
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

    fn expand(&mut self, storm: &StormItem, seed: u64, planned: &mut Vec<PlannedFault>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STORM_STREAM | xxh3_64(storm.name.get_ref().as_bytes()));
        let every = storm.every.get_ref().0;
        let slack_ms = storm.slack().as_nanos() / 1_000_000;
        let mut sky = Sky::default();
        for number in 0..storm.duration.as_nanos() / storm.every.get_ref().as_nanos() {
            // Milliseconds, so that a plan reads well.
            let offset = Duration::from_millis(rng.random_range(0..=slack_ms));
            let offset = if storm.regular {
                Duration::ZERO
            } else {
                offset
            };
            let at = every * u32::try_from(number).unwrap_or(u32::MAX) + offset;
            if at + storm.hold.0 > storm.duration.0 {
                break;
            }
            let over = sky.clear(at.saturating_sub(storm.pause().0));
            let Some((mut item, kind, nodes)) = self.draw_fitting(storm, number, &sky, &mut rng)
            else {
                sky.owed.extend(over);
                continue;
            };
            let name = format!("{}-{:03}", storm.name.get_ref(), number + 1);
            item.name = Spanned::new(storm.name.span(), name.clone());
            let own = (item.when.get_ref().delay).map_or(Duration::ZERO, |delay| delay.0);
            item.when.get_mut().delay = Some(HumanDuration(own + at));
            item.duration = Some(storm.hold);
            let mut ended = std::mem::take(&mut sky.owed);
            ended.extend(over);
            item.in_storm = Some(InStorm {
                begun: sky.last.replace(name.clone()),
                ended,
            });
            let parameters = item
                .parameters()
                .expect("validation saw to it that one kind is given");
            planned.push(PlannedFault {
                name: name.clone(),
                kind: kind.to_owned(),
                targets: (parameters.targets().iter())
                    .flat_map(|names| names.get_ref().0.clone())
                    .collect(),
                at: HumanDuration(at),
                length: storm.hold,
            });
            sky.active.push(Active {
                name,
                kind,
                nodes,
                until: at + storm.hold.0,
            });
            self.fault.push(item);
        }
    }

    /// Draws a kind by weight and its nodes so that they keep the storm's limits; `None` if nothing was found.
    fn draw_fitting(
        &self,
        storm: &StormItem,
        number: u64,
        sky: &Sky,
        rng: &mut ChaCha8Rng,
    ) -> Option<(FaultItem, &'static str, BTreeSet<String>)> {
        if sky.active.len() >= *storm.at_once.get_ref() {
            return None;
        }
        for _ in 0..DRAWS {
            let fault = if storm.in_turn {
                &storm.fault[usize::try_from(number).unwrap_or(0) % storm.fault.len()]
            } else {
                storm.by_weight(rng)
            };
            let mut item = fault.item(storm.name.clone(), storm.when.clone());
            let side = struck(&item);
            for targets in item.targets_mut() {
                self.draw(targets, rng);
            }
            let parameters = item
                .parameters()
                .expect("validation saw to it that one kind is given");
            let nodes = self.nodes_named(&parameters.targets()[side].get_ref().0);
            let kind = parameters.kind();
            if sky.fits(storm, kind, &nodes) {
                return Some((item, kind, nodes));
            }
        }
        None
    }

    /// Every single node that targets name, as `role[index]`.
    fn nodes_named(&self, targets: &[String]) -> BTreeSet<String> {
        let nodes = targets.iter().flat_map(|target| {
            if target.ends_with(']') {
                return vec![target.clone()];
            }
            let nodes = self.nodes_of(target).unwrap_or(0);
            (0..nodes).map(|i| format!("{target}[{i}]")).collect()
        });
        nodes.collect()
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

/// Which of a fault's sides is the one it strikes: the one with a node drawn at random, else the first with
/// nodes at all.
fn struck(item: &FaultItem) -> usize {
    let parameters = item
        .parameters()
        .expect("validation saw to it that one kind is given");
    let sides = parameters.targets();
    let drawn = |side: &&Spanned<Names>| side.get_ref().0.iter().any(|t| t.ends_with(ANY));
    let nodes = |side: &&Spanned<Names>| side.get_ref().0.iter().any(|t| t != CLIENTS);
    (sides.iter().position(drawn))
        .or_else(|| sides.iter().position(nodes))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
