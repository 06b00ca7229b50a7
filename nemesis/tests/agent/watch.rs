//! Watching logs.

use std::fs::{self, OpenOptions};
use std::io::Write;

use shakedown_nemesis::protocol::{Notice, Reply, RequestBody};

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::node::Node;

#[test]
fn matching_lines_are_told_from_a_file_that_comes_later_grows_and_is_replaced() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let path = node.home.path().join("log/router.log");
    let watch = RequestBody::Watch {
        watch: 3,
        path: path.to_str().unwrap().into(),
        pattern: "^phase=".into(),
    };
    assert_eq!(agent.ask(watch), Ok(Reply::Done));
    let write = |text: &str| {
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        log.write_all(text.as_bytes()).unwrap();
    };
    let told = |agent: &mut Channel, wanted: &str| {
        let line = wanted.to_owned();
        assert_eq!(agent.notice(), Notice::Line { watch: 3, line });
    };
    fs::create_dir(path.parent().unwrap()).unwrap();
    write("start\nphase=drain\nnot phase=\n");
    told(&mut agent, "phase=drain");
    write("phase=de");
    write("lta\n");
    told(&mut agent, "phase=delta");
    fs::rename(&path, path.with_extension("1")).unwrap();
    write("phase=done\n");
    told(&mut agent, "phase=done");
}

#[test]
fn a_bad_pattern_is_refused() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let watch = RequestBody::Watch {
        watch: 1,
        path: "/tmp/x".into(),
        pattern: "(".into(),
    };
    assert!(agent.ask(watch).unwrap_err().starts_with("pattern: "));
}
