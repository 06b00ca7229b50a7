//! Operator actions: commands on nodes, services started, files copied from node to node.

use std::collections::BTreeMap;
use std::time::Duration;

use shakedown_nemesis::outcome::Outcome;
use shakedown_reports::results::{ActionResult, Span};

use super::command;
use super::deploy::DeployError;
use super::fleet::FleetError;
use super::scene::Scene;
use crate::control::{Status, quote};
use crate::scenario::{Names, Target, split_target};
use crate::system::{ActionSpec, Deed, NodeRef, TemplateContext};

/// Output of an action kept in the results, bytes.
const OUTPUT_KEPT: usize = 4096;
/// Output kept as evidence of a fault, bytes.
const SEEN_KEPT: usize = 512;

/// An action to be done, by an operator or as a fault.
pub(crate) struct Act<'a> {
    /// The name of the item it is done for.
    pub(crate) name: &'a str,
    /// The action, which the system has.
    pub(crate) run: &'a str,
    /// Where, instead of where the system file says.
    pub(crate) on: Option<&'a Names>,
    pub(crate) with: &'a BTreeMap<String, String>,
}

/// What an action came to on one node.
pub(crate) struct Acted {
    pub(crate) command: String,
    exit_status: i32,
    output: String,
    /// Exit status and output, for people.
    pub(crate) seen: String,
    /// Whether it happened: a command that fails has refused; of other things that fail it is not known how far they
    /// got.
    pub(crate) outcome: Outcome,
}

impl Acted {
    fn new(command: String, exit_status: i32, output: String, outcome: Outcome) -> Self {
        let mut said = output.trim().to_owned();
        said.truncate(said.floor_char_boundary(SEEN_KEPT));
        let seen = match (exit_status, said.as_str()) {
            (0, "") => "done".to_owned(),
            (0, said) => said.to_owned(),
            (status, said) => format!("exit status {status}: {said}"),
        };
        Acted {
            command,
            exit_status,
            output,
            seen,
            outcome,
        }
    }
}

impl Scene {
    /// Runs an operator action, on one node after the other if there are several; it ends with the first
    /// that fails.
    ///
    /// # Errors
    /// If a template cannot be filled in or a node not be reached; what a command says is no error.
    pub(crate) async fn act(&self, action: usize) -> Result<ActionResult, DeployError> {
        let item = &self.scenario.action[action];
        let act = Act {
            name: item.name.get_ref(),
            run: item.run.get_ref(),
            on: item.on.as_ref().map(|on| on.get_ref()),
            with: &item.with,
        };
        let start_ns = self.clock.now_ns();
        let mut done = Vec::new();
        self.carry_out(&act, &mut done).await?;
        let exit_status = done.last().map_or(0, |(_, acted)| acted.exit_status);
        let commands: Vec<String> = done.iter().map(|(_, a)| a.command.clone()).collect();
        let mut output: String = done.into_iter().map(|(_, acted)| acted.output).collect();
        let as_expected = match &item.fails_with {
            Some(expected) => exit_status != 0 && output.contains(expected),
            None => exit_status == 0,
        };
        output.truncate(output.floor_char_boundary(OUTPUT_KEPT));
        Ok(ActionResult {
            span: Span {
                name: item.name.get_ref().clone(),
                start_ns,
                end_ns: self.clock.now_ns(),
            },
            command: commands.join("; "),
            exit_status,
            output,
            as_expected,
        })
    }

    /// Does an action on one node after the other, up to the first on which it fails; `done` gets what it came to on
    /// each.
    ///
    /// # Errors
    /// If a template cannot be filled in or a node not be reached.
    pub(crate) async fn carry_out(
        &self,
        act: &Act<'_>,
        done: &mut Vec<(String, Acted)>,
    ) -> Result<(), DeployError> {
        let spec = &self.system.action[act.run];
        for node in self.places(act, spec)? {
            let acted = self.step(act, spec, &node).await?;
            let failed = acted.exit_status != 0;
            done.push((node.name, acted));
            if failed {
                break;
            }
        }
        Ok(())
    }

    /// The nodes an action works on, one after the other.
    fn places(&self, act: &Act<'_>, spec: &ActionSpec) -> Result<Vec<NodeRef>, DeployError> {
        if let Some(on) = act.on {
            return self.all_of(on);
        }
        let on = match deed(spec) {
            Deed::Run { on, .. } | Deed::Start { on, .. } => on,
            Deed::Restart { on, .. } => return self.all_of(&Names(vec![on.to_owned()])),
            Deed::Copy(copy) => &copy.from,
        };
        Ok(vec![self.deployment.node_at(on)?.clone()])
    }

    fn all_of(&self, targets: &Names) -> Result<Vec<NodeRef>, DeployError> {
        let mut all = Vec::new();
        for target in &targets.0 {
            match split_target(target) {
                (role, Target::All) => {
                    let nodes = self.deployment.context().nodes.get(role);
                    all.extend(nodes.into_iter().flatten().cloned());
                }
                (_, Target::One(_)) => all.push(self.deployment.node_at(target)?.clone()),
            }
        }
        Ok(all)
    }

    async fn step(
        &self,
        act: &Act<'_>,
        spec: &ActionSpec,
        node: &NodeRef,
    ) -> Result<Acted, DeployError> {
        let context = TemplateContext {
            with: act.with.clone(),
            node: Some(node.clone()),
            ..self.deployment.context().clone()
        };
        match deed(spec) {
            Deed::Run { argv, .. } => {
                let argv = context.fill_argv(argv)?;
                let (command, output) =
                    command::run_on(&self.fleet, node, &argv, spec.within.0).await?;
                let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.push_str(&String::from_utf8_lossy(&output.stderr));
                let (exit_status, outcome) = match output.status {
                    Status::Exited(0) => (0, Outcome::Installed),
                    Status::Exited(status) => (status, Outcome::Skipped),
                    // As a shell reports a command that a signal ended.
                    Status::Signalled(_) => (128, Outcome::Indeterminate),
                };
                Ok(Acted::new(command, exit_status, text, outcome))
            }
            Deed::Start { service, .. } => {
                let command = format!("start {service} on {}", node.name);
                let started = (self.deployment).start_service(&self.fleet, service, &node.name);
                let started = async { started.await.map(|()| (true, String::new())) };
                in_time(spec.within.0, command, started).await
            }
            Deed::Restart {
                service, upgrade, ..
            } => {
                let to = upgrade.map(|upgrade| format!(" with {}", upgrade.to));
                let command = format!(
                    "restart {service} on {}{}",
                    node.name,
                    to.unwrap_or_default()
                );
                let place = (service, node.name.as_str());
                let restarted = async {
                    let restarted = (self.deployment.restart(&self.fleet, place, upgrade)).await?;
                    Ok((restarted.happened(), restarted.words()))
                };
                in_time(spec.within.0, command, restarted).await
            }
            Deed::Copy(copy) => {
                let to = self.deployment.node_at(&copy.to)?;
                let from_path = context.fill(&copy.path)?;
                let to_path = match &copy.to_path {
                    Some(path) => context.fill(path)?,
                    None => from_path.clone(),
                };
                let command = format!("copy {}:{from_path} to {}:{to_path}", node.name, to.name);
                let copied = self.copy(act.name, (node, &from_path), (to, &to_path));
                let copied = async { copied.await.map(|()| (true, String::new())) };
                in_time(spec.within.0, command, copied).await
            }
        }
    }

    /// Copies a file or directory by way of the harness.
    async fn copy(
        &self,
        action: &str,
        (from, from_path): (&NodeRef, &str),
        (to, to_path): (&NodeRef, &str),
    ) -> Result<(), DeployError> {
        let failed = |reason: String| DeployError::Copy {
            from: format!("{}:{from_path}", from.name),
            to: format!("{}:{to_path}", to.name),
            reason,
        };
        let packed_name = format!("{action}.tar");
        let local = self.dir.join(&packed_name);
        let passing_path = format!("{}/{packed_name}", self.deployment.root());
        let passing = quote(&passing_path);
        let (source, target) = (self.fleet.node(&from.name)?, self.fleet.node(&to.name)?);
        let (path, name) = from_path.rsplit_once('/').unwrap_or((".", from_path));
        let pack = format!(
            "tar -cf {passing} -C {} -- {}",
            quote(if path.is_empty() { "/" } else { path }),
            quote(name)
        );
        let packed = source.exec(&pack).await?;
        if !packed.success() {
            return Err(failed(packed.error_text()));
        }
        source.download(&passing_path, &local).await?;
        let content = std::fs::read(&local).map_err(|e| failed(e.to_string()))?;
        // It was on its way only; a file left here would be harmless.
        let _ = std::fs::remove_file(&local);
        target.upload(content, passing_path).await?;
        let (to_dir, to_name) = to_path.rsplit_once('/').unwrap_or((".", to_path));
        let (to_dir, to_path) = (quote(to_dir), quote(to_path));
        // Unpacked beside its place and then moved there, since it may get another name.
        let unpack = format!(
            "mkdir -p {to_dir} && rm -rf {to_path} && new=$(mktemp -d -p {to_dir}) && tar -xf {passing} -C \"$new\" \
             && mv \"$new\"/{} {to_dir}/{} && rmdir \"$new\" && rm {passing}",
            quote(name),
            quote(to_name),
        );
        let unpacked = target.exec(&unpack).await?;
        if !unpacked.success() {
            return Err(failed(unpacked.error_text()));
        }
        source.exec(&format!("rm {passing}")).await?;
        Ok(())
    }
}

fn deed(spec: &ActionSpec) -> Deed<'_> {
    spec.deed()
        .expect("validation saw to it that an action has one form")
}

/// Waits for work that has no exit status of its own: it says whether anything happened, and what was seen; what goes
/// wrong is its output.
async fn in_time(
    within: Duration,
    command: String,
    work: impl Future<Output = Result<(bool, String), DeployError>>,
) -> Result<Acted, DeployError> {
    let (exit_status, output, outcome) = match tokio::time::timeout(within, work).await {
        Ok(Ok((true, seen))) => (0, seen, Outcome::Installed),
        Ok(Ok((false, seen))) => (1, seen, Outcome::Skipped),
        Ok(Err(error)) => (1, error.to_string(), Outcome::Indeterminate),
        Err(_) => {
            let late = format!("not done within {within:?}");
            (1, late, Outcome::Indeterminate)
        }
    };
    Ok(Acted::new(command, exit_status, output, outcome))
}

impl super::deploy::Deployment {
    /// The node a system file means by `role` or `role[1]`; a role alone is its first node.
    pub(crate) fn node_at(&self, target: &str) -> Result<&NodeRef, FleetError> {
        let (role, which) = split_target(target);
        let index = match which {
            Target::All => 0,
            Target::One(index) => index,
        };
        let nodes = self.context().nodes.get(role);
        nodes
            .and_then(|nodes| nodes.get(index))
            .ok_or_else(|| FleetError::NoSuchNode(format!("(role {target})")))
    }
}
