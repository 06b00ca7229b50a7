//! Programs that nodes must have before a run: looked for on every node, and installed where that is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::fleet::blocking;
use super::nodes::Known;
use super::own_machine::refuse_own_machine;
use super::{RunItem, RunRequest};
use crate::control::{Remote, SshRemote, quote};
use crate::scenario::split_target;
use crate::system::System;

/// Longest time a node's package manager may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Lines of a package manager that an error shows.
const SHOWN: usize = 10;

/// What a node needs.
#[derive(Default)]
struct Needs {
    programs: BTreeSet<String>,
    packages: BTreeSet<String>,
}

/// Looks for the programs of every system on the nodes that will run it. With `--install-packages`, nodes that lack
/// some get their packages.
///
/// # Errors
/// A line for each node on which programs are missing in the end.
pub(super) async fn provide(
    request: &RunRequest,
    remotes: &[Arc<SshRemote>],
    known: &[Known],
) -> Result<(), Vec<String>> {
    let needs = needs(&request.items, &request.systems);
    let asked = remotes.iter().zip(known).map(|(remote, known)| {
        let needs = needs.get(remote.node());
        async move {
            match needs {
                Some(needs) => on_node(remote, known, needs, request.install_packages).await,
                None => Ok(()),
            }
        }
    });
    let answers: Vec<Result<(), String>> = join_all(asked).await;
    let problems: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

async fn on_node(
    remote: &Arc<SshRemote>,
    known: &Known,
    needs: &Needs,
    install: bool,
) -> Result<(), String> {
    let missing = missing(remote, &needs.programs).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let node = remote.node();
    let missing = missing.join(", ");
    let packages: Vec<&str> = needs.packages.iter().map(String::as_str).collect();
    if packages.is_empty() {
        return Err(format!(
            "{node}: no {missing} there: install what has them; the system file names no packages"
        ));
    }
    if !install {
        return Err(format!(
            "{node}: no {missing} there: install {} on it, or pass --install-packages (a local cluster gets them by \
             `shakedown cluster up --system NAME`)",
            packages.join(" ")
        ));
    }
    let own = refuse_own_machine(remote, &known.addresses).await;
    own.map_err(|error| error.to_string())?;
    eprintln!("{node}: installing {}", packages.join(", "));
    let (on, command) = (remote.clone(), install_command(&packages));
    let ran = blocking(move || on.exec_within(&command, PATIENCE)).await;
    let output = ran.map_err(|error| error.to_string())?;
    let still = self::missing(remote, &needs.programs).await?;
    if output.success() && still.is_empty() {
        return Ok(());
    }
    let said = format!("{}\n{}", output.text(), output.error_text());
    let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
    Err(format!(
        "{node}: cannot install {}: {}, {} missing\n{}",
        packages.join(" "),
        output.status,
        if still.is_empty() {
            "nothing".to_owned()
        } else {
            still.join(", ")
        },
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    ))
}

/// Those of the programs that a node does not have.
async fn missing(
    remote: &Arc<SshRemote>,
    programs: &BTreeSet<String>,
) -> Result<Vec<String>, String> {
    let words: Vec<String> = programs.iter().map(|program| quote(program)).collect();
    let command = format!(
        "for p in {}; do command -v \"$p\" >/dev/null || echo \"$p\"; done",
        words.join(" ")
    );
    let on = remote.clone();
    let ran = blocking(move || on.exec(&command)).await;
    let output = ran.map_err(|error| error.to_string())?;
    Ok(output.text().lines().map(str::to_owned).collect())
}

/// The services in the packages are not started: the harness starts its own. A policy that the node has of its own
/// stays.
fn install_command(packages: &[&str]) -> String {
    let words: Vec<String> = packages.iter().map(|package| quote(package)).collect();
    format!(
        r#"command -v apt-get >/dev/null || {{ echo "no apt-get: install the programs by hand"; exit 1; }}
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
install() {{
    apt-get -q -y -o APT::Install-Recommends=false -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install -- {}
}}
install || {{ apt-get -q update; install; }}"#,
        words.join(" ")
    )
}

/// What each node needs, by its name, over all that is to run.
fn needs(items: &[RunItem], systems: &[System]) -> BTreeMap<String, Needs> {
    let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
    for item in items {
        let name = item.scenario.system.get_ref();
        let Some(system) = systems.iter().find(|s| s.name == *name) else {
            continue;
        };
        for node in &item.plan.nodes {
            let of_node = needs.entry(node.name.clone()).or_default();
            of_node.programs.extend(programs(system, &node.role));
            of_node.packages.extend(system.debian_packages());
        }
    }
    needs
}

/// The programs that nodes of a role must have: those that are not uploaded.
fn programs(system: &System, role: &str) -> BTreeSet<String> {
    let services = (system.service.iter())
        .filter(|service| service.roles.iter().any(|r| r == role))
        .map(|service| &service.argv);
    let commands = [
        system.primary.as_ref().map(|primary| &primary.command),
        system.healthy.as_ref(),
        system.write_pause.as_ref().map(|pause| &pause.command),
    ];
    let commands = (commands.into_iter().flatten())
        .filter(|command| command.on.0.iter().any(|on| split_target(on).0 == role))
        .map(|command| &command.argv);
    (services.chain(commands))
        .filter_map(|argv| argv.first())
        .filter(|program| !program.contains("{{"))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Catalogue;

    #[test]
    fn what_is_uploaded_is_not_looked_for() {
        let systems = Catalogue::embedded().unwrap().systems;
        let system = |name: &str| systems.iter().find(|s| s.name == name).unwrap();
        assert!(programs(system("miroir"), "router").is_empty());
        let etcd: Vec<String> = programs(system("etcd"), "server").into_iter().collect();
        assert_eq!(etcd, ["etcd", "etcdctl"]);
        assert!(programs(system("etcd"), "no such role").is_empty());
    }
}
