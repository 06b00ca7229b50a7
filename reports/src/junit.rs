//! Results as JUnit XML: one test case per scenario, and per repetition of one.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::ReportError;
use crate::results::{ScenarioResults, SuiteResults, Verdict};

/// Renders the document. An invalid scenario is a failure; an unknown one, and one that a failure of the
/// harness cut short, is an error: neither passes.
///
/// # Errors
/// [`ReportError::Junit`] if serialising fails.
pub fn xml(results: &SuiteResults) -> Result<String, ReportError> {
    let mut suite = TestSuite::new(&results.suite);
    suite.add_property(("seed", results.seed.to_string().as_str()));
    suite.add_property(("command", results.command.as_str()));
    for scenario in &results.scenarios {
        suite.add_test_case(case(scenario));
    }
    let mut report = Report::new("shakedown");
    report.set_time(Duration::from_millis(results.duration_ms));
    report.add_test_suite(suite);
    report.to_string().map_err(ReportError::Junit)
}

fn case(scenario: &ScenarioResults) -> TestCase {
    let name = match scenario.repetition {
        Some(repetition) => format!("{} repetition {repetition}", scenario.name),
        None => scenario.name.clone(),
    };
    let mut case = TestCase::new(name, status(scenario));
    case.set_classname(format!("shakedown.{}", scenario.name));
    case.set_time(Duration::from_millis(scenario.duration_ms));
    let held = scenario.checks.iter();
    let lines: Vec<String> = held
        .map(|check| format!("{}: {}: {}", check.verdict, check.name, check.detail))
        .collect();
    case.set_system_out(lines.join("\n"));
    case
}

fn status(scenario: &ScenarioResults) -> TestCaseStatus {
    let kind = match scenario.verdict {
        Verdict::Invalid => NonSuccessKind::Failure,
        Verdict::Unknown => NonSuccessKind::Error,
        Verdict::Valid if scenario.harness_error.is_some() => NonSuccessKind::Error,
        Verdict::Valid => return TestCaseStatus::success(),
    };
    let mut status = TestCaseStatus::non_success(kind);
    let bad = scenario
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Valid);
    let mut reasons: Vec<String> = bad
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    reasons.extend(
        scenario
            .harness_error
            .iter()
            .map(|error| format!("harness error: {error}")),
    );
    status.set_type(scenario.verdict.word());
    status.set_message(reasons.join("; "));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_run_is_a_suite_of_cases() {
        insta::assert_snapshot!(xml(&example::suite()).unwrap());
    }

    #[test]
    fn each_repetition_is_a_case_of_its_own() {
        let mut results = example::suite();
        let mut again = results.scenarios[3].clone();
        again.repetition = Some(2);
        results.scenarios.push(again);
        let text = xml(&results).unwrap();
        assert!(text.contains("no_ae_no_delta repetition 1\""), "{text}");
        assert!(text.contains("no_ae_no_delta repetition 2\""), "{text}");
    }
}
