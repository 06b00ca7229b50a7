//! Where a fault is refused, and what is shown with it.

use crate::scenario::{Catalogue, FaultParameters, Scenario};

const HEAD: &str = r#"name = "test"
description = "test"
system = "miroir"
configuration = "test"
expectation = "test"
roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 3 }]
load = [{ name = "writes", when = { at = "0s" }, for = "60s", mix = { insert = 1 } }]
expect = { loss = "none", writes_at_least = 1 }
"#;

/// What a person sees who wrote this below a scenario that is otherwise fine.
fn refused(text: &str) -> String {
    let systems = Catalogue::embedded().unwrap().systems;
    let parsed = Scenario::parse("my.toml", &format!("{HEAD}{text}"), &systems);
    parsed.unwrap_err().to_string()
}

const FAULT: &str = "[[fault]]\nname = \"x\"\nwhen = { at = \"0s\" }\n";
const STORM: &str =
    "[[storm]]\nname = \"x\"\nwhen = { at = \"0s\" }\nfor = \"9s\"\n[[storm.fault]]\nweight = 2\n";

#[test]
fn a_fault_of_no_kind_an_unknown_one_or_two_is_refused_where_it_stands() {
    let kill = "kill = { nodes = \"store\", service = \"node\" }\n";
    let both = format!("{kill}dns = {{ nodes = \"store\", mode = \"drop\" }}\n");
    let messages = [
        refused(FAULT),
        refused(&format!("{FAULT}{both}")),
        refused(&format!("{FAULT}klil = 1\n")),
        refused(STORM),
        refused(&format!("{STORM}{both}")),
        refused(&format!("{STORM}klil = 1\n")),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn what_is_wrong_within_a_faults_parameters_is_shown_where_it_stands() {
    let messages = [
        refused(&format!(
            "{FAULT}kill = {{ nodes = \"store\", srevice = \"node\" }}\n"
        )),
        refused(&format!(
            "{FAULT}[fault.kill]\nnodes = \"store\"\nservice = \"nod\"\n"
        )),
        refused(&format!(
            "{FAULT}[fault.reset]\nnodes = \"store\"\nport = 1\nprobability = 2\n"
        )),
        refused(&format!(
            "{STORM}kill = {{ nodes = \"store\", service = 1 }}\n"
        )),
        refused(&format!("{STORM}kill = {{ nodes = \"store\" }}\n")),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_fault_without_a_name_or_a_time_is_refused() {
    let kill = "kill = { nodes = \"store\", service = \"node\" }\n";
    let error = refused(&format!("[[fault]]\nname = \"x\"\n{kill}"));
    assert!(error.contains("missing field `when`"), "{error}");
    let error = refused(&format!("[[fault]]\nwhen = {{ at = \"0s\" }}\n{kill}"));
    assert!(error.contains("missing field `name`"), "{error}");
}

#[test]
fn every_kind_is_read_as_itself() {
    for kind in FaultParameters::KINDS {
        let error = refused(&format!("{FAULT}{kind} = {{ no_such_key = 1 }}\n"));
        assert!(
            error.contains("unknown field `no_such_key`"),
            "{kind}: {error}"
        );
    }
}
