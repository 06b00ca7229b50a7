//! The scenarios embedded in the binary, and how names on the command line become scenarios.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Scenario, ScenarioError};
use crate::system::System;

macro_rules! embedded {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../scenarios/", $name, ".toml")),
        )
    };
}

/// The embedded scenario files, in the order in which a suite runs them.
const EMBEDDED: &[(&str, &str)] = &[
    embedded!("cutover_chaos_with_anti_entropy"),
    embedded!("cutover_chaos_skip_delta_with_ae"),
    embedded!("cutover_chaos_no_ae_with_delta"),
    embedded!("cutover_chaos_no_ae_no_delta_blocked"),
    embedded!("cutover_chaos_boundary_burst"),
    embedded!("cutover_chaos_high_volume"),
    embedded!("cutover_chaos_loss_rate_no_ae_delta"),
    embedded!("cutover_chaos_validation_gates"),
    embedded!("cutover_chaos_tight_loop_boundary"),
    embedded!("cutover_chaos_loss_rate_1m_ae_on"),
    embedded!("cutover_chaos_loss_rate_no_ae_no_delta"),
    embedded!("cutover_chaos_concurrent_migration_writes"),
    embedded!("cutover_chaos_three_node_cluster"),
    embedded!("cutover_chaos_three_node_no_ae_with_delta"),
    embedded!("cutover_chaos_network_partition_new_node"),
    embedded!("cutover_chaos_drain_timeout_boundary"),
    embedded!("cutover_chaos_concurrent_migrations"),
    embedded!("cutover_chaos_partial_shard_failure"),
    embedded!("cutover_chaos_coordinator_crash_recovery"),
    embedded!("abort_in_each_phase"),
    embedded!("ack_quorum"),
    embedded!("acknowledged_is_durable"),
    embedded!("anti_entropy_during_cutover"),
    embedded!("clock_skew_nodes"),
    embedded!("clock_skew_router"),
    embedded!("deletes_missed_by_a_replica"),
    embedded!("delta_after_a_crash"),
    embedded!("disk_full_new_in_copy"),
    embedded!("migration_while_replica_down"),
    embedded!("new_killed_in_cleanup"),
    embedded!("new_killed_in_copy"),
    embedded!("new_killed_in_delta_pass"),
    embedded!("new_killed_in_drain"),
    embedded!("old_killed_in_cleanup"),
    embedded!("old_killed_in_copy"),
    embedded!("old_killed_in_delta_pass"),
    embedded!("old_killed_in_drain"),
    embedded!("one_way_new_to_old"),
    embedded!("one_way_new_to_router"),
    embedded!("one_way_old_to_new"),
    embedded!("one_way_router_to_new"),
    embedded!("pages_meet_resets"),
    embedded!("power_loss_new"),
    embedded!("power_loss_old"),
    embedded!("power_loss_router"),
    embedded!("remove_node"),
    embedded!("repairs_stay_out_of_the_change_feed"),
    embedded!("rollback_after_activation"),
    embedded!("rolling_restart_under_load"),
    embedded!("same_shard_migration_refused"),
    embedded!("slow_new_in_cutover"),
    embedded!("updates_and_deletes_throughout"),
    embedded!("updates_cross_pages"),
    embedded!("writes_under_way_at_cutover"),
    embedded!("zombie_router"),
    embedded!("soak"),
    embedded!("throughput_batches"),
    embedded!("throughput_single"),
    embedded!("etcd_register"),
    embedded!("etcd_cas"),
    embedded!("etcd_stale_read"),
    embedded!("redis_lost_writes"),
    embedded!("redis_min_replicas"),
];

/// Every embedded scenario and system.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The systems scenarios can name.
    pub systems: Vec<System>,
    /// The embedded scenarios with their text.
    pub scenarios: Vec<(Scenario, String)>,
}

impl Catalogue {
    /// Parses everything embedded.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`] if an embedded file is; tests see to it that none is.
    pub fn embedded() -> Result<Self, ScenarioError> {
        let systems = System::embedded()?;
        let scenarios = EMBEDDED
            .iter()
            .map(|(name, text)| {
                Scenario::parse(&format!("embedded:{name}.toml"), text, &systems)
                    .map(|s| (s, (*text).to_owned()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Catalogue { systems, scenarios })
    }

    /// Adds a system from its file; one of the same name gives way.
    pub fn add(&mut self, system: System) {
        self.systems.retain(|known| known.name != system.name);
        self.systems.push(system);
    }

    /// Suites with the names of their scenarios.
    pub fn suites(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut suites: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (scenario, _) in &self.scenarios {
            for suite in &scenario.suites {
                suites
                    .entry(suite)
                    .or_default()
                    .push(scenario.name.get_ref());
            }
        }
        suites
    }

    /// Resolves a name to scenarios with their text: an embedded scenario, a suite, or the path of a
    /// scenario file (ends in `.toml`).
    ///
    /// # Errors
    /// [`ScenarioError::NotFound`], and what reading a file can give.
    pub fn select(&self, name: &str) -> Result<Vec<(Scenario, String)>, ScenarioError> {
        if name.ends_with(".toml") {
            return Ok(vec![Scenario::read(Path::new(name), &self.systems)?]);
        }
        let matching =
            |s: &Scenario| s.name.get_ref() == name || s.suites.iter().any(|suite| suite == name);
        let scenarios = self.scenarios.iter();
        let chosen: Vec<_> = scenarios.filter(|(s, _)| matching(s)).cloned().collect();
        if chosen.is_empty() {
            return Err(ScenarioError::NotFound {
                name: name.to_owned(),
                hint: self.nearest(name),
            });
        }
        Ok(chosen)
    }

    fn nearest(&self, name: &str) -> String {
        let suites = self.suites();
        let known = suites.keys().copied().chain(
            self.scenarios
                .iter()
                .map(|(s, _)| s.name.get_ref().as_str()),
        );
        known
            .filter(|k| k.contains(name) || name.contains(k))
            .min_by_key(|k| k.len().abs_diff(name.len()))
            .map_or_else(String::new, |k| format!("; did you mean `{k}`?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_file_is_embedded_under_its_own_name_and_valid() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut files: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))
                .unwrap()
                .map(|entry| {
                    entry
                        .unwrap()
                        .path()
                        .file_stem()
                        .unwrap()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
        files.sort();
        let mut embedded: Vec<String> = catalogue
            .scenarios
            .iter()
            .map(|(s, _)| s.name.get_ref().clone())
            .collect();
        embedded.sort();
        assert_eq!(embedded, files);
    }

    #[test]
    fn an_unknown_name_gets_a_hint() {
        let error = Catalogue::embedded().unwrap().select("cutove").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `cutover`?"),
            "{error}"
        );
    }
}
