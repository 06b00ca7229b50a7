//! When each item of a scenario begins and ends: a pure state machine over facts and time.

use std::collections::HashMap;

use shakedown_workloads::duration::HumanDuration;

use crate::scenario::{Names, Scenario, Trigger};

/// The lane of phases.
pub(crate) const PHASE: &str = "phase";
/// Shortest time between two faults of a storm, should the first have taken longer than it was to.
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
    /// Begins only when this has ended, and some time has passed.
    alone_after: Option<(String, HumanDuration)>,
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
                alone_after: None,
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
            if let (Some(entry), Some(before)) = (entry, &fault.alone_after) {
                entry.alone_after = Some((before.clone(), RECOVERY));
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
                    let alone_ns = match &entry.alone_after {
                        Some((before, pause)) => {
                            (self.facts.get(before)).map(|ended| ended + pause.as_nanos())
                        }
                        None => Some(0),
                    };
                    fired_ns
                        .zip(alone_ns)
                        .map(|(fired, alone)| fired.max(alone))
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
mod tests {
    use super::*;
    use crate::scenario::Catalogue;

    fn schedule(items: &str) -> Schedule {
        let head = r#"
            name = "test"
            description = "test"
            system = "miroir"
            configuration = "test"
            expectation = "test"
            roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 1 }]
        "#;
        let tail = "\n[expect]\nloss = \"none\"\nwrites_at_least = 1\n";
        let catalogue = Catalogue::embedded().unwrap();
        let text = format!("{head}{items}{tail}");
        let scenario = Scenario::parse("test.toml", &text, &catalogue.systems).unwrap();
        Schedule::new(&scenario.expanded(1, None).0)
    }

    const LOAD: &str =
        "\n[[load]]\nname = \"writes\"\nwhen = { at = \"1s\" }\ncount = 1\nmix = { insert = 1 }\n";
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn an_item_begins_at_its_time_and_not_before() {
        let mut schedule = schedule(LOAD);
        assert_eq!(schedule.due(SECOND - 1, 0), (vec![], Some(SECOND)));
        assert_eq!(schedule.due(SECOND, 0).0, vec![Step::Begin(Item::Load(0))]);
        assert_eq!(schedule.due(SECOND, 0).0, vec![], "an item begins once");
    }

    #[test]
    fn a_fault_is_undone_when_its_time_since_taking_effect_is_over() {
        let mut schedule = schedule(&format!(
            "{LOAD}\n[[fault]]\nname = \"cut\"\nwhen = {{ after = \"writes.start\" }}\nfor = \"2s\"\n[fault.partition]\nfrom = \"router\"\nto = \"store\"\n"
        ));
        schedule.due(SECOND, 0);
        schedule.began(Item::Load(0), SECOND);
        assert_eq!(schedule.due(SECOND, 0).0, vec![Step::Begin(Item::Fault(0))]);
        schedule.began(Item::Fault(0), 2 * SECOND);
        assert_eq!(schedule.due(3 * SECOND, 0), (vec![], Some(4 * SECOND)));
        assert_eq!(
            schedule.due(4 * SECOND, 0).0,
            vec![Step::End(Item::Fault(0))]
        );
        schedule.ended(Item::Fault(0), 4 * SECOND);
        schedule.ended(Item::Load(0), 4 * SECOND);
        assert!(schedule.finished());
    }

    #[test]
    fn a_phase_that_never_comes_leaves_its_items_unfinished() {
        let mut schedule = schedule(&format!(
            "{LOAD}\n[[action]]\nname = \"cutover\"\nrun = \"cutover\"\nwhen = {{ phase = \"cutover_begin\" }}\n"
        ));
        schedule.due(SECOND, 0);
        schedule.began(Item::Load(0), SECOND);
        schedule.ended(Item::Load(0), SECOND);
        assert!(!schedule.finished());
        assert_eq!(schedule.unfinished(), ["cutover"]);
        schedule.mark(PHASE, "cutover_begin", 2 * SECOND);
        assert_eq!(
            schedule.due(2 * SECOND, 0).0,
            vec![Step::Begin(Item::Action(0))]
        );
    }

    #[test]
    fn a_number_of_operations_fires_once_reached() {
        let mut schedule = schedule(&format!(
            "{LOAD}\n[[action]]\nname = \"cutover\"\nrun = \"cutover\"\nwhen = {{ after_ops = 500, delay = \"1s\" }}\n"
        ));
        assert!(schedule.watches_operations());
        assert_eq!(schedule.due(0, 499).0, vec![]);
        assert_eq!(schedule.due(5 * SECOND, 500).1, Some(6 * SECOND));
        schedule.due(6 * SECOND, 501);
        assert!(!schedule.watches_operations());
    }

    #[test]
    fn a_mark_in_the_log_fires_and_one_of_another_lane_does_not() {
        let mut schedule = schedule(&format!(
            "{LOAD}\n[[action]]\nname = \"go\"\nrun = \"cutover\"\nwhen = {{ mark = {{ lane = \"recovered\", name = \"x\" }} }}\n"
        ));
        schedule.mark(PHASE, "x", 1);
        assert_eq!(schedule.due(2, 0).0, vec![]);
        schedule.mark("recovered", "x", 3);
        assert_eq!(schedule.due(4, 0).0, vec![Step::Begin(Item::Action(0))]);
    }

    #[test]
    fn a_fault_of_a_storm_waits_for_the_one_before_it() {
        let mut schedule = schedule(&format!(
            "{LOAD}\n[[storm]]\nname = \"s\"\nwhen = {{ at = \"0s\" }}\nfor = \"9s\"\nevery = \"3s\"\nhold = \"1s\"\n[[storm.fault]]\nweight = 1\npause = {{ nodes = \"store\", service = \"node\" }}\n"
        ));
        let (first, second) = (Item::Fault(0), Item::Fault(1));
        assert!(schedule.due(3 * SECOND, 0).0.contains(&Step::Begin(first)));
        schedule.began(first, 3 * SECOND);
        let late = schedule.due(20 * SECOND, 0).0;
        assert_eq!(late, vec![Step::End(first)], "the second waits");
        schedule.ended(first, 20 * SECOND);
        assert_eq!(schedule.due(20 * SECOND, 0), (vec![], Some(21 * SECOND)));
        assert_eq!(schedule.due(21 * SECOND, 0).0, vec![Step::Begin(second)]);
    }
}
