//! A scenario made up on the command line: the system's own load, and a storm of chosen faults.

use std::collections::BTreeMap;

use serde::Deserialize;
use shakedown_workloads::duration::HumanDuration;
use toml::{Table, Value};

use super::System;

/// What a system file says of its torture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TortureSpec {
    /// Everything of a scenario but its name, system, description and storm: the load that `--rate` and
    /// `--time` apply to has `soak = true`.
    pub scenario: Table,
    /// The role that takes nodes beyond those the scenario needs.
    pub grows: Option<String>,
    /// When the storm begins, a trigger.
    pub when: Table,
    /// Faults by the name that `--faults` calls them by: each a table with exactly one kind.
    pub fault: BTreeMap<String, Table>,
}

/// What to torture a system with.
#[derive(Debug, Clone, PartialEq)]
pub struct Torture {
    /// Names of faults with their weights; every fault of the system once if there are none.
    pub faults: Vec<(String, u32)>,
    /// One fault in each stretch of this length.
    pub interval: HumanDuration,
    /// How long each fault lasts.
    pub hold: HumanDuration,
    /// How many faults may be in force at a time.
    pub at_once: u32,
    /// How many nodes may be struck at a time.
    pub nodes_at_once: Option<u32>,
    /// How long load is offered; the storm leaves its last interval free.
    pub time: HumanDuration,
    /// Kind of workload on objects; as the system file says without it.
    pub workload: Option<String>,
    /// Operations a second; as the system file says without it.
    pub rate: Option<u32>,
    /// Nodes there are; as many as the scenario needs without it.
    pub nodes: Option<usize>,
}

/// Why there is no such torture.
#[derive(Debug, thiserror::Error)]
pub enum TortureError {
    /// The system file has no `[torture]`.
    #[error(
        "system `{system}` has no [torture] in its file; run a scenario, or add one (docs/adding_a_system.md)"
    )]
    None {
        /// The system.
        system: String,
    },
    /// A fault the system file does not name.
    #[error("system `{system}` has no fault `{fault}` for torture; expected some of {known}")]
    NoFault {
        /// The system.
        system: String,
        /// The fault.
        fault: String,
        /// Those there are.
        known: String,
    },
    /// The time is too short for a single fault.
    #[error(
        "`--time {time}` leaves no room for a fault: it takes two intervals of {interval} at least"
    )]
    TooShort {
        /// The time.
        time: HumanDuration,
        /// The interval.
        interval: HumanDuration,
    },
}

impl System {
    /// The text of a scenario that tortures this system so.
    ///
    /// # Errors
    /// See [`TortureError`].
    pub fn torture(&self, wish: &Torture) -> Result<String, TortureError> {
        let spec = self.torture.as_ref().ok_or_else(|| TortureError::None {
            system: self.name.clone(),
        })?;
        let interval_ms = wish.interval.0.as_millis().max(1);
        let whole = (wish.time.0.as_millis() / interval_ms).saturating_sub(1) * interval_ms;
        if whole == 0 {
            return Err(TortureError::TooShort {
                time: wish.time,
                interval: wish.interval,
            });
        }
        let mut scenario = Table::new();
        let mut set = |key: &str, value: Value| drop(scenario.insert(key.to_owned(), value));
        set("name", "torture".into());
        set(
            "description",
            format!(
                "Random faults on {}, made up on the command line.",
                self.name
            )
            .into(),
        );
        set("system", self.name.as_str().into());
        scenario.extend(spec.scenario.clone());
        if let Some(kind) = &wish.workload {
            work_on(&mut scenario, kind);
        }
        let mut share = 1.0;
        for load in tables(&mut scenario, "load") {
            if load.get("soak").and_then(Value::as_bool) == Some(true) {
                share = share_of_load(load, wish);
                load.insert("for".to_owned(), wish.time.to_string().into());
                if let Some(rate) = wish.rate {
                    load.insert("rate".to_owned(), rate.into());
                }
            }
        }
        least_in_share(&mut scenario, share);
        if let (Some(nodes), Some(grows)) = (wish.nodes, &spec.grows) {
            grow(&mut scenario, grows, nodes);
        }
        let storm_ms = u64::try_from(whole).unwrap_or(u64::MAX);
        scenario.insert(
            "timeout".to_owned(),
            format!("{}s", wish.time.0.as_secs() + SPARE_S).into(),
        );
        let mut storm = Table::new();
        let mut set = |key: &str, value: Value| drop(storm.insert(key.to_owned(), value));
        set("name", "storm".into());
        set("when", Value::Table(spec.when.clone()));
        set("for", format!("{storm_ms}ms").into());
        set("every", wish.interval.to_string().into());
        set("hold", wish.hold.to_string().into());
        set("at_once", wish.at_once.into());
        if let Some(nodes) = wish.nodes_at_once {
            set("nodes_at_once", nodes.into());
        }
        set("fault", self.weighted(spec, &wish.faults)?.into());
        scenario.insert("storm".to_owned(), Value::Array(vec![Value::Table(storm)]));
        Ok(toml::to_string_pretty(&scenario).expect("a table with string keys is TOML"))
    }

    fn weighted(
        &self,
        spec: &TortureSpec,
        wished: &[(String, u32)],
    ) -> Result<Vec<Value>, TortureError> {
        let all = || spec.fault.keys().map(|name| (name.clone(), 1)).collect();
        let wished = if wished.is_empty() {
            all()
        } else {
            wished.to_vec()
        };
        let fault = |(name, weight): (String, u32)| {
            let mut fault = spec.fault.get(&name).cloned().ok_or_else(|| {
                let known: Vec<String> = spec.fault.keys().map(|k| format!("`{k}`")).collect();
                TortureError::NoFault {
                    system: self.name.clone(),
                    fault: name.clone(),
                    known: known.join(", "),
                }
            })?;
            fault.insert("weight".to_owned(), weight.into());
            Ok(Value::Table(fault))
        };
        wished.into_iter().map(fault).collect()
    }
}

/// Time a torture has beside its load: to prepare, to recover, to read back.
const SPARE_S: u64 = 120;

fn tables<'a>(scenario: &'a mut Table, key: &str) -> impl Iterator<Item = &'a mut Table> {
    let list = scenario.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_table_mut)
}

/// Has clients do something else: what the file says of its own workload goes.
fn work_on(scenario: &mut Table, kind: &str) {
    let workload = Table::from_iter([("kind".to_owned(), kind.into())]);
    let before = scenario.insert("workload".to_owned(), Value::Table(workload));
    let own = before
        .as_ref()
        .and_then(|before| before.get("kind")?.as_str());
    if own == Some(kind) {
        scenario.extend(before.map(|before| ("workload".to_owned(), before)));
        return;
    }
    for load in tables(scenario, "load") {
        load.remove("mix");
    }
    if let Some(expect) = scenario.get_mut("expect").and_then(Value::as_table_mut) {
        expect.remove("models");
    }
}

/// Gives a role the nodes that are left; too few are the scenario's own to refuse.
fn grow(scenario: &mut Table, grows: &str, nodes: usize) {
    let count = |role: &Table| role.get("nodes").and_then(Value::as_integer).unwrap_or(0);
    let needed: i64 = tables(scenario, "roles").map(|role| count(role)).sum();
    let spare = i64::try_from(nodes).unwrap_or(i64::MAX) - needed;
    if spare <= 0 {
        return;
    }
    for role in tables(scenario, "roles") {
        if role.get("role").and_then(Value::as_str) == Some(grows) {
            role.insert("nodes".to_owned(), (count(role) + spare).into());
        }
    }
}

/// How much of a load in the file a wish leaves of it: 0.5 for half the time at the same rate.
fn share_of_load(load: &Table, wish: &Torture) -> f64 {
    let number = |key| load.get(key).and_then(Value::as_integer);
    let length = load.get("for").and_then(Value::as_str);
    let time = length.and_then(|text| text.parse::<HumanDuration>().ok());
    let of_time = time.map_or(1.0, |time| wish.time.0.as_secs_f64() / time.0.as_secs_f64());
    let of_rate = wish
        .rate
        .zip(number("rate"))
        .map_or(1.0, |(wished, rate)| f64::from(wished) / rate as f64);
    of_time * of_rate
}

/// What a run must have done to prove something is asked of less load in proportion.
fn least_in_share(scenario: &mut Table, share: f64) {
    let Some(expect) = scenario.get_mut("expect").and_then(Value::as_table_mut) else {
        return;
    };
    for key in ["writes_at_least", "operations_at_least"] {
        if let Some(value) = expect.get_mut(key)
            && let Some(least) = value.as_integer()
        {
            *value = ((least as f64 * share.min(1.0)).ceil() as i64).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_workloads::objects::Spec;

    use crate::scenario::{Catalogue, Scenario};

    fn wish() -> Torture {
        Torture {
            faults: Vec::new(),
            interval: HumanDuration::from_secs(10),
            hold: HumanDuration::from_secs(4),
            at_once: 1,
            nodes_at_once: None,
            time: HumanDuration::from_secs(60),
            workload: None,
            rate: None,
            nodes: None,
        }
    }

    #[test]
    fn every_systems_torture_with_every_fault_is_a_scenario_that_can_be_kept() {
        let systems = Catalogue::embedded().unwrap().systems;
        for system in systems.iter().filter(|s| s.torture.is_some()) {
            let text = system.torture(&wish()).unwrap();
            let scenario = Scenario::parse("torture.toml", &text, &systems).unwrap();
            let faults = &system.torture.as_ref().unwrap().fault;
            assert_eq!(scenario.storm[0].fault.len(), faults.len());
            assert!(scenario.load.iter().any(|load| load.soak), "{text}");
            let (_, planned) = scenario.expanded(1, None);
            assert_eq!(planned.len(), 5);
        }
    }

    #[test]
    fn what_is_wished_for_stands_in_the_scenario() {
        let systems = Catalogue::embedded().unwrap().systems;
        let system = systems.iter().find(|s| s.torture.is_some()).unwrap();
        let grows = system.torture.as_ref().unwrap().grows.clone().unwrap();
        let wish = Torture {
            faults: vec![("pause".to_owned(), 3), ("kill".to_owned(), 1)],
            rate: Some(321),
            nodes: Some(9),
            at_once: 2,
            nodes_at_once: Some(1),
            ..wish()
        };
        let text = system.torture(&wish).unwrap();
        let scenario = Scenario::parse("torture.toml", &text, &systems).unwrap();
        let storm = &scenario.storm[0];
        assert_eq!(storm.fault.len(), 2);
        assert_eq!(*storm.fault[0].weight.get_ref(), 3);
        assert_eq!(storm.fault[0].parameters.kind(), "pause");
        assert_eq!(*storm.at_once.get_ref(), 2);
        let soaking = scenario.load.iter().find(|load| load.soak).unwrap();
        assert_eq!(soaking.duration, Some(HumanDuration::from_secs(60)));
        assert!(text.contains("rate = 321"), "{text}");
        assert_eq!(scenario.nodes_needed(), 9);
        assert!(scenario.nodes_of(&grows).unwrap() > 1);
    }

    #[test]
    fn a_workload_takes_the_place_of_the_systems_own() {
        let systems = Catalogue::embedded().unwrap().systems;
        let objects = systems.iter().filter(|system| {
            let torture = system.torture.as_ref();
            torture.is_some_and(|torture| torture.scenario.contains_key("workload"))
        });
        let mut found = 0;
        for system in objects {
            for kind in Spec::kinds() {
                found += 1;
                let wish = Torture {
                    workload: Some(kind.to_owned()),
                    ..wish()
                };
                let text = system.torture(&wish).unwrap();
                let scenario = Scenario::parse("torture.toml", &text, &systems).unwrap();
                assert_eq!(scenario.workload.unwrap().get_ref().kind(), kind);
            }
        }
        assert!(found >= 12, "{found} workloads tried");
    }

    #[test]
    fn a_system_of_documents_refuses_a_workload_on_objects() {
        let systems = Catalogue::embedded().unwrap().systems;
        let system = systems.iter().find(|s| s.name == "miroir").unwrap();
        let wish = Torture {
            workload: Some("set".to_owned()),
            ..wish()
        };
        let text = system.torture(&wish).unwrap();
        let error = Scenario::parse("torture.toml", &text, &systems).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("clients of miroir write documents and know no set"),
            "{error}"
        );
    }

    #[test]
    fn less_load_has_less_to_prove() {
        let systems = Catalogue::embedded().unwrap().systems;
        for system in systems.iter().filter(|s| s.torture.is_some()) {
            let least = |wish: &Torture| {
                let text = system.torture(wish).unwrap();
                let expect = Scenario::parse("torture.toml", &text, &systems)
                    .unwrap()
                    .expect;
                let least = expect.writes_at_least.or(expect.operations_at_least);
                least.unwrap().into_inner()
            };
            let rated = |rate, secs| Torture {
                rate: Some(rate),
                time: HumanDuration::from_secs(secs),
                ..wish()
            };
            assert_eq!(least(&rated(5000, 60)), least(&wish()), "{}", system.name);
            assert!(least(&rated(20, 60)) <= 100, "{}", system.name);
            assert!(least(&rated(5000, 30)) <= least(&rated(5000, 60)));
            assert!(least(&rated(1, 30)) >= 1);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let systems = Catalogue::embedded().unwrap().systems;
        let system = systems.iter().find(|s| s.torture.is_some()).unwrap();
        let unknown = Torture {
            faults: vec![("earthquake".to_owned(), 1)],
            ..wish()
        };
        let error = system.torture(&unknown).unwrap_err().to_string();
        assert!(
            error.contains("no fault `earthquake`") && error.contains("`kill`"),
            "{error}"
        );
        let short = Torture {
            time: HumanDuration::from_secs(15),
            ..wish()
        };
        assert!(matches!(
            system.torture(&short),
            Err(TortureError::TooShort { .. })
        ));
    }
}
