//! The report of the example run, as a whole and in its promises.

use super::*;
use crate::example;
use crate::picture::pictures;

fn rendered(results: &SuiteResults) -> String {
    let mut pictures = pictures(&results.scenarios, "plots");
    pictures[3][0].failure = "disk full | no space\nleft".into();
    report(results, &pictures).unwrap()
}

#[test]
fn a_run_is_reported_in_full() {
    insta::assert_snapshot!(rendered(&example::suite()));
}

#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_header() {
    let text = rendered(&example::suite());
    let mut header: Option<usize> = None;
    let mut rows = 0;
    for line in text.lines() {
        if !line.starts_with('|') {
            header = None;
            continue;
        }
        let cells = line.replace(r"\|", "").matches('|').count();
        assert_eq!(cells, *header.get_or_insert(cells), "{line}");
        assert!(line.ends_with('|'), "{line}");
        rows += 1;
    }
    assert!(rows > 100, "only {rows} rows were looked at");
}

#[test]
fn headings_tables_and_quotes_stand_apart_by_exactly_one_blank_line() {
    let text = rendered(&example::suite());
    assert!(!text.contains("\n\n\n"), "two blank lines in a row");
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate().skip(1) {
        let starts_block = line.starts_with('#')
            || line.starts_with("> ")
            || (line.starts_with('|') && !lines[i - 1].starts_with('|'));
        if starts_block {
            assert_eq!(lines[i - 1], "", "no blank line before: {line}");
        }
        if line.starts_with('#') {
            assert_eq!(lines[i + 1], "", "no blank line after: {line}");
        }
    }
}

#[test]
fn harness_errors_and_interruption_come_before_the_summary() {
    let mut results = example::suite();
    results.interrupted = true;
    let text = rendered(&results);
    let before_summary = text.split("Shakedown 0.1.0 ran").next().unwrap();
    assert!(
        before_summary.contains("> **INTERRUPTED.**"),
        "{before_summary}"
    );
    assert!(before_summary.contains(
        "> **HARNESS ERROR** in cutover_chaos_network_partition_new_node: n3: agent channel closed"
    ));
}

#[test]
fn only_the_first_twenty_anomalies_are_listed_and_all_are_accounted_for() {
    let results = example::suite();
    let text = rendered(&results);
    let section = text
        .split("\n## 11. ")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let listed = section
        .lines()
        .filter(|line| line.contains("put, version 4, at"))
        .count();
    assert_eq!(listed, 20);
    assert!(section.contains("10 more, listed in `results.json`; 12 beyond the checker's limit"));
}

#[test]
fn a_span_that_ends_before_it_starts_does_not_cost_the_report() {
    let mut results = example::suite();
    results.scenarios[0].faults[0].end_ns = 0;
    results.scenarios[0].phases[0].end_ns = 0;
    assert!(rendered(&results).contains("| reset-new | reset | installed | 2.000 s | 0 s |"));
}
