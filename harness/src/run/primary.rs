//! Which node is the primary at this moment, as the system itself says.

use std::time::{Duration, Instant};

use super::command;
use super::deploy::Deployment;
use super::fleet::{Fleet, FleetError};
use crate::scenario::{FaultItem, PRIMARY};
use crate::system::{NodeRef, PrimarySpec};

/// How often a system is asked that has no primary at the moment.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The fault with the primary's place, as `role[index]`, wherever it names the primary. While the system elects one it
/// is asked again, for as long as its command may take.
///
/// # Errors
/// [`FleetError::NoPrimary`] if the system does not tell.
pub(crate) async fn with_primary(
    fleet: &Fleet,
    deployment: &Deployment,
    spec: Option<&PrimarySpec>,
    item: &FaultItem,
) -> Result<FaultItem, FleetError> {
    let mut item = item.clone();
    if !item.parameters.names_primary() {
        return Ok(item);
    }
    let spec = spec.expect("validation saw to it that the system tells its primary");
    let deadline = Instant::now() + spec.command.within.0;
    let place = loop {
        let output = command::run(fleet, deployment, &spec.command)
            .await
            .map_err(|error| FleetError::NoPrimary(error.to_string()))?;
        let printed = format!("{}{}", output.text(), output.error_text());
        match place(spec, &deployment.context().nodes, &printed) {
            Some(place) => break place,
            None if Instant::now() >= deadline => {
                return Err(FleetError::NoPrimary(format!(
                    "{}, which names no node: {printed:?}",
                    output.status
                )));
            }
            None => tokio::time::sleep(ASK_AGAIN).await,
        }
    };
    let targets = item.parameters.targets_mut();
    for target in targets.into_iter().flat_map(|names| &mut names.0) {
        if target == PRIMARY {
            target.clone_from(&place);
        }
    }
    Ok(item)
}

/// The place of the node that the first match in a text names.
fn place(
    spec: &PrimarySpec,
    nodes: &std::collections::BTreeMap<String, Vec<NodeRef>>,
    printed: &str,
) -> Option<String> {
    let pattern = regex::Regex::new(spec.pattern.get_ref())
        .expect("validation saw to it that this is a regular expression");
    let found = pattern.captures(printed)?;
    if let (Some(role), Some(index)) = (found.name("role"), found.name("index")) {
        let index: usize = index.as_str().parse().ok()?;
        nodes.get(role.as_str())?.get(index)?;
        return Some(format!("{}[{index}]", role.as_str()));
    }
    let node = found.name("node")?.as_str();
    nodes.iter().find_map(|(role, members)| {
        let at = members
            .iter()
            .position(|n| n.name == node || n.address == node)?;
        Some(format!("{role}[{at}]"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(pattern: &str) -> PrimarySpec {
        let text =
            format!("pattern = '{pattern}'\n[command]\non = 'store'\nargv = []\nwithin = '1s'\n");
        toml::from_str(&text).unwrap()
    }

    fn nodes() -> std::collections::BTreeMap<String, Vec<NodeRef>> {
        let node = |n: usize| NodeRef::new(format!("n{n}"), format!("10.0.0.{n}"));
        [
            ("store".to_owned(), vec![node(1), node(2)]),
            ("router".to_owned(), vec![node(3)]),
        ]
        .into()
    }

    #[test]
    fn a_node_is_known_by_its_name_its_address_or_its_place() {
        for (pattern, printed, expected) in [
            (r"leader: (?<node>\S+)", "leader: n2\n", Some("store[1]")),
            (
                r"http://(?<node>[0-9.]+):",
                "x http://10.0.0.3:2379 y",
                Some("router[0]"),
            ),
            (
                r"(?<role>store)-(?<index>\d+)",
                "owners: store-1, store-0",
                Some("store[1]"),
            ),
            (r"(?<role>store)-(?<index>\d+)", "owners: store-7", None),
            (r"leader: (?<node>\S+)", "leader: none", None),
            (r"leader: (?<node>\S+)", "no leader", None),
        ] {
            assert_eq!(
                place(&spec(pattern), &nodes(), printed).as_deref(),
                expected,
                "{printed}"
            );
        }
    }
}
