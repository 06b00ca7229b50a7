//! What is accepted of these faults, and what is refused.

use crate::scenario::{Catalogue, Scenario};

/// A scenario with this fault; what is wrong with it, if anything.
fn problem(fault: &str) -> Option<String> {
    let text = format!(
        r#"
        name = "test"
        description = "test"
        system = "miroir"
        configuration = "test"
        expectation = "test"
        roles = [{{ role = "router", nodes = 1, disk_mib = 16 }}, {{ role = "store", nodes = 1 }}, {{ role = "joining", nodes = 1, disk_mib = 16, disk_layer = true }}]
        [[fault]]
        name = "f"
        when = {{ at = "0s" }}
        for = "1s"
        {fault}
        [[load]]
        name = "writes"
        when = {{ at = "0s" }}
        count = 1
        mix = {{ insert = 1 }}
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
fn every_form_of_every_kind_is_accepted() {
    for fault in [
        r#"pause = { nodes = "store", service = "node", by = "freezer" }"#,
        r#"pause = { nodes = "store", service = "node", by = "threads", share = 0.2, hold = "10ms" }"#,
        r#"crash_loop = { nodes = "store", service = "node" }"#,
        r#"cpu = { nodes = "store", service = "node", quota_percent = 20 }"#,
        r#"cpu = { nodes = "store", burn = 2 }"#,
        r#"memory = { nodes = "store", service = "node", more_mib = 64 }"#,
        r#"memory = { nodes = "store", hold_mib = 64 }"#,
        r#"limit = { nodes = "store", service = "node", more_files = 0 }"#,
        r#"limit = { nodes = "store", service = "node", more_tasks = 0 }"#,
        r#"corrupt = { nodes = "store", service = "node", files = ".*", flip_bits = 1 }"#,
        r#"corrupt = { nodes = "store", service = "node", files = ".*", restore = true, from = 4096, length = 4096 }"#,
        r#"inodes_full = { nodes = "joining" }"#,
        r#"io = { nodes = "joining", read_only = true }"#,
        r#"io = { nodes = "joining", operations = ["sync"], fail = 0.5, latency = "20ms" }"#,
        r#"io = { nodes = "joining", torn = 0.1, bytes_per_second = 1048576 }"#,
        r#"host_clock = { nodes = "store", offset = "-1h" }"#,
        r#"host_clock = { nodes = "store", rate = 1.09 }"#,
        r#"host_clock = { nodes = "store", rate = 0.9999 }"#,
        r#"clock = { nodes = "store", service = "node", rate = 1.01 }"#,
        r#"clock = { nodes = "store", service = "node", offset = "-5s", strobe = "200ms" }"#,
        r#"clock = { nodes = "store", service = "node", freeze = true }"#,
    ] {
        assert_eq!(problem(fault), None, "{fault}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_expected() {
    for (fault, expected) in [
        (
            r#"pause = { nodes = "store", service = "node", share = 0.2 }"#,
            "only with `by",
        ),
        (
            r#"pause = { nodes = "store", service = "node", by = "threads", share = 2.0 }"#,
            "`share` from 0.01 to 1",
        ),
        (
            r#"crash_loop = { nodes = "store", service = "node", up = "0s" }"#,
            "`up` from 1 to",
        ),
        (
            r#"crash_loop = { nodes = "store", service = "nobody" }"#,
            "no such service",
        ),
        (
            r#"cpu = { nodes = "store", quota_percent = 20 }"#,
            "either `service` and `quota_percent`",
        ),
        (
            r#"cpu = { nodes = "store", burn = 0 }"#,
            "`burn` from 1 to 1024",
        ),
        (r#"memory = { nodes = "store" }"#, "or `hold_mib`"),
        (
            r#"limit = { nodes = "store", service = "node" }"#,
            "one of `more_files`, `more_tasks`",
        ),
        (r#"inodes_full = { nodes = "store" }"#, "add `disk_mib"),
        (
            r#"corrupt = { nodes = "store", service = "node", files = "(", flip_bits = 1 }"#,
            "regular expression",
        ),
        (
            r#"corrupt = { nodes = "store", service = "node", files = ".*" }"#,
            "exactly one of `flip_bits`",
        ),
        (
            r#"host_clock = { nodes = "store", offset = "1s" }"#,
            "`offset` from 2000 to",
        ),
        (
            r#"host_clock = { nodes = "store", rate = 1.2 }"#,
            "`rate` from 100 to 90000 millionths",
        ),
        (
            r#"host_clock = { nodes = "store", rate = nan }"#,
            "`rate` from 100 to",
        ),
        (
            r#"host_clock = { nodes = "store", offset = "1h", rate = 1.01 }"#,
            "exactly one of `offset`, `rate`",
        ),
        (
            r#"clock = { nodes = "store", service = "node" }"#,
            "exactly one of `offset`",
        ),
        (
            r#"clock = { nodes = "store", service = "node", rate = 1.0 }"#,
            "other than 1",
        ),
        (
            r#"clock = { nodes = "store", service = "node", offset = "11y" }"#,
            "up to ten years",
        ),
        (
            r#"clock = { nodes = "store", service = "node", freeze = true, strobe = "1s" }"#,
            "only with `offset`",
        ),
    ] {
        let error = problem(fault).unwrap_or_else(|| panic!("accepted: {fault}"));
        assert!(error.contains(expected), "{fault}: {error}");
    }
}
