//! Operator actions: commands on nodes, services started, files copied from node to node.

use std::time::Duration;

use shakedown_reports::results::{ActionResult, Span};

use super::command;
use super::deploy::DeployError;
use super::fleet::FleetError;
use super::scene::Scene;
use crate::control::{Status, quote};
use crate::scenario::{ActionItem, Names, Target, split_target};
use crate::system::{ActionSpec, Deed, NodeRef, TemplateContext};

/// Output of an action kept in the results, bytes.
const OUTPUT_KEPT: usize = 4096;

/// What one step of an action came to.
struct Acted {
    command: String,
    exit_status: i32,
    output: String,
}

impl Scene {
    /// Runs an operator action, on one node after the other if there are several; it ends with the first
    /// that fails.
    ///
    /// # Errors
    /// If a template cannot be filled in or a node not be reached; what a command says is no error.
    pub(crate) async fn act(&self, action: usize) -> Result<ActionResult, DeployError> {
        let item = &self.scenario.action[action];
        let spec = &self.system.action[item.run.get_ref()];
        let start_ns = self.clock.now_ns();
        let mut commands = Vec::new();
        let (mut exit_status, mut output) = (0, String::new());
        for node in self.places(item, spec)? {
            let acted = self.step(item, spec, &node).await?;
            commands.push(acted.command);
            output.push_str(&acted.output);
            exit_status = acted.exit_status;
            if exit_status != 0 {
                break;
            }
        }
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

    /// The nodes an action works on, one after the other.
    fn places(&self, item: &ActionItem, spec: &ActionSpec) -> Result<Vec<NodeRef>, DeployError> {
        if let Some(on) = &item.on {
            return self.all_of(on.get_ref());
        }
        let on = match deed(spec) {
            Deed::Run { on, .. } | Deed::Start { on, .. } => on,
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
        item: &ActionItem,
        spec: &ActionSpec,
        node: &NodeRef,
    ) -> Result<Acted, DeployError> {
        let context = TemplateContext {
            with: item.with.clone(),
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
                let exit_status = match output.status {
                    Status::Exited(status) => status,
                    // As a shell reports a command that a signal ended.
                    Status::Signalled(_) => 128,
                };
                Ok(Acted {
                    command,
                    exit_status,
                    output: text,
                })
            }
            Deed::Start { service, .. } => {
                let command = format!("start {service} on {}", node.name);
                let started = (self.deployment).start_service(&self.fleet, service, &node.name);
                in_time(spec.within.0, command, started).await
            }
            Deed::Copy(copy) => {
                let to = self.deployment.node_at(&copy.to)?;
                let from_path = context.fill(&copy.path)?;
                let to_path = match &copy.to_path {
                    Some(path) => context.fill(path)?,
                    None => from_path.clone(),
                };
                let command = format!("copy {}:{from_path} to {}:{to_path}", node.name, to.name);
                let name = item.name.get_ref();
                let copied = self.copy(name, (node, &from_path), (to, &to_path));
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

/// Waits for work that has no exit status of its own: what goes wrong is its output.
async fn in_time(
    within: Duration,
    command: String,
    work: impl Future<Output = Result<(), DeployError>>,
) -> Result<Acted, DeployError> {
    let (exit_status, output) = match tokio::time::timeout(within, work).await {
        Ok(Ok(())) => (0, String::new()),
        Ok(Err(error)) => (1, error.to_string()),
        Err(_) => (1, format!("not done within {within:?}")),
    };
    Ok(Acted {
        command,
        exit_status,
        output,
    })
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
