//! What services leave on their nodes: logs, kept files and cores, copied to the run directory.

use std::collections::BTreeMap;
use std::path::Path;

use shakedown_nemesis::protocol::CoreFile;

use super::{Deployment, Placed};
use crate::run::fleet::Fleet;

/// Longest core that is copied, bytes.
const LONGEST_CORE: u64 = 256 << 20;

/// A core by the node and the service that left it.
pub(crate) type Cores = BTreeMap<(String, String), CoreFile>;

impl Deployment {
    /// The cores that services left which crashed and are still down. To be asked before those are forgotten.
    pub(crate) async fn cores(&self, fleet: &Fleet) -> Cores {
        let dead = self.dead(fleet).await.into_iter();
        dead.filter_map(|dead| Some(((dead.node, dead.service), dead.core?)))
            .collect()
    }

    /// Copies logs and kept files of every service to `local/<node>/`, and its core from its directory, all nodes at the
    /// same time; returns what could not be copied.
    pub(crate) async fn collect(&self, fleet: &Fleet, local: &Path, cores: &Cores) -> Vec<String> {
        let copied = (self.placed.iter())
            .map(|placed| collect_one(fleet, placed, local, cores.get(&placed.key())));
        let missing = futures_util::future::join_all(copied).await;
        missing.into_iter().flatten().collect()
    }
}

async fn collect_one(
    fleet: &Fleet,
    placed: &Placed,
    local: &Path,
    core: Option<&CoreFile>,
) -> Vec<String> {
    let dir = local.join(&placed.node.name);
    if let Err(error) = std::fs::create_dir_all(&dir) {
        return vec![format!("{}: {error}", dir.display())];
    }
    let name = placed.spec.name.get_ref();
    let log = (placed.log.clone(), dir.join(format!("{name}.log")));
    let kept = placed.spec.keep.iter();
    let kept = kept.map(|name| (format!("{}/{name}", placed.dir), dir.join(name)));
    let core = core
        .filter(|core| core.bytes <= LONGEST_CORE && Path::new(&core.path).starts_with(&placed.dir))
        .map(|core| (core.path.clone(), dir.join(format!("{name}.core"))));
    let mut missing = Vec::new();
    for (remote, target) in std::iter::once(log).chain(kept).chain(core) {
        // A file that the service has not made yet, or a service that never ran, is no record.
        if !exists(fleet, &placed.node.name, &remote).await {
            continue;
        }
        let copied = match fleet.node(&placed.node.name) {
            Ok(node) => node
                .download(&remote, &target)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = copied {
            missing.push(format!("{remote} on {}: {error}", placed.node.name));
        }
    }
    missing
}

/// Whether a file is there; true if that cannot be told, so that the failure shows when it is copied.
async fn exists(fleet: &Fleet, node: &str, path: &str) -> bool {
    match fleet.node(node) {
        Ok(node) => node
            .exec(&format!("test -e {path}"))
            .await
            .map_or(true, |output| output.success()),
        Err(_) => true,
    }
}
