//! The walk-through in `docs/adding_a_system.md`, followed word by word.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod docs;
mod run;

use std::fs;
use std::process::Command;

use docs::{fenced, read};
use run::{Ended, Running, scratch, shakedown};
use tempfile::TempDir;

const PAGE: &str = "docs/adding_a_system.md";

/// The one block with this info string.
fn block(info: &str) -> String {
    let blocks = fenced(&read(PAGE), info);
    let [block] = &blocks[..] else {
        panic!("{} blocks {info:?} in {PAGE}", blocks.len());
    };
    block.clone()
}

/// Runs a block of shell commands in a directory.
fn shell(dir: &TempDir, block: &str) -> Ended {
    let programs = shakedown().parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    // The last command takes the shell's place: what is killed with a failing test is `shakedown`.
    let script = format!("\n{block}").replace("\nshakedown", "\nexec shakedown");
    command.args(["-e", "-c", &script]);
    command.current_dir(dir.path()).env("PATH", path);
    Running::command(command).ended()
}

#[test]
fn the_walk_through_leads_from_nothing_to_a_verdict() {
    let dir = scratch();
    let mut lines = 0;
    for name in ["nats.toml", "nats_set.toml"] {
        let text = block(&format!("toml {name}"));
        lines += text.lines().count();
        let text = text.replace("/path/to", &dir.path().display().to_string());
        fs::write(dir.path().join(name), text).unwrap();
    }
    assert!(lines < 60, "{lines} lines of TOML");
    let client = block("python nats_client.py");
    fs::write(dir.path().join("nats_client.py"), client).unwrap();

    let ended = shell(&dir, &block("sh walk-through valid"));
    // Now and then nats-server loses a message, as the page says. A client that is wrong loses many.
    let judged = match ended.code {
        Some(1) => "invalid: 1 lost, of",
        _ => {
            ended.expect(0);
            "the last read has all of"
        }
    };
    assert!(ended.stdout.contains(judged), "{}", ended.said());
    shell(&dir, &block("sh walk-through unknown")).expect(2);
}
