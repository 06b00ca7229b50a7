//! The programs of a system: on this machine, and where they are put on nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::try_join_all;

use super::ScenarioRun;
use crate::control::Program;
use crate::run::deploy::local_binary;
use crate::run::fleet::blocking;

impl ScenarioRun<'_> {
    /// Puts the system's programs on the nodes, once per build.
    pub(super) async fn upload_programs(&self) -> Result<BTreeMap<String, String>, String> {
        let mut bin = BTreeMap::new();
        for name in &self.scenario.programs(self.system) {
            let local = local_binary(name, self.binaries).map_err(|e| e.to_string())?;
            let program = blocking({
                let (name, local) = (name.clone(), local.clone());
                move || Program::read(&name, &local)
            });
            let program = program
                .await
                .map_err(|e| format!("{}: {e}", local.display()))?;
            let placed = self.remotes.iter().map(|remote| {
                let (remote, program) = (remote.clone(), program.clone());
                blocking(move || program.place(&remote))
            });
            let paths = try_join_all(placed).await.map_err(|e| e.to_string())?;
            // The path holds the program's hash: it is the same on every node.
            bin.extend(paths.into_iter().next().map(|path| (name.clone(), path)));
        }
        Ok(bin)
    }

    /// The system's programs on this machine.
    pub(super) fn local_bin(&self) -> BTreeMap<String, PathBuf> {
        let programs = self.system.upload.iter();
        let local = programs.filter_map(|name| {
            let path = local_binary(name, self.binaries).ok()?;
            Some((name.clone(), path))
        });
        local.collect()
    }
}
