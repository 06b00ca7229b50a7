//! Which faults a storm brings, and when: drawn from the seed, within the storm's limits.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shakedown_nemesis::fault::CLIENTS;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;
use xxhash_rust::xxh3::xxh3_64;

use super::sky::{Active, Sky};
use super::{ANY, PlannedFault, StormItem};
use crate::scenario::{FaultItem, FaultParameters, InStorm, Names, Scenario, StormFault};

/// Set in the number of every storm's ChaCha stream, so that none is another actor's.
const STORM_STREAM: u64 = 1 << 63;
/// How often a kind and its nodes are drawn anew before a stretch stays without a fault.
const DRAWS: usize = 64;

impl Scenario {
    pub(super) fn expand(&mut self, storm: &StormItem, seed: u64, planned: &mut Vec<PlannedFault>) {
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
            let Some((parameters, kind, nodes)) = self.draw_fitting(storm, number, &sky, &mut rng)
            else {
                sky.owed.extend(over);
                continue;
            };
            let name = format!("{}-{:03}", storm.name.get_ref(), number + 1);
            let mut when = storm.when.clone();
            let own = (when.get_ref().delay).map_or(Duration::ZERO, |delay| delay.0);
            when.get_mut().delay = Some(HumanDuration(own + at));
            let mut ended = std::mem::take(&mut sky.owed);
            ended.extend(over);
            let item = FaultItem {
                name: Spanned::new(storm.name.span(), name.clone()),
                when,
                until: None,
                duration: Some(storm.hold),
                parameters,
                in_storm: Some(InStorm {
                    begun: sky.last.replace(name.clone()),
                    ended,
                }),
            };
            planned.push(PlannedFault {
                name: name.clone(),
                kind: kind.to_owned(),
                targets: (item.parameters.targets().iter())
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
    ) -> Option<(FaultParameters, &'static str, BTreeSet<String>)> {
        if sky.active.len() >= *storm.at_once.get_ref() {
            return None;
        }
        for _ in 0..DRAWS {
            let fault = if storm.in_turn {
                &storm.fault[usize::try_from(number).unwrap_or(0) % storm.fault.len()]
            } else {
                storm.by_weight(rng)
            };
            let mut parameters = fault.parameters.clone();
            let side = struck(&parameters);
            for targets in parameters.targets_mut() {
                self.draw(targets, rng);
            }
            // An operation need not name any.
            let nodes = match parameters.targets().get(side) {
                Some(targets) => self.nodes_named(&targets.get_ref().0),
                None => BTreeSet::new(),
            };
            let kind = parameters.kind();
            if sky.fits(storm, kind, &nodes) {
                return Some((parameters, kind, nodes));
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

impl StormItem {
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
}

/// Which of a fault's sides is the one it strikes: the one with a node drawn at random, else the first with
/// nodes at all.
fn struck(parameters: &FaultParameters) -> usize {
    let sides = parameters.targets();
    let drawn = |side: &&Spanned<Names>| side.get_ref().0.iter().any(|t| t.ends_with(ANY));
    let nodes = |side: &&Spanned<Names>| side.get_ref().0.iter().any(|t| t != CLIENTS);
    (sides.iter().position(drawn))
        .or_else(|| sides.iter().position(nodes))
        .unwrap_or(0)
}
