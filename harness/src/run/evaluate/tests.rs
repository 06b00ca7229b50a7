//! Verdicts of runs that did all they promised, and of runs that did not.

use std::collections::BTreeMap;

use shakedown_checker::loss::{ClassCounts, LossReport};
use shakedown_reports::results::{Explained, Span};

use super::*;
use crate::scenario::Catalogue;

/// A run of a scenario that has a fault, phases, endangered documents and a minimum of writes.
struct Run {
    faults: Vec<FaultResult>,
    actions: Vec<ActionResult>,
    checkpoints: Vec<CheckpointResult>,
    observed: Observed,
}

fn scenario(name: &str) -> Scenario {
    let catalogue = Catalogue::embedded().unwrap();
    catalogue.select(name).unwrap().remove(0).0
}

/// Everything happened as promised.
fn good_run(scenario: &Scenario) -> Run {
    let loss = LossReport {
        acknowledged_writes: 1_000_000,
        keys: 10,
        ..LossReport::default()
    };
    Run {
        faults: vec![FaultResult {
            name: "reset-new".to_owned(),
            kind: "reset".to_owned(),
            summary: String::new(),
            start_ns: 0,
            end_ns: 1,
            outcome: "installed".to_owned(),
            evidence: Vec::new(),
        }],
        actions: Vec::new(),
        checkpoints: vec![CheckpointResult {
            name: "final".to_owned(),
            time_ns: 1,
            loss,
            explained: None,
        }],
        observed: Observed {
            marks: BTreeMap::from([(
                "phase".to_owned(),
                scenario.expect.phases.iter().cloned().collect(),
            )]),
            endangered: Some(7),
            ..Observed::default()
        },
    }
}

fn judge(scenario: &Scenario, run: Run) -> Verdict {
    let record = Record {
        faults: &run.faults,
        actions: &run.actions,
        checkpoints: &run.checkpoints,
        gauges: &[],
        models: &[],
        timeline: &[],
        observed: &run.observed,
    };
    let systems = System::embedded().unwrap();
    let system = systems
        .iter()
        .find(|s| s.name == *scenario.system.get_ref());
    verdict(&evaluate(scenario, system.unwrap(), &record))
}

const SAFE: &str = "cutover_chaos_with_anti_entropy";
const UNSAFE: &str = "cutover_chaos_loss_rate_no_ae_no_delta";

#[test]
fn a_run_that_did_all_it_promised_and_lost_nothing_is_valid() {
    let scenario = scenario(SAFE);
    assert_eq!(judge(&scenario, good_run(&scenario)), Verdict::Valid);
}

#[test]
fn whatever_was_not_exercised_makes_a_run_unknown() {
    let scenario = scenario(SAFE);
    let spoils: [fn(&mut Run); 8] = [
        |run| run.faults[0].outcome = "skipped".to_owned(),
        |run| run.faults[0].outcome = "indeterminate".to_owned(),
        |run| run.observed.marks.clear(),
        |run| run.observed.unfinished.push("cutover".to_owned()),
        |run| run.observed.endangered = Some(0),
        |run| run.observed.endangered = None,
        |run| run.observed.not_recovered = Some("still down".to_owned()),
        |run| run.checkpoints[0].loss.acknowledged_writes = 3999,
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut run = good_run(&scenario);
        spoil(&mut run);
        assert_eq!(judge(&scenario, run), Verdict::Unknown, "spoil {number}");
    }
}

#[test]
fn an_incomplete_or_missing_final_read_makes_a_run_unknown() {
    let scenario = scenario(SAFE);
    let mut run = good_run(&scenario);
    run.checkpoints[0]
        .loss
        .incomplete_sources
        .push(("n2".to_owned(), "timed out".to_owned()));
    assert_eq!(judge(&scenario, run), Verdict::Unknown);
    let mut run = good_run(&scenario);
    run.checkpoints.clear();
    assert_eq!(judge(&scenario, run), Verdict::Unknown);
}

#[test]
fn a_service_that_died_unasked_makes_a_run_invalid() {
    let scenario = scenario("cutover_chaos_with_anti_entropy");
    let mut run = good_run(&scenario);
    run.observed.died = Some(Vec::new());
    assert_eq!(judge(&scenario, run), Verdict::Valid);
    let mut run = good_run(&scenario);
    run.observed.died = Some(vec!["n2/node".to_owned()]);
    assert_eq!(judge(&scenario, run), Verdict::Invalid);
}

#[test]
fn any_bad_class_is_invalid_even_if_the_fault_did_not_happen() {
    let scenario = scenario(SAFE);
    let counts: [ClassCounts; 7] = [
        ClassCounts {
            lost: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            stale: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            resurrected: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            corrupted: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            phantom: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            misplaced: 1,
            ..ClassCounts::default()
        },
        ClassCounts {
            left_behind: 1,
            ..ClassCounts::default()
        },
    ];
    for counts in counts {
        let mut run = good_run(&scenario);
        run.faults[0].outcome = "skipped".to_owned();
        run.checkpoints[0].loss.counts = counts.clone();
        assert_eq!(judge(&scenario, run), Verdict::Invalid, "{counts:?}");
    }
}

#[test]
fn what_no_client_wrote_is_invalid_and_what_cannot_be_judged_unknown() {
    let scenario = scenario(SAFE);
    let with = |change: fn(&mut LossReport)| {
        let mut run = good_run(&scenario);
        change(&mut run.checkpoints[0].loss);
        judge(&scenario, run)
    };
    assert_eq!(with(|loss| loss.foreign = 1), Verdict::Invalid);
    assert_eq!(with(|loss| loss.impossible_reads = 1), Verdict::Invalid);
    assert_eq!(with(|loss| loss.unjudged_keys = 1), Verdict::Unknown);
}

#[test]
fn an_expected_loss_must_be_seen_and_accounted_for() {
    let scenario = scenario(UNSAFE);
    let run = |lost, explained: Option<Explained>| {
        let mut run = good_run(&scenario);
        run.checkpoints[0].loss.counts.lost = lost;
        run.checkpoints[0].explained = explained;
        judge(&scenario, run)
    };
    let good = Explained {
        predicted: 2,
        explained: 2,
        unexplained: Vec::new(),
        found_alive: Vec::new(),
        at_risk: None,
    };
    assert_eq!(run(2, Some(good.clone())), Verdict::Valid);
    assert_eq!(
        run(
            0,
            Some(Explained {
                predicted: 0,
                explained: 0,
                ..good.clone()
            })
        ),
        Verdict::Unknown
    );
    assert_eq!(run(2, None), Verdict::Unknown);
    assert_eq!(
        run(
            2,
            Some(Explained {
                unexplained: vec![4],
                ..good.clone()
            })
        ),
        Verdict::Invalid
    );
    assert_eq!(
        run(
            2,
            Some(Explained {
                found_alive: vec![4],
                ..good
            })
        ),
        Verdict::Invalid
    );
}

#[test]
fn a_refusal_that_does_not_come_is_invalid_and_any_other_failed_action_unknown() {
    let scenario = scenario(UNSAFE);
    let explained = Explained {
        predicted: 1,
        explained: 1,
        unexplained: vec![],
        found_alive: vec![],
        at_risk: None,
    };
    let with = |name: &str| {
        let mut run = good_run(&scenario);
        run.checkpoints[0].loss.counts.lost = 1;
        run.checkpoints[0].explained = Some(explained.clone());
        run.actions.push(ActionResult {
            span: Span {
                name: name.to_owned(),
                start_ns: 0,
                end_ns: 1,
            },
            command: String::new(),
            exit_status: 0,
            output: String::new(),
            as_expected: false,
        });
        judge(&scenario, run)
    };
    assert_eq!(with("refused-by-configuration"), Verdict::Invalid);
    assert_eq!(with("cutover"), Verdict::Unknown);
}

#[test]
fn what_the_records_call_lost_may_be_alive_if_the_run_was_cut_short() {
    let scenario = scenario(UNSAFE);
    let with = |unfinished: &[&str]| {
        let mut run = good_run(&scenario);
        run.checkpoints[0].loss.counts.lost = 1;
        run.checkpoints[0].explained = Some(Explained {
            predicted: 2,
            explained: 1,
            unexplained: vec![],
            found_alive: vec![4],
            at_risk: None,
        });
        run.observed.unfinished = unfinished.iter().map(|item| (*item).to_owned()).collect();
        judge(&scenario, run)
    };
    assert_eq!(with(&["cutover"]), Verdict::Unknown);
    assert_eq!(with(&[]), Verdict::Invalid);
}

#[test]
fn what_a_repair_would_have_brought_back_is_not_lost_for_sure_before_it() {
    let scenario = scenario("cutover_chaos_skip_delta_with_ae");
    let mend = scenario.action.iter();
    let mend = mend
        .filter(|action| action.run.get_ref() == "anti_entropy_pass")
        .map(|action| ActionResult {
            span: Span {
                name: action.name.get_ref().clone(),
                start_ns: 1,
                end_ns: 2,
            },
            command: String::new(),
            exit_status: 0,
            output: String::new(),
            as_expected: true,
        });
    let done: Vec<ActionResult> = mend.collect();
    let with = |actions: &[ActionResult], harm: fn(&mut ClassCounts)| {
        let mut run = good_run(&scenario);
        run.actions = actions.to_vec();
        harm(&mut run.checkpoints[0].loss.counts);
        judge(&scenario, run)
    };
    let mut failed = done.clone();
    failed[0].as_expected = false;
    for harm in [
        (|counts| counts.lost = 1) as fn(&mut ClassCounts),
        |counts| counts.stale = 1,
        |counts| counts.resurrected = 1,
    ] {
        assert_eq!(with(&done, harm), Verdict::Invalid);
        assert_eq!(with(&[], harm), Verdict::Unknown);
        assert_eq!(with(&failed, harm), Verdict::Unknown);
    }
    assert_eq!(with(&[], |counts| counts.corrupted = 1), Verdict::Invalid);
}
