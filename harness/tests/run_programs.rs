//! Nodes that lack a system's programs are named with the packages that have them, and get those only where allowed.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use local_nodes::{cluster, remote};
use run::{run, runs, scenario_file, scratch};
use shakedown::control::Remote;

const SYSTEM: &str = r#"
name = "greeter"
description = "a program of a package that no mirror has"
[packages]
debian = ["shakedown-greeter"]
[[service]]
name = "greeter"
roles = ["server"]
argv = ["shakedown-greeter"]
ready = { command = ["shakedown-greeter", "ready"] }
ready_within = "5s"
[client]
protocol = "exec"
role = "server"
argv = ["false"]
timeout = "1s"
"#;

const SCENARIO: &str = r#"
name = "greeting"
description = "no operation succeeds"
system = "greeter"
configuration = "any"
expectation = "none"
roles = [{ role = "server", nodes = 2 }]
[workload]
kind = "register"
[[load]]
name = "load"
when = { at = "0s" }
for = "100ms"
[expect]
operations_at_least = 1
"#;

/// Makes the package, and a mirror of it, on a node.
const MIRROR: &str = r#"
set -e
mkdir -p /srv/mirror /srv/package/DEBIAN /srv/package/usr/bin
cd /srv
printf '#!/bin/sh\n[ "$1" = ready ] || exec sleep 1000\n' > package/usr/bin/shakedown-greeter
chmod 755 package/usr/bin/shakedown-greeter
cat > package/DEBIAN/control <<END
Package: shakedown-greeter
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: for a test
END
dpkg-deb -b package mirror/greeter.deb >/dev/null
{
    cat package/DEBIAN/control
    echo "Filename: ./greeter.deb"
    echo "Size: $(stat -c %s mirror/greeter.deb)"
    echo "SHA256: $(sha256sum mirror/greeter.deb | cut -d ' ' -f 1)"
} > mirror/Packages
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/mirror ./' > /etc/apt/sources.list
"#;

const POLICY: &str = "cat /usr/sbin/policy-rc.d 2>/dev/null || true";

#[test]
fn missing_programs_are_named_for_each_node_and_installed_only_if_that_is_allowed() {
    let cluster = cluster(2);
    let files = scratch();
    let system = scenario_file(&files, "greeter.toml", SYSTEM);
    let scenario = scenario_file(&files, "greeting.toml", SCENARIO);
    let out = runs(&files);
    let name = cluster.info().name.clone();
    let arguments = [
        "run",
        &scenario,
        "--system-file",
        &system,
        "--cluster",
        &name,
        "--out",
        &out,
    ];
    let has_it = |node: usize| {
        let query = "dpkg-query -W shakedown-greeter";
        remote(&cluster, node).run(query).is_ok()
    };

    let refused = run(&arguments);
    refused.expect(3);
    for node in ["n1", "n2"] {
        let expected = format!(
            "{node}: no shakedown-greeter there: install shakedown-greeter on it, or pass --install-packages"
        );
        assert!(refused.stderr.contains(&expected), "{}", refused.said());
    }

    // A mirror that does not have it.
    let allowed = [&arguments[..], &["--install-packages"]].concat();
    let nowhere = run(&allowed);
    nowhere.expect(3);
    let expected = "n1: cannot install shakedown-greeter:";
    assert!(nowhere.stderr.contains(expected), "{}", nowhere.said());
    assert!(!has_it(0) && !has_it(1));

    let policies = [0, 1].map(|node| remote(&cluster, node).run(POLICY).unwrap());
    for node in 0..2 {
        remote(&cluster, node).run(MIRROR).unwrap();
    }
    let installed = run(&allowed);
    assert!(has_it(0) && has_it(1), "{}", installed.said());
    assert!(
        installed
            .stderr
            .contains("n1: installing shakedown-greeter"),
        "{}",
        installed.said()
    );
    let after = [0, 1].map(|node| remote(&cluster, node).run(POLICY).unwrap());
    assert_eq!(after, policies, "the nodes' own policies stay");

    // From now on there is nothing to install, and nothing to allow.
    let again = run(&arguments);
    assert!(
        !again.stderr.contains("shakedown-greeter there"),
        "{}",
        again.said()
    );
    assert!(!again.stderr.contains("installing"), "{}", again.said());
}
