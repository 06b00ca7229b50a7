//! What the guides say of scenario and system files: snippets hold, and every key is documented, no more and no less.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks should stop"
)]

mod docs;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use shakedown::scenario::{Catalogue, Scenario};
use shakedown::system::System;
use shakedown_workloads::documents::Mix;

use docs::{documented_keys, fenced, pages, read};

/// The keys a table may have, from the refusal of one that it does not have. `place` is TOML up to that key.
fn accepted<T: DeserializeOwned>(place: &str) -> BTreeSet<String> {
    let text = format!("{place}\nno_such_key = 1\n");
    let error = match toml::from_str::<T>(&text) {
        Ok(_) => panic!("`no_such_key` is accepted in\n{text}"),
        Err(error) => error.message().to_owned(),
    };
    let (refused, expected) = error
        .split_once(", expected ")
        .unwrap_or_else(|| panic!("{error}"));
    assert!(refused.contains("unknown field `no_such_key`"), "{error}");
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn assert_documented<T: DeserializeOwned>(page: &str, section: &str, place: &str) {
    assert_eq!(
        documented_keys(&read(page), section),
        accepted::<T>(place),
        "left: documented in {page} under `keys: {section}`; right: accepted"
    );
}

#[test]
fn every_scenario_in_the_docs_parses_and_validates() {
    let systems = Catalogue::embedded().unwrap().systems;
    let mut found = 0;
    for page in pages() {
        for block in fenced(&read(&page), "toml scenario") {
            found += 1;
            if let Err(error) = Scenario::parse(&page, &block, &systems) {
                panic!("{error}");
            }
        }
    }
    assert!(
        found >= 2,
        "the guide has scenarios to check, {found} found"
    );
}

#[test]
fn every_key_of_a_scenario_file_is_documented_and_no_other() {
    let fault = "[[fault]]\nname = 'x'\nwhen = { at = '0s' }\n";
    for (section, place) in [
        ("scenario", String::new()),
        ("claim", "[claim]".to_owned()),
        ("role", "[[roles]]".to_owned()),
        ("workload", "[workload]\nkind = 'set'".to_owned()),
        ("limits", "[limits]".to_owned()),
        ("load", "[[load]]".to_owned()),
        ("fault", "[[fault]]".to_owned()),
        ("partition", format!("{fault}[fault.partition]")),
        ("split", format!("{fault}[fault.split]")),
        ("kill", format!("{fault}[fault.kill]")),
        ("pause", format!("{fault}[fault.pause]")),
        ("reset", format!("{fault}[fault.reset]")),
        ("delay", format!("{fault}[fault.delay]")),
        ("shape", format!("{fault}[fault.shape]")),
        ("block", format!("{fault}[fault.block]")),
        ("stream", format!("{fault}[fault.stream]")),
        ("dns", format!("{fault}[fault.dns]")),
        ("clock", format!("{fault}[fault.clock]")),
        ("power_loss", format!("{fault}[fault.power_loss]")),
        ("disk_full", format!("{fault}[fault.disk_full]")),
        ("crash_loop", format!("{fault}[fault.crash_loop]")),
        ("cpu", format!("{fault}[fault.cpu]")),
        ("memory", format!("{fault}[fault.memory]")),
        ("limit", format!("{fault}[fault.limit]")),
        ("inodes_full", format!("{fault}[fault.inodes_full]")),
        ("io", format!("{fault}[fault.io]")),
        ("corrupt", format!("{fault}[fault.corrupt]")),
        ("host_clock", format!("{fault}[fault.host_clock]")),
        ("operation", format!("{fault}[fault.operation]")),
        ("storm", "[[storm]]".to_owned()),
        ("storm_fault", "[[storm]]\n[[storm.fault]]".to_owned()),
        ("action", "[[action]]".to_owned()),
        ("checkpoint", "[[checkpoint]]".to_owned()),
        ("expect", "[expect]".to_owned()),
        ("trigger", "[[load]]\n[load.when]".to_owned()),
    ] {
        assert_documented::<Scenario>("docs/writing_a_scenario.md", section, &place);
    }
    assert_documented::<Mix>("docs/writing_a_scenario.md", "mix", "");
}

#[test]
fn every_fault_that_a_scenario_can_have_is_in_the_catalogue_and_has_a_section_and_no_other() {
    let mut kinds = accepted::<Scenario>("[[fault]]\nname = 'x'\nwhen = { at = '0s' }");
    for key in ["name", "when", "until", "for"] {
        assert!(kinds.remove(key), "{key}");
    }
    let page = read("docs/faults.md");
    assert_eq!(
        documented_keys(&page, "catalogue"),
        kinds,
        "left: in the catalogue of docs/faults.md; right: accepted"
    );
    for kind in kinds {
        assert!(
            page.contains(&format!("\n## {kind}\n")),
            "no section {kind}"
        );
    }
}

#[test]
fn every_key_of_a_system_file_is_documented_and_no_other() {
    for (section, place) in [
        ("system", ""),
        ("packages", "[packages]"),
        ("service", "[[service]]"),
        ("event", "[[event]]"),
        ("log", "[[log]]"),
        ("client", "[client]\nprotocol = 'documents-http'"),
        ("client_etcd", "[client]\nprotocol = 'etcd'"),
        ("client_redis", "[client]\nprotocol = 'redis'"),
        (
            "client_sentinel",
            "[client]\nprotocol = 'redis'\n[client.sentinel]",
        ),
        ("client_exec", "[client]\nprotocol = 'exec'"),
        ("action", "[action.x]"),
        ("upgrade", "[action.x.upgrade]"),
        ("copy", "[action.x.copy]"),
        ("command", "[healthy]"),
        ("gauge", "[[gauge]]"),
        ("predict", "[predict]"),
        ("groups", "[groups]"),
        ("write_pause", "[write_pause]"),
        ("primary", "[primary]"),
        ("report", "[report]"),
        ("recommendation", "[[report.recommendation]]"),
        ("torture", "[torture]"),
    ] {
        assert_documented::<System>("docs/adding_a_system.md", section, place);
    }
}

#[test]
fn the_malformed_scenario_in_the_guide_is_refused_in_the_words_of_the_guide() {
    let guide = read("docs/writing_a_scenario.md");
    let systems = Catalogue::embedded().unwrap().systems;
    let good = fenced(&guide, "toml scenario").remove(0);
    let bad = good.replacen("count = 500", "cuont = 500", 1);
    let refusal = Scenario::parse("bad.toml", &bad, &systems)
        .unwrap_err()
        .to_string();
    let (_, message) = refusal.lines().next().unwrap().split_once(": ").unwrap();
    assert!(
        guide.contains(message),
        "the guide does not show: {message}"
    );
}
