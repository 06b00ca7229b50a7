//! `shakedown heal`: undoes every fault an interrupted run left on nodes.

use std::collections::BTreeMap;
use std::thread;

use super::Failure;
use super::args::HealArgs;
use super::exit::Exit;
use super::ground::Ground;
use crate::control::{AgentError, AgentLink, LinkOptions, SshRemote};
use crate::run::local_binary;

pub(super) fn heal(args: &HealArgs) -> Result<Exit, Failure> {
    let ground = Ground::existing(&args.nodes)?.ok_or_else(|| {
        Failure::Usage("name the nodes: --nodes, --nodes-file or --cluster".to_owned())
    })?;
    let agent = local_binary("shakedown-agent", &BTreeMap::new()).map_err(Failure::harness)?;
    let mut failed = false;
    let healed: Vec<_> = thread::scope(|scope| {
        let tasks: Vec<_> = ground
            .nodes
            .iter()
            .map(|node| {
                let (access, agent) = (&ground.access, &agent);
                scope.spawn(move || -> Result<Vec<String>, AgentError> {
                    let remote = SshRemote::new(node, access)?;
                    let (notices, _inbox) = tokio::sync::mpsc::unbounded_channel();
                    // A greeted agent undoes whatever is in the ledger.
                    let (link, hello) =
                        AgentLink::open(&remote, agent, &LinkOptions::new("heal"), notices)?;
                    link.close();
                    remote.close();
                    Ok(hello.healed)
                })
            })
            .collect();
        tasks
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    for (node, healed) in ground.nodes.iter().zip(healed) {
        match healed {
            Ok(Ok(faults)) if faults.is_empty() => println!("{}: nothing to undo", node.name),
            Ok(Ok(faults)) => println!("{}: undone: {}", node.name, faults.join(", ")),
            Ok(Err(error)) => {
                failed = true;
                eprintln!("{error}");
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(if failed {
        Exit::HarnessError
    } else {
        Exit::Valid
    })
}
