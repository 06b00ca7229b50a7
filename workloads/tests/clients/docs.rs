//! docs/clients.md says what the clients say.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use shakedown_workloads::objects::clients::etcd::{EtcdClient, EtcdConfig, Reads};
use shakedown_workloads::objects::clients::redis::{RedisClient, RedisConfig};
use shakedown_workloads::objects::kit::Fault;
use shakedown_workloads::objects::{Client, Effect, KnownError, Spec};

fn page() -> String {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
    std::fs::read_to_string(page).unwrap()
}

/// The part of the page below a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Rows of tables that begin with a name and an effect.
fn errors(section: &str) -> Vec<String> {
    let effects = ["| none |", "| maybe |", "| happened |"];
    let rows = section.lines();
    rows.filter(|row| effects.iter().any(|effect| row.contains(effect)))
        .map(str::to_owned)
        .collect()
}

fn rows(known: &[KnownError]) -> Vec<String> {
    let row = |error: &KnownError| {
        let effect = match error.effect {
            Effect::None => "none",
            Effect::Happened => "happened",
            Effect::Maybe => "maybe",
        };
        format!("| `{}` | {effect} | {} |", error.name, error.about)
    };
    known.iter().map(row).collect()
}

#[test]
fn every_error_of_a_client_is_documented_with_its_effect_and_the_reason() {
    let spec = Spec::of_kind("set").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 1)).to_string();
    let timeout = Duration::from_secs(1);
    let etcd = EtcdConfig {
        address: address.clone(),
        reads: Reads::Linearizable,
        timeout,
    };
    let redis = RedisConfig {
        address,
        sentinel: None,
        timeout,
    };
    let etcd = EtcdClient::new(etcd, &spec);
    let redis = RedisClient::new(redis, &spec);
    let page = page();
    for (heading, mut known) in [
        ("etcd", rows(etcd.errors())),
        ("Redis", rows(redis.errors())),
    ] {
        let mut told = errors(section(&page, heading));
        told.sort();
        known.sort();
        assert_eq!(told, known, "{heading}");
    }
}

#[test]
fn every_fault_of_the_kit_is_documented() {
    let page = page();
    let kit = section(&page, "The client test kit");
    for fault in Fault::ALL {
        let row = format!("| {} |", fault.name());
        assert!(kit.contains(&row), "{}", fault.name());
    }
}
