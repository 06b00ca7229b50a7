//! What an unchecked cutover loses is exactly what the audit log says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kit::cluster::Cluster;
use crate::kit::process::run;
use crate::safety::migrate_without_delta;

const OVERRIDDEN: &str =
    "[anti_entropy]\nenabled = false\n[migration]\nunsafe_measurement_override = true";

#[tokio::test(flavor = "multi_thread")]
async fn an_overridden_unchecked_cutover_loses_exactly_what_is_predicted() {
    let mut cluster = Cluster::start(2, 1, OVERRIDDEN);
    let known = migrate_without_delta(&cluster).await;
    cluster.router.wait_for_phase("complete");
    assert_eq!(
        cluster.get("/_miroir/status").await["unsafe_measurement_override"],
        true
    );
    let damage = known.damage(&cluster.http, &cluster.address).await;
    assert!(
        !damage.lost.is_empty() && !damage.stale.is_empty() && !damage.resurrected.is_empty(),
        "{damage:?}"
    );
    assert!(cluster.router.terminate());
    let audit = cluster.directory.path().join("audit.jsonl");
    let output = run(&["predict", "--audit", audit.to_str().unwrap()]);
    assert!(output.status.success());
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let of = |kind: &str| -> BTreeSet<String> {
        // The proxy resets before the request arrives, so that what may not have been applied was not.
        let is = |l: &&Value| {
            l["expect"] == kind
                || (l["expect"] == "maybe" && l["kind"] == kind && l["cause"] == "reset")
        };
        lines
            .iter()
            .filter(is)
            .map(|l| l["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(of("lost"), damage.lost);
    assert_eq!(of("stale"), damage.stale);
    assert_eq!(of("resurrected"), damage.resurrected);
    let damaged = damage.lost.len() + damage.stale.len() + damage.resurrected.len();
    let (head, rest) = lines
        .split_first()
        .expect("the first line tells how many were at risk");
    let (shards, documents): (Vec<&Value>, Vec<&Value>) =
        rest.iter().partition(|line| line["group"].is_string());
    assert_eq!(documents.len(), damaged);
    let sum = |field: &str| -> u64 { shards.iter().filter_map(|s| s[field].as_u64()).sum() };
    assert!(
        (damaged as u64..=sum("dual_writes")).contains(&sum("failed")),
        "{shards:?}"
    );
    assert!(
        head["at_risk"]
            .as_u64()
            .is_some_and(|n| n >= damaged as u64),
        "{head}"
    );
}
