//! When items begin and end.

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
