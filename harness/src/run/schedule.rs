//! When each item of a scenario begins and ends: a pure state machine over facts and time.

use std::collections::HashMap;

use shakedown_workloads::duration::HumanDuration;

use crate::scenario::{InStorm, Names, Scenario, Trigger};

/// The lane of phases.
pub(crate) const PHASE: &str = "phase";
/// Shortest time from the end of one fault to another of its storm that must not meet it, should the first have
/// taken longer than it was to.
const RECOVERY: HumanDuration = HumanDuration::from_secs(1);

/// An item by its place in the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    Load(usize),
    Fault(usize),
    Action(usize),
    Checkpoint(usize),
}

/// Something to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begin an item.
    Begin(Item),
    /// End an item that does not end by itself: undo a fault, stop a load.
    End(Item),
}

#[derive(Debug, Clone)]
enum End {
    /// By itself, or with the scenario.
    Own,
    After(HumanDuration),
    Until(Trigger),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// Told to begin, has not yet.
    Beginning,
    Running,
    /// Told to end, has not yet.
    Ending,
    Ended,
}

struct Entry {
    item: Item,
    name: String,
    when: Trigger,
    end: End,
    /// A fault of a storm: what must have happened before.
    in_storm: Option<InStorm>,
    state: State,
}

/// The schedule of one scenario run.
pub(crate) struct Schedule {
    entries: Vec<Entry>,
    /// When things happened, nanoseconds: `NAME.start`, `NAME`, `mark LANE NAME`.
    facts: HashMap<String, u64>,
    /// When a number of operations was first seen reached.
    ops_reached: HashMap<u64, u64>,
}

impl Schedule {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut entries = Vec::new();
        let mut add = |item, name: &toml::Spanned<String>, when: &toml::Spanned<Trigger>, end| {
            let (name, when) = (name.get_ref().clone(), when.get_ref().clone());
            entries.push(Entry {
                item,
                name,
                when,
                end,
                in_storm: None,
                state: State::Waiting,
            });
        };
        let until = |trigger: &Option<toml::Spanned<Trigger>>| {
            trigger.as_ref().map(|t| End::Until(t.get_ref().clone()))
        };
        for (i, load) in scenario.load.iter().enumerate() {
            // `for` and `count` are the driver's own business.
            add(
                Item::Load(i),
                &load.name,
                &load.when,
                until(&load.until).unwrap_or(End::Own),
            );
        }
        for (i, fault) in scenario.fault.iter().enumerate() {
            let end = until(&fault.until)
                .or(fault.duration.map(End::After))
                .unwrap_or(End::Own);
            add(Item::Fault(i), &fault.name, &fault.when, end);
        }
        for (i, action) in scenario.action.iter().enumerate() {
            add(Item::Action(i), &action.name, &action.when, End::Own);
        }
        for (i, checkpoint) in scenario.checkpoint.iter().enumerate() {
            add(
                Item::Checkpoint(i),
                &checkpoint.name,
                &checkpoint.when,
                End::Own,
            );
        }
        for fault in &scenario.fault {
            let entry = entries.iter_mut().find(|e| e.name == *fault.name.get_ref());
            if let Some(entry) = entry {
                entry.in_storm = fault.in_storm.clone();
            }
        }
        Schedule {
            entries,
            facts: HashMap::new(),
            ops_reached: HashMap::new(),
        }
    }

    /// The item has begun (a fault: taken effect).
    pub(crate) fn began(&mut self, item: Item, now_ns: u64) {
        self.set(item, State::Running, ".start", now_ns);
    }

    /// The item has ended.
    pub(crate) fn ended(&mut self, item: Item, now_ns: u64) {
        self.set(item, State::Ended, "", now_ns);
    }

    /// A name has appeared in a lane of the system's log; only the first time counts.
    pub(crate) fn mark(&mut self, lane: &str, name: &str, now_ns: u64) {
        (self.facts.entry(mark_fact(lane, name))).or_insert(now_ns);
    }

    /// Whether a name has appeared in a lane of the system's log.
    pub(crate) fn has_mark(&self, lane: &str, name: &str) -> bool {
        self.facts.contains_key(&mark_fact(lane, name))
    }

    fn set(&mut self, item: Item, state: State, suffix: &str, now_ns: u64) {
        let entry = self
            .entries
            .iter_mut()
            .find(|e| e.item == item)
            .expect("items come from this schedule");
        entry.state = state;
        self.facts
            .entry(format!("{}{suffix}", entry.name))
            .or_insert(now_ns);
    }

    /// What is due, and when to ask again at the latest (if anything is merely a matter of time).
    pub(crate) fn due(&mut self, now_ns: u64, operations: u64) -> (Vec<Step>, Option<u64>) {
        let mut steps = Vec::new();
        let mut wake: Option<u64> = None;
        for entry in &mut self.entries {
            let due_ns = match (entry.state, &entry.end) {
                (State::Waiting, _) => {
                    let fired_ns = fires(
                        &entry.when,
                        &self.facts,
                        &mut self.ops_reached,
                        now_ns,
                        operations,
                    );
                    let fits_ns = (entry.in_storm.as_ref())
                        .map_or(Some(0), |others| fits(others, &self.facts));
                    fired_ns.zip(fits_ns).map(|(fired, fits)| fired.max(fits))
                }
                (State::Running, End::Until(trigger)) => fires(
                    trigger,
                    &self.facts,
                    &mut self.ops_reached,
                    now_ns,
                    operations,
                ),
                (State::Running, End::After(length)) => self
                    .facts
                    .get(&format!("{}.start", entry.name))
                    .map(|start| start + length.as_nanos()),
                _ => None,
            };
            match due_ns {
                Some(due) if due <= now_ns => {
                    if entry.state == State::Waiting {
                        entry.state = State::Beginning;
                        steps.push(Step::Begin(entry.item));
                    } else {
                        entry.state = State::Ending;
                        steps.push(Step::End(entry.item));
                    }
                }
                Some(due) => wake = Some(wake.map_or(due, |w| w.min(due))),
                None => {}
            }
        }
        (steps, wake)
    }

    /// Whether some trigger waits for a number of operations, so that they must be watched.
    pub(crate) fn watches_operations(&self) -> bool {
        self.entries.iter().any(|e| {
            (e.state == State::Waiting && e.when.after_ops.is_some())
                || (e.state == State::Running
                    && matches!(&e.end, End::Until(t) if t.after_ops.is_some()))
        })
    }

    /// Whether everything has ended, but for faults that last to the end of the scenario.
    pub(crate) fn finished(&self) -> bool {
        self.entries.iter().all(|e| match (e.item, e.state) {
            (_, State::Ended) => true,
            (Item::Fault(_), State::Running) => matches!(e.end, End::Own),
            _ => false,
        })
    }

    /// Faults that are to be undone now that the scenario is over.
    pub(crate) fn active_faults(&self) -> Vec<usize> {
        let active = self.entries.iter().filter(|e| e.state == State::Running);
        active
            .filter_map(|e| {
                if let Item::Fault(i) = e.item {
                    Some(i)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Loads still running.
    pub(crate) fn active_loads(&self) -> Vec<usize> {
        let active = self
            .entries
            .iter()
            .filter(|e| matches!(e.state, State::Running | State::Beginning));
        active
            .filter_map(|e| {
                if let Item::Load(i) = e.item {
                    Some(i)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Items that have not begun, or not ended though they should have.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let open = self.entries.iter().filter(|e| match (e.item, e.state) {
            (_, State::Ended) => false,
            (Item::Fault(_), State::Running) => !matches!(e.end, End::Own),
            _ => true,
        });
        open.map(|e| e.name.clone()).collect()
    }
}

/// When a trigger fires or fired, nanoseconds; `None` as long as that is open.
fn fires(
    trigger: &Trigger,
    facts: &HashMap<String, u64>,
    ops_reached: &mut HashMap<u64, u64>,
    now_ns: u64,
    operations: u64,
) -> Option<u64> {
    let condition_ns = if let Some(at) = trigger.at {
        at.as_nanos()
    } else if let Some(after) = &trigger.after {
        latest(after.get_ref(), facts)?
    } else if let Some(phase) = &trigger.phase {
        *facts.get(&mark_fact(PHASE, phase.get_ref()))?
    } else if let Some(mark) = &trigger.mark {
        *facts.get(&mark_fact(&mark.get_ref().lane, &mark.get_ref().name))?
    } else {
        let target = trigger
            .after_ops
            .expect("validation saw to it that one condition is given");
        if operations < target {
            return None;
        }
        *ops_reached.entry(target).or_insert(now_ns)
    };
    Some(condition_ns + trigger.delay.map_or(0, HumanDuration::as_nanos))
}

/// When a storm's fault may begin at the earliest, nanoseconds; `None` as long as that is open.
fn fits(others: &InStorm, facts: &HashMap<String, u64>) -> Option<u64> {
    let mut earliest_ns = 0;
    for name in &others.ended {
        earliest_ns = earliest_ns.max(facts.get(name)? + RECOVERY.as_nanos());
    }
    if let Some(name) = &others.begun {
        // One that could not be begun has ended all the same.
        let begun = facts.get(&format!("{name}.start"));
        earliest_ns = earliest_ns.max(*begun.or_else(|| facts.get(name))?);
    }
    Some(earliest_ns)
}

fn mark_fact(lane: &str, name: &str) -> String {
    format!("mark {lane} {name}")
}

fn latest(after: &Names, facts: &HashMap<String, u64>) -> Option<u64> {
    let mut latest_ns = 0;
    for name in &after.0 {
        latest_ns = latest_ns.max(*facts.get(name)?);
    }
    Some(latest_ns)
}

#[cfg(test)]
mod tests;
