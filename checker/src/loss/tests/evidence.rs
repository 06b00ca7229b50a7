//! What counts as evidence, and what is counted apart from the classes.

use super::*;

#[test]
fn without_a_front_door_the_owners_decide() {
    let run = Run::default().put(1, 1, OK);
    let on_owner = run.judge(&[
        (0, Owner, version(1)),
        (0, Owner, Seen::End),
        (1, Owner, Seen::End),
    ]);
    assert!(on_owner.is_clean());
    let elsewhere = run.judge(&[(0, FormerOwner, version(1)), (0, Owner, Seen::End)]);
    assert_eq!(class(&elsewhere), KeyClass::Lost);
    let nowhere = run.judge(&[(0, Owner, Seen::End), (1, Owner, Seen::End)]);
    assert_eq!(class(&nowhere), KeyClass::Lost);
}

#[test]
fn one_front_door_that_misses_a_document_is_enough() {
    let run = Run::default().put(1, 1, OK);
    let report = run.judge(&[
        (0, Routed, version(1)),
        (0, Routed, Seen::End),
        (1, Routed, Seen::End),
    ]);
    assert_eq!(class(&report), KeyClass::Lost);
}

#[test]
fn a_source_not_read_to_its_end_makes_keys_unjudged_not_lost() {
    let run = Run::default().put(1, 1, OK).put(2, 1, OK);
    let cut_off = [(0, Routed, version(1))];
    let failed = [
        (0, Routed, version(1)),
        (
            0,
            Routed,
            Seen::Failed {
                error: "refused".into(),
            },
        ),
    ];
    let ended_then_failed = [
        (0, Routed, version(1)),
        (0, Routed, Seen::End),
        (
            0,
            Routed,
            Seen::Failed {
                error: "refused".into(),
            },
        ),
    ];
    for (rows, reason) in [
        (&cut_off[..], "not read to its end"),
        (&failed, "refused"),
        (&ended_then_failed, "refused"),
    ] {
        let report = run.judge(rows);
        assert_eq!(
            report.incomplete_sources,
            [("s0".to_owned(), reason.to_owned())]
        );
        assert_eq!(
            (report.counts.ok, report.counts.lost, report.unjudged_keys),
            (1, 0, 1)
        );
        assert_eq!(
            (report.keys, report.acknowledged_keys, report.lost.trials),
            (1, 1, 1)
        );
        assert!(!report.is_clean());
    }
}

#[test]
fn an_incomplete_node_does_not_make_a_key_lost() {
    let run = Run::default().put(1, 1, OK);
    let report = run.judge(&[
        (0, Owner, Seen::End),
        (
            1,
            Owner,
            Seen::Failed {
                error: "down".into(),
            },
        ),
    ]);
    assert_eq!((report.counts.lost, report.unjudged_keys), (0, 1));
}

#[test]
fn foreign_documents_are_counted_and_named() {
    let report = Run::default().put(1, 1, OK).seen(&[
        (Routed, version(1)),
        (Owner, Seen::Foreign { id: "x".into() }),
    ]);
    assert_eq!((report.foreign, class(&report)), (1, KeyClass::Ok));
    assert_eq!(report.foreign_examples, [("s1".to_owned(), "x".to_owned())]);
    assert!(!report.is_clean());
}

#[test]
fn reads_of_what_could_not_be_there_are_counted() {
    let read = |run: Run, version| run.operation("read", 1, version, OK);
    let fine = read(read(Run::default().put(1, 1, INFO), Some(1)), None);
    let report = fine.seen(&[(Routed, version(1))]);
    assert_eq!((report.reads, report.impossible_reads), (2, 0));

    let before = read(Run::default(), Some(1)).put(1, 1, OK);
    let failed = read(Run::default().put(1, 1, OK).put(1, 2, FAIL), Some(2));
    let never = read(Run::default().put(1, 1, OK), Some(7));
    for run in [before, failed, never] {
        let report = run.seen(&[(Routed, version(1))]);
        assert_eq!((report.impossible_reads, class(&report)), (1, KeyClass::Ok));
        assert!(!report.is_clean());
    }
}

#[test]
fn the_list_of_anomalies_is_cut_in_key_order_but_all_are_counted() {
    let run = (0..10).fold(Run::default(), |run, key| run.put(key * 2, 1, OK));
    let rows = [
        (0, Routed, Seen::Version { key: 3, version: 1 }),
        (0, Routed, Seen::End),
    ];
    let report = judge(run.checker(None).unwrap(), &rows, 3);
    let kept: Vec<_> = report.anomalies.iter().map(|anomaly| anomaly.key).collect();
    assert_eq!(kept, [0, 2, 3]);
    assert_eq!(
        (
            report.counts.lost,
            report.counts.phantom,
            report.anomalies_omitted
        ),
        (10, 1, 8)
    );
}

#[test]
fn a_write_belongs_to_every_window_it_was_invoked_in() {
    let run = Run::default()
        .put(1, 1, OK)
        .window(WindowMark::START, "fault", "kill")
        .window(WindowMark::START, "load", "ramp")
        .put(1, 2, OK)
        .window(WindowMark::END, "fault", "kill")
        .put(2, 1, OK)
        .window(WindowMark::START, "fault", "kill")
        .put(3, 1, INFO)
        .put(3, 2, OK)
        .window(WindowMark::END, "fault", "kill");
    let report = run.seen(&[(Routed, Seen::Version { key: 2, version: 1 })]);
    let shown: Vec<_> = report
        .windows
        .iter()
        .map(|window| {
            (
                &*window.lane,
                window.acknowledged_writes,
                window.lost.events,
                window.lost.trials,
            )
        })
        .collect();
    assert_eq!(shown, [("fault", 2, 2, 2), ("load", 3, 2, 3)]);
    assert_eq!(
        (report.windows[0].start_ns, report.windows[0].end_ns),
        (2, 14)
    );
    assert_eq!(
        (report.windows[1].start_ns, report.windows[1].end_ns),
        (3, 14)
    );
}

#[test]
fn events_after_the_final_read_do_not_count() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    let rows = [(0, Routed, version(1)), (0, Routed, Seen::End)];
    let whole = judge(run.checker(None).unwrap(), &rows, 9);
    assert_eq!(class(&whole), KeyClass::Stale);
    // Invoked at 2, completed at 3: at 2 it is indeterminate.
    let until = judge(run.checker(Some(2)).unwrap(), &rows, 9);
    assert_eq!(
        (
            class(&until),
            until.acknowledged_writes,
            until.indeterminate_writes
        ),
        (KeyClass::Ok, 1, 1)
    );
}

#[test]
fn events_that_break_the_rules_are_refused() {
    let mut completed_twice = Run::default().put(1, 1, OK);
    completed_twice.push(1, Process(0), EventKind::Ok, "put", Some(1), Some(1), None);
    let mut invoked_twice = Run::default().put(1, 1, NEVER);
    invoked_twice.ops = 0;
    let without_version = Run::default().operation("put", 1, None, OK);
    for run in [
        completed_twice,
        invoked_twice.put(1, 2, OK),
        without_version,
    ] {
        let refused = run.checker(None);
        assert!(
            matches!(refused, Err(CheckError::Malformed { op: 1, .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn marks_of_the_harness_are_not_operations() {
    let mut run = Run::default().put(1, 1, OK);
    run.push(
        9,
        Process::OPERATOR,
        EventKind::Ok,
        "delete",
        Some(1),
        Some(2),
        None,
    );
    assert!(run.seen(&[(Routed, version(1))]).is_clean());
}
