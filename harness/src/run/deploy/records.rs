//! What services leave on their nodes: logs and kept files, copied to the run directory.

use std::path::Path;

use super::{Deployment, Placed};
use crate::run::fleet::Fleet;

impl Deployment {
    /// Copies logs and kept files of every service to `local/<node>/`, all nodes at the same time; returns
    /// what could not be copied.
    pub(crate) async fn collect(&self, fleet: &Fleet, local: &Path) -> Vec<String> {
        let copied = self
            .placed
            .iter()
            .map(|placed| collect_one(fleet, placed, local));
        let missing = futures_util::future::join_all(copied).await;
        missing.into_iter().flatten().collect()
    }
}

async fn collect_one(fleet: &Fleet, placed: &Placed, local: &Path) -> Vec<String> {
    let dir = local.join(&placed.node.name);
    if let Err(error) = std::fs::create_dir_all(&dir) {
        return vec![format!("{}: {error}", dir.display())];
    }
    let name = placed.spec.name.get_ref();
    let log = (placed.log.clone(), dir.join(format!("{name}.log")));
    let kept = placed.spec.keep.iter();
    let kept = kept.map(|name| (format!("{}/{name}", placed.dir), dir.join(name)));
    let mut missing = Vec::new();
    for (remote, target) in std::iter::once(log).chain(kept) {
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
