//! What a partition cuts: every version of IP, in the directions asked for, and never the connection to the harness, or it
//! is undone.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use local_nodes::cluster;
use run::{fault_tables, in_words, on_node, run, runs, scenario, scenario_file, scratch};
use shakedown_reports::results::{FaultResult, Verdict};

fn cut(fault: &str) -> String {
    format!(
        r#"
name = "cut"
description = "One fault while clients write."
system = "miroir"
configuration = "three copies"
expectation = "no acknowledged write is lost"
roles = [{{ role = "router", nodes = 1 }}, {{ role = "store", nodes = 3 }}]
settings = {{ replication_factor = 3, node_timeout_ms = 1000 }}
load = [{{ name = "writes", when = {{ at = "0s" }}, for = "9s", rate = 50, processes = 16, mix = {{ insert = 1 }} }}]
expect = {{ loss = "none", writes_at_least = 50 }}
[[fault]]
name = "cut"
when = {{ at = "1s" }}
for = "1s"
partition = {fault}
"#
    )
}

fn seen<'a>(fault: &'a FaultResult, what: &str) -> &'a str {
    let found = fault.evidence.iter().find(|(_, w, _)| w == what);
    let found = found.unwrap_or_else(|| panic!("no `{what}` in {:#?}", fault.evidence));
    &found.2
}

#[test]
fn a_one_way_partition_cuts_both_versions_of_ip_in_its_direction_alone() {
    let files = scratch();
    let text = cut(r#"{ from = "router", to = "store[0]", one_way = true }"#);
    let file = scenario_file(&files, "cut.toml", &text);
    let out = runs(&files);
    let ended = run(&["run", &file, "--out", &out]);
    let results = ended.results();
    let found = scenario(&results, "cut");
    let fault = &found.faults[0];
    assert_eq!(fault.outcome, "installed", "{:#?}", fault.evidence);
    for how in ["", " by the other IP version"] {
        let in_force = |way: &str| seen(fault, &format!("probe {way}{how} while in force"));
        assert_eq!(in_force("n1 -> n2"), "0 of 5 packets arrived");
        assert_eq!(in_force("n2 -> n1"), "5 of 5 packets arrived");
        let after = seen(fault, &format!("probe n1 -> n2{how} after the end"));
        assert_eq!(after, "5 of 5 packets arrived");
    }
    let dropped = |(_, what, seen): &&(String, String, String)| {
        what.starts_with("packets counted by rule `dropped fd") && seen != "0"
    };
    assert!(fault.evidence.iter().any(|e| dropped(&e)), "{fault:#?}");
    assert!(seen(fault, "management connection after install").starts_with("answers after"));
    assert_eq!(found.verdict, Verdict::Valid, "{}", in_words(found));
}

/// An `nft` that spoils the rules which spare the connection to the harness: they let another port pass.
const SPOILED: &str = r#"mv /usr/sbin/nft /usr/sbin/nft.real && cat > /usr/sbin/nft <<'END' && chmod 755 /usr/sbin/nft
#!/bin/sh
case "$*" in
*-f*) sed 's/port 22 counter return/port 9 counter return/' | /usr/sbin/nft.real "$@" ;;
*) exec /usr/sbin/nft.real "$@" ;;
esac
END"#;

#[test]
fn a_fault_that_cuts_off_the_harness_is_undone_by_the_agent_and_the_run_is_unknown() {
    let nodes = cluster(4);
    let name = nodes.info().name.clone();
    on_node(&name, "n2", SPOILED).expect(0);
    let files = scratch();
    let text = cut(r#"{ from = ["clients", "router"], to = "store[0]" }"#);
    let text = text.replace("for = \"1s\"", "for = \"6s\"");
    let file = scenario_file(&files, "cut.toml", &text);
    let out = runs(&files);
    let lease = "20000";
    let ended = run(&[
        "run",
        &file,
        "--cluster",
        &name,
        "--lease-ms",
        lease,
        "--out",
        &out,
    ]);
    let results = ended.results();
    let found = scenario(&results, "cut");
    let fault = &found.faults[0];
    assert_ne!(fault.outcome, "installed", "{:#?}", fault.evidence);
    let said = fault
        .evidence
        .iter()
        .map(|(node, what, seen)| format!("{node} {what}: {seen}"));
    let said: Vec<String> = said.filter(|line| line.starts_with("n2 ")).collect();
    assert!(
        said.iter()
            .any(|line| line.contains("did not confirm in time")),
        "{said:#?}"
    );
    assert_eq!(found.verdict, Verdict::Unknown, "{}", in_words(found));
    assert_eq!(
        found.harness_error, None,
        "the lease of 20 s did not run out"
    );
    assert_eq!(fault_tables(&name, "n2"), [""; 0]);
}
