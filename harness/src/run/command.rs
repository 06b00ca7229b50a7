//! Commands of a system file on nodes.

use std::time::Duration;

use super::deploy::{DeployError, Deployment};
use super::fleet::{Fleet, FleetError};
use crate::control::{Output, command_line};
use crate::system::{CommandSpec, NodeRef, TemplateContext};

/// Runs a command of the system file on the nodes it names, one after the other until it succeeds. The
/// output is that of the last. Nodes of roles that this scenario does not have are left out.
///
/// # Errors
/// If the template cannot be filled in or SSH fails; a non-zero exit status is not an error.
pub(crate) async fn run(
    fleet: &Fleet,
    deployment: &Deployment,
    spec: &CommandSpec,
) -> Result<Output, DeployError> {
    let mut last = None;
    for target in &spec.on.0 {
        let Ok(node) = deployment.node_at(target) else {
            continue;
        };
        let context = TemplateContext {
            node: Some(node.clone()),
            ..deployment.context().clone()
        };
        let argv = context.fill_argv(&spec.argv)?;
        let (_, output) = run_on(fleet, node, &argv, spec.within.0).await?;
        if output.success() {
            return Ok(output);
        }
        last = Some(output);
    }
    last.ok_or_else(|| FleetError::NoSuchNode(spec.on.0.join(", ")).into())
}

/// Runs a command on a node. Returns the command line, too.
///
/// # Errors
/// If SSH fails; a non-zero exit status is not an error.
pub(crate) async fn run_on(
    fleet: &Fleet,
    node: &NodeRef,
    argv: &[String],
    within: Duration,
) -> Result<(String, Output), DeployError> {
    let command = command_line(argv);
    let output = fleet
        .node(&node.name)?
        .exec_within(&command, within)
        .await?;
    Ok((command, output))
}
