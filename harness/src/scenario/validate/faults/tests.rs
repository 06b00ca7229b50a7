//! Faults on the network: what is accepted of them, and what is refused.

use crate::scenario::{Catalogue, Scenario};

/// What is wrong with a fault, if anything.
fn problem(fault: &str) -> Option<String> {
    let text = format!(
        r#"
        name = "test"
        description = "test"
        system = "miroir"
        configuration = "test"
        expectation = "test"
        roles = [{{ role = "router", nodes = 1 }}, {{ role = "store", nodes = 3 }}]
        [[load]]
        name = "writes"
        when = {{ at = "0s" }}
        count = 1
        mix = {{ insert = 1 }}
        [[fault]]
        name = "bad"
        when = {{ at = "0s" }}
        {fault}
        [expect]
        loss = "none"
        writes_at_least = 1
        "#
    );
    let systems = Catalogue::embedded().unwrap().systems;
    let parsed = Scenario::parse("my.toml", &text, &systems);
    parsed.err().map(|error| error.to_string())
}

#[test]
fn faults_on_the_network_that_make_sense_are_accepted() {
    for fault in [
        r#"shape = { from = "clients", to = "router", loss_percent = 2 }"#,
        r#"shape = { from = ["router", "clients"], to = "store", delay = "5ms" }"#,
        r#"shape = { from = "router", to = "store", both = true, bytes_per_second = 1000 }"#,
        r#"partition = { from = "clients", to = "router" }"#,
        r#"block = { nodes = "store", port = 7700, mode = "refuse" }"#,
        r#"block = { nodes = "store", port = 7700, from = "clients", mode = "drop_new" }"#,
        r#"stream = { nodes = "store", port = 7700, hang = true }"#,
        r#"stream = { nodes = "store", port = 7700, cut_after = 10, cut_of = "requests" }"#,
        r#"stream = { nodes = "store", port = 7700, slice = 10, pause = "5ms" }"#,
        r#"stream = { nodes = "store", port = 7700, close_late = "1s" }"#,
        r#"dns = { nodes = "store", mode = "servfail" }"#,
        r#"split = { nodes = "store", shape = "isolate", one = "store[1]" }"#,
        r#"split = { nodes = ["router", "store"], shape = "majorities_ring" }"#,
        r#"split = { pairs = [["router", "store[0]"], ["store[1]", "store[2]"]] }"#,
    ] {
        assert_eq!(problem(fault), None, "{fault}");
    }
}

#[test]
fn faults_on_the_network_that_make_no_sense_are_refused_with_what_was_expected() {
    for (fault, expected) in [
        (
            r#"shape = { from = "router", to = "clients", loss_percent = 2 }"#,
            "can be named only where packets come from",
        ),
        (
            r#"shape = { from = "clients", to = "store", both = true, loss_percent = 2 }"#,
            "`both` can't be had with `clients`",
        ),
        (
            r#"kill = { nodes = "clients", service = "node" }"#,
            "can be named only where packets come from",
        ),
        (
            r#"shape = { from = "router", to = "store" }"#,
            "no effect is asked for",
        ),
        (
            r#"shape = { from = "router", to = "store", loss_percent = 200 }"#,
            "loss of 200 % is not within 0 to 100",
        ),
        (
            r#"shape = { from = ["clients", "nobody"], to = "store", loss_percent = 1 }"#,
            "no role `nobody`",
        ),
        (
            r#"block = { nodes = "store", port = 0, mode = "drop" }"#,
            "expected a port of 1 to 65535",
        ),
        (
            r#"stream = { nodes = "store", port = 7700 }"#,
            "expected exactly one of `hang`",
        ),
        (
            r#"stream = { nodes = "store", port = 7700, hang = true, slice = 1 }"#,
            "expected exactly one of `hang`",
        ),
        (
            r#"stream = { nodes = "store", port = 7700, hang = true, pause = "1s" }"#,
            "`pause` belongs to `slice`",
        ),
        (
            r#"stream = { nodes = "store", port = 7700, slice = 0 }"#,
            "pieces of 0 bytes never arrive",
        ),
        (
            r#"split = { nodes = "store", shape = "majorities_ring" }"#,
            "needs 4 nodes or more, 3 given",
        ),
        (
            r#"split = { nodes = "store", shape = "isolate" }"#,
            "expected `one`",
        ),
        (
            r#"split = { nodes = "store", shape = "isolate", one = "router" }"#,
            "expected `one` to be one of `nodes`",
        ),
        (
            r#"split = { nodes = "store", shape = "bridge", one = "store[0]" }"#,
            "`one` belongs to",
        ),
        (
            r#"split = { nodes = "store", pairs = [["router", "store"]] }"#,
            "expected `nodes` with `shape`, or `pairs`",
        ),
        (
            r#"split = { pairs = [["store[0]", "store"]] }"#,
            "on both sides of a pair",
        ),
        (
            r#"dns = { nodes = "store", mode = "lie" }"#,
            "unknown variant `lie`",
        ),
    ] {
        let found = problem(fault).unwrap_or_else(|| panic!("accepted: {fault}"));
        assert!(found.contains(expected), "{fault}: {found}");
    }
}
