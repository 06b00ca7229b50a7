//! A service stopped and started again where it runs, with the same program or with another version of it.

use shakedown_nemesis::protocol::{Reply, RequestBody, ServiceState};

use super::{DeployError, Deployment, Placed, STOP_PATIENCE_MS, status};
use crate::control::quote;
use crate::run::fleet::Fleet;
use crate::system::UpgradeSpec;

/// A service that runs: its first process, and the SHA-256 sum of that one's program, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    pid: i32,
    sum: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Restarted {
    before: Program,
    after: Program,
    /// The sum of the program it was to run; `None` if that was to stay.
    wanted: Option<String>,
}

impl Restarted {
    /// Whether another process runs and, if that was wanted, another program: the one it was to be.
    pub(crate) fn happened(&self) -> bool {
        let other_program = (self.wanted.as_ref())
            .is_none_or(|wanted| self.after.sum == *wanted && self.before.sum != *wanted);
        self.before.pid != self.after.pid && other_program
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        let Restarted {
            before,
            after,
            wanted,
        } = self;
        let seen = format!(
            "pid {} with the program {}, before: pid {} with {}",
            after.pid, after.sum, before.pid, before.sum
        );
        match wanted {
            Some(wanted) if after.sum != *wanted => format!("{seen}; it was to be {wanted}"),
            Some(_) if before.sum == after.sum => format!("{seen}: the same"),
            _ => seen,
        }
    }
}

impl Deployment {
    /// Stops a service on a node, starts it again and waits until it is ready; with `upgrade`, it has the other
    /// program from then on.
    ///
    /// # Errors
    /// If it does not run there, or does not become ready again.
    pub(crate) async fn restart(
        &self,
        fleet: &Fleet,
        (service, node): (&str, &str),
        upgrade: Option<&UpgradeSpec>,
    ) -> Result<Restarted, DeployError> {
        let placed = self.placed_at(service, node)?;
        let before = self.program(fleet, placed).await?;
        let mut wanted = None;
        if let Some(upgrade) = upgrade {
            let path =
                (self.context().bin.get(&upgrade.to)).ok_or_else(|| DeployError::NoService {
                    service: upgrade.to.clone(),
                    node: node.to_owned(),
                })?;
            wanted = Some(self.sum(fleet, placed, path).await?);
            self.versions()
                .insert(placed.key(), (upgrade.bin.clone(), path.clone()));
        }
        let stop = RequestBody::Stop {
            service: service.to_owned(),
            timeout_ms: STOP_PATIENCE_MS,
        };
        fleet.ask(node, stop).await?;
        self.start_one(fleet, placed).await?;
        Ok(Restarted {
            before,
            after: self.program(fleet, placed).await?,
            wanted,
        })
    }

    async fn program(&self, fleet: &Fleet, placed: &Placed) -> Result<Program, DeployError> {
        match status(fleet, placed).await? {
            Reply::Service(ServiceState::Running { pid, .. }) => {
                let exe = format!("/proc/{pid}/exe");
                Ok(Program {
                    pid,
                    sum: self.sum(fleet, placed, &exe).await?,
                })
            }
            _ => Err(DeployError::NotRunning {
                service: placed.spec.name.get_ref().clone(),
                node: placed.node.name.clone(),
            }),
        }
    }

    async fn sum(&self, fleet: &Fleet, placed: &Placed, path: &str) -> Result<String, DeployError> {
        let node = fleet.node(&placed.node.name)?;
        let summed = node.exec(&format!("sha256sum < {}", quote(path))).await?;
        if !summed.success() {
            return Err(DeployError::Sum {
                node: placed.node.name.clone(),
                path: path.to_owned(),
                reason: summed.error_text(),
            });
        }
        let text = summed.text();
        Ok(text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(pid: i32, sum: &str) -> Program {
        Program {
            pid,
            sum: sum.to_owned(),
        }
    }

    #[test]
    fn an_upgrade_happened_if_another_process_runs_the_other_program() {
        for (before, after, wanted, happened) in [
            ("a", program(2, "a"), None, true),
            ("a", program(1, "a"), None, false),
            ("a", program(2, "b"), Some("b"), true),
            ("a", program(2, "a"), Some("b"), false),
            ("b", program(2, "b"), Some("b"), false),
            ("a", program(1, "b"), Some("b"), false),
        ] {
            let restarted = Restarted {
                before: program(1, before),
                after,
                wanted: wanted.map(str::to_owned),
            };
            assert_eq!(restarted.happened(), happened, "{}", restarted.words());
        }
    }
}
