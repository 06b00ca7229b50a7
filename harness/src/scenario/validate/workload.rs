//! What a workload needs of loads and expectations, and whether the system's clients can do it.

use shakedown_checker::{catalogue, isolation};
use shakedown_workloads::objects::Spec;
use toml::Spanned;

use super::{Problem, list};
use crate::scenario::Scenario;
use crate::system::{ClientSpec, System};

impl Scenario {
    pub(super) fn validate_workload(&self, system: &System) -> Result<(), Problem> {
        match &self.workload {
            None => self.validate_documents(system),
            Some(workload) => self.validate_objects(workload, system),
        }
    }

    fn validate_documents(&self, system: &System) -> Result<(), Problem> {
        let ClientSpec::DocumentsHttp(_) = system.client else {
            let message = format!(
                "clients of {} speak {} and write no documents; expected a [workload]",
                system.name,
                system.client.protocol()
            );
            return Err(Problem::at(&self.system, message));
        };
        for load in &self.load {
            let place = load.mix.as_ref().map_or(load.name.span(), Spanned::span);
            if let Err(message) = load.documents_mix() {
                return Err(Problem {
                    span: place,
                    message,
                });
            }
        }
        let expect = &self.expect;
        if expect.loss.is_none() || expect.writes_at_least.is_none() {
            let message = "expected `loss` and `writes_at_least` in [expect]";
            return Err(Problem::at(&self.name, message));
        }
        if let Some(least) = &expect.operations_at_least {
            let message = "expected `writes_at_least`: this is for a [workload] on objects";
            return Err(Problem::at(least, message));
        }
        if let Some(model) = expect.models.keys().next() {
            let message = "expected `loss`: models judge a [workload] on objects";
            return Err(Problem::at(model, message));
        }
        Ok(())
    }

    fn validate_objects(&self, workload: &Spanned<Spec>, system: &System) -> Result<(), Problem> {
        let spec = workload.get_ref();
        if let ClientSpec::DocumentsHttp(_) = system.client {
            let kind = spec.kind();
            let message = format!(
                "clients of {} write documents and know no {kind}; expected no [workload]",
                system.name
            );
            return Err(Problem::at(workload, message));
        }
        for load in &self.load {
            if let Some(keys) = &load.keys {
                return Err(Problem::at(keys, "groups of keys are for documents"));
            }
            if let Some(batch) = &load.batch {
                return Err(Problem::at(batch, "batches are for documents"));
            }
            if let Err(error) = load.objects().check(spec) {
                let span = load.mix.as_ref().map_or(load.name.span(), Spanned::span);
                let message = error.to_string();
                return Err(Problem { span, message });
            }
        }
        if let Some(checkpoint) = self.checkpoint.first() {
            let message = "checkpoints are for documents: objects are read while there is load, and at the end";
            return Err(Problem::at(&checkpoint.name, message));
        }
        self.validate_objects_expected(spec)
    }

    fn validate_objects_expected(&self, spec: &Spec) -> Result<(), Problem> {
        let expect = &self.expect;
        let of_documents = "this is for documents; objects are judged by models";
        if let Some(loss) = &expect.loss {
            return Err(Problem::at(loss, of_documents));
        }
        if let Some(least) = &expect.writes_at_least {
            return Err(Problem::at(least, of_documents));
        }
        if !expect.allow.is_empty() || expect.endangered_at_least > 0 {
            let message = "[expect]: `allow` and `endangered_at_least` are for documents";
            return Err(Problem::at(&self.name, message));
        }
        if expect.operations_at_least.is_none() {
            let message = "expected `operations_at_least` in [expect]";
            return Err(Problem::at(&self.name, message));
        }
        let fitting = fitting(spec.kind());
        for model in expect.models.keys() {
            let known = catalogue::find(model.get_ref());
            if !known.is_some_and(|known| fitting.contains(&known.name)) {
                let message = format!(
                    "no model of a {} workload; expected one of {}",
                    spec.kind(),
                    list(&fitting)
                );
                return Err(Problem::at(model, message));
            }
        }
        Ok(())
    }
}

/// Models that can judge the histories of a kind of workload.
fn fitting(kind: &str) -> Vec<&'static str> {
    let sessions = [
        "monotonic-reads",
        "read-your-writes",
        "monotonic-writes",
        "writes-follow-reads",
    ];
    let mut models = match kind {
        "append" => (isolation::Model::ALL.iter())
            .map(|model| model.name())
            .collect(),
        "set" => [
            &["final-set", "set-full", "set-full-strict", "set"][..],
            &sessions,
        ]
        .concat(),
        "counter" => vec!["counter-bounds", "counter"],
        "bank" => vec!["bank"],
        _ => vec!["register", "cas-register", "map"],
    };
    models.push("availability");
    models
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Catalogue, Expectation, Scenario};
    use crate::system::System;

    const SYSTEM: &str = r#"
        name = "store"
        description = "any"
        [[service]]
        name = "server"
        roles = ["server"]
        argv = ["true"]
        ready = "http://{{ node.address }}:1/"
        ready_within = "1s"
        [client]
        protocol = "exec"
        role = "server"
        argv = ["cat"]
        timeout = "1s"
    "#;

    const SCENARIO: &str = r#"name = "test"
description = "test"
system = "store"
configuration = "test"
expectation = "test"
roles = [{ role = "server", nodes = 1 }]
[workload]
kind = "register"
[[load]]
name = "load"
when = { at = "0s" }
for = "1s"
mix = { read = 1, write = 1 }
[expect]
operations_at_least = 1
[expect.models]
register = "violated"
"#;

    fn parsed(text: &str) -> Result<Scenario, String> {
        let mut systems = Catalogue::embedded().unwrap().systems;
        systems.push(System::parse("store.toml", SYSTEM).unwrap());
        Scenario::parse("my.toml", text, &systems).map_err(|error| error.to_string())
    }

    #[test]
    fn a_workload_on_objects_with_its_models_is_accepted() {
        let scenario = parsed(SCENARIO).unwrap();
        assert_eq!(scenario.workload.unwrap().get_ref().kind(), "register");
        let models: Vec<_> = scenario.expect.models.into_iter().collect();
        assert_eq!(models[0].0.get_ref(), "register");
        assert_eq!(models[0].1, Expectation::Violated);
    }

    #[test]
    fn what_does_not_fit_a_workload_is_refused_with_its_place() {
        for (from, to, expected) in [
            (
                "kind = \"register\"",
                "kind = \"registers\"",
                "my.toml:8:8: unknown variant `registers`",
            ),
            (
                "kind = \"register\"",
                "kind = \"register\"\naccounts = 3",
                "`accounts` is no setting",
            ),
            (
                "write = 1",
                "wirte = 1",
                "my.toml:13:7: mix: a register workload has no \"wirte\"",
            ),
            (
                "for = \"1s\"",
                "for = \"1s\"\nbatch = 2",
                "my.toml:13:9: batches are for documents",
            ),
            (
                "for = \"1s\"",
                "for = \"1s\"\nkeys = \"a\"",
                "my.toml:13:8: groups of keys are for documents",
            ),
            (
                "operations_at_least = 1",
                "",
                "expected `operations_at_least`",
            ),
            (
                "operations_at_least = 1",
                "loss = \"none\"",
                "my.toml:15:8: this is for documents",
            ),
            (
                "register = \"violated\"",
                "bank = \"violated\"",
                "my.toml:17:1: no model of a register workload; expected one of `register`",
            ),
            (
                "register = \"violated\"",
                "register = \"broken\"",
                "expected `holds` or `violated`",
            ),
            (
                "[expect]",
                "[[checkpoint]]\nname = \"c\"\nwhen = { after = \"load\" }\nloss = \"none\"\n[expect]",
                "checkpoints are for documents",
            ),
            (
                "[workload]\nkind = \"register\"\n",
                "",
                "my.toml:3:10: clients of store speak exec and write no documents",
            ),
        ] {
            assert!(SCENARIO.contains(from), "{from}");
            let error = parsed(&SCENARIO.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn a_workload_on_objects_needs_clients_that_can_do_it() {
        let documents = SCENARIO
            .replacen("\"store\"", "\"miroir\"", 1)
            .replacen("server", "router", 1);
        let error = parsed(&documents).unwrap_err();
        assert!(
            error.contains("clients of miroir write documents and know no register"),
            "{error}"
        );
    }
}
