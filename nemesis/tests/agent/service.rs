//! Services, and faults on them.

use std::collections::BTreeMap;

use shakedown_nemesis::fault::{KillSignal, NodeFault};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{Reply, RequestBody, Service, ServiceState};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually};

/// A shell with a child in its own session and one that left it.
pub(crate) fn family(node: &Node) -> Service {
    shell(
        node,
        "sleep 1000 & echo child $!; setsid sleep 1000 & echo leaver $!; wait",
    )
}

fn shell(node: &Node, script: &str) -> Service {
    Service {
        name: "web".into(),
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        env: BTreeMap::from([("GREETING".into(), "good day".into())]),
        dir: format!("{}/data/web", node.state()),
        log: format!("{}/log/web.log", node.state()),
    }
}

fn service(reply: Result<Reply, String>) -> ServiceState {
    match reply.unwrap() {
        Reply::Service(state) => state,
        other => panic!("{other:?}"),
    }
}

/// Starts a service; its pid. It may have ended by the time the agent looks.
pub(crate) fn start(channel: &mut Channel, spec: &Service) -> i32 {
    match service(channel.ask(RequestBody::Start(spec.clone()))) {
        ServiceState::Running { pid, .. } | ServiceState::Dead { pid, .. } => pid,
        ServiceState::Unknown => panic!("started, yet unknown"),
    }
}

pub(crate) fn status(channel: &mut Channel) -> ServiceState {
    service(channel.ask(RequestBody::Status {
        service: "web".into(),
    }))
}

fn is_dead(channel: &mut Channel, process: i32) -> bool {
    matches!(status(channel), ServiceState::Dead { pid, .. } if pid == process)
}

/// The pids of [`family`]: the shell and its two children.
fn members(channel: &mut Channel, node: &Node) -> Vec<i32> {
    let spec = family(node);
    let shell = start(channel, &spec);
    let mut children: Vec<i32> = Vec::new();
    eventually("two children in the log", || {
        children = std::fs::read_to_string(&spec.log)
            .unwrap()
            .lines()
            .filter_map(|line| line.split(' ').next_back()?.parse().ok())
            .collect();
        children.len() == 2
    });
    let all = [vec![shell], children].concat();
    eventually("all of them to sleep", || all_sleep(node, &all));
    all
}

fn all_sleep(node: &Node, pids: &[i32]) -> bool {
    pids.iter().all(|pid| node.process_state(*pid) == Some('S'))
}

fn stop(channel: &mut Channel, timeout_ms: u64) -> Result<Reply, String> {
    channel.ask(RequestBody::Stop {
        service: "web".into(),
        timeout_ms,
    })
}

fn kill(restart: bool) -> NodeFault {
    NodeFault::Kill {
        service: "web".into(),
        restart,
        signal: KillSignal::Kill,
    }
}

fn pause() -> NodeFault {
    NodeFault::Pause {
        service: "web".into(),
    }
}

#[test]
fn a_service_gets_its_directory_environment_and_log_and_is_forgotten_when_stopped() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    assert_eq!(status(&mut agent), ServiceState::Unknown);
    let spec = shell(&node, "echo $GREETING from $PWD; exec sleep 1000");
    let pid = start(&mut agent, &spec);
    eventually("a line in the log", || {
        std::fs::read_to_string(&spec.log).unwrap()
            == format!("good day from {}/data/web\n", node.state())
    });
    let again = agent.ask(RequestBody::Start(spec)).unwrap_err();
    assert!(again.contains("runs already"), "{again}");
    stop(&mut agent, 20_000).unwrap();
    assert_eq!(node.process_state(pid), None);
    assert_eq!(status(&mut agent), ServiceState::Unknown);
}

#[test]
fn a_program_that_is_not_there_is_an_error_and_leaves_no_record() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let mut spec = family(&node);
    spec.argv = vec!["/no/such/program".into()];
    let error = agent.ask(RequestBody::Start(spec)).unwrap_err();
    assert!(error.contains("/no/such/program"), "{error}");
    assert!(error.contains("No such file"), "{error}");
    assert_eq!(status(&mut agent), ServiceState::Unknown);
}

#[test]
fn a_service_that_ignores_sigterm_is_stopped_by_force_and_others_are_answered_meanwhile() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let spec = shell(&node, "trap '' TERM; echo deaf; while :; do sleep 1; done");
    let pid = start(&mut agent, &spec);
    eventually("the shell ignores SIGTERM", || {
        std::fs::read_to_string(&spec.log).unwrap() == "deaf\n"
    });
    let stopping = agent.send(RequestBody::Stop {
        service: "web".into(),
        timeout_ms: 4000,
    });
    let ping = agent.send(RequestBody::Ping);
    assert_eq!(agent.next_reply(), (ping, Ok(Reply::Done)));
    assert_eq!(agent.next_reply().0, stopping);
    assert_eq!(node.process_state(pid), None);
}

#[test]
fn a_service_outlives_its_agent_and_the_next_agent_knows_it() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pid = start(&mut agent, &family(&node));
    assert!(agent.close().success());
    assert!(node.process_state(pid).is_some());
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    assert!(matches!(status(&mut agent), ServiceState::Running { pid: p, .. } if p == pid));
}

#[test]
fn a_pause_stops_the_whole_family_and_ends_with_all_of_it_running() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pids = members(&mut agent, &node);
    let installed = agent.install("pause", pause());
    assert_eq!(installed.outcome, Outcome::Installed);
    for pid in &pids {
        assert_eq!(node.process_state(*pid), Some('T'));
        assert_eq!(seen(&installed, &format!("state of pid {pid} before")), "S");
        assert_eq!(seen(&installed, &format!("state of pid {pid} after")), "T");
    }
    let ended = agent.undo("pause");
    assert_eq!(ended.outcome, Outcome::Installed);
    for pid in &pids {
        assert_eq!(
            seen(&ended, &format!("state of pid {pid} before undo")),
            "T"
        );
        assert_ne!(seen(&ended, &format!("state of pid {pid} after undo")), "T");
    }
    eventually("all of them to sleep again", || all_sleep(&node, &pids));
}

#[test]
fn a_kill_takes_the_whole_family_and_its_end_starts_the_service_again() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pids = members(&mut agent, &node);
    let installed = agent.install("kill", kill(true));
    assert_eq!(installed.outcome, Outcome::Installed);
    for pid in &pids {
        assert_eq!(node.process_state(*pid), None);
        assert_eq!(seen(&installed, &format!("state of pid {pid} before")), "S");
    }
    assert!(is_dead(&mut agent, pids[0]));
    let ended = agent.undo("kill");
    assert_eq!(ended.outcome, Outcome::Installed);
    let ServiceState::Running { pid, .. } = status(&mut agent) else {
        panic!("not started again: {ended:?}");
    };
    assert!(seen(&ended, "service web after undo").starts_with(&format!("pid {pid},")));
    assert_eq!(node.agent("leftovers").0, 0);
}

fn terminate(restart: bool) -> NodeFault {
    NodeFault::Kill {
        service: "web".into(),
        restart,
        signal: KillSignal::Terminate,
    }
}

#[test]
fn a_service_that_is_terminated_ends_in_its_own_way_and_is_started_again() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let spec = shell(
        &node,
        "trap 'echo goodbye; exit' TERM; echo hello; while :; do sleep 0.1; done",
    );
    let log = || std::fs::read_to_string(&spec.log).unwrap();
    let first = start(&mut agent, &spec);
    eventually("the shell is ready", || log() == "hello\n");
    let installed = agent.install("term", terminate(true));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert_eq!(node.process_state(first), None);
    assert_eq!(log(), "hello\ngoodbye\n");
    assert_eq!(agent.undo("term").outcome, Outcome::Installed);
    assert!(matches!(status(&mut agent), ServiceState::Running { pid, .. } if pid != first));
    eventually("the shell is ready again", || {
        log() == "hello\ngoodbye\nhello\n"
    });
    assert_eq!(node.agent("leftovers").0, 0);
    assert_eq!(
        agent.install_noop("noop", terminate(true)).outcome,
        Outcome::Skipped
    );
    assert_eq!(agent.undo("noop").outcome, Outcome::Skipped);
}

#[test]
fn a_service_that_ignores_sigterm_makes_the_fault_skipped_and_runs_at_its_end() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let spec = shell(&node, "trap '' TERM; echo deaf; while :; do sleep 1; done");
    start(&mut agent, &spec);
    eventually("the shell ignores SIGTERM", || {
        std::fs::read_to_string(&spec.log).unwrap() == "deaf\n"
    });
    let installed = agent.install("term", terminate(true));
    assert_eq!(installed.outcome, Outcome::Indeterminate);
    let ended = agent.undo("term");
    assert_eq!(ended.outcome, Outcome::Skipped, "{ended:?}");
    assert!(matches!(status(&mut agent), ServiceState::Running { .. }));
}

#[test]
fn a_status_tells_the_memory_of_all_processes_of_a_service() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let memory = |agent: &mut Channel| match status(agent) {
        ServiceState::Running { rss_kib, .. } => rss_kib,
        other => panic!("{other:?}"),
    };
    start(&mut agent, &shell(&node, "sleep 1000"));
    eventually("a shell's memory", || {
        (1..8192).contains(&memory(&mut agent))
    });
    stop(&mut agent, 20_000).unwrap();
    // A child holds 16 MiB in a variable. The kernel's figures lag behind by a few pages per processor.
    let script = "(x=$(head -c 16777216 /dev/zero | tr '\\0' x); echo big; sleep 1000; :) | cat";
    let spec = shell(&node, script);
    start(&mut agent, &spec);
    eventually("the child is big", || {
        std::fs::read_to_string(&spec.log).unwrap() == "big\n"
    });
    let big = memory(&mut agent);
    assert!(big > 12_000, "{big}");
}

#[test]
fn a_kill_without_restart_leaves_the_service_dead_and_nothing_to_heal() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pid = start(&mut agent, &family(&node));
    agent.install("kill", kill(false));
    assert_eq!(agent.undo("kill").outcome, Outcome::Installed);
    assert!(is_dead(&mut agent, pid));
}

#[test]
fn a_service_that_crashes_is_dead_with_the_signal_that_ended_it() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start(&mut agent, &shell(&node, "kill -SEGV $$"));
    eventually("the crash is known", || match status(&mut agent) {
        ServiceState::Dead { how, .. } => how.is_some_and(|how| how.starts_with("SIGSEGV")),
        _ => false,
    });
    // An end by itself without an error is no crash.
    let pid = start(&mut agent, &shell(&node, "exit 0"));
    eventually("the service ends by itself", || is_dead(&mut agent, pid));
    let (how, core) = (None, None);
    assert_eq!(status(&mut agent), ServiceState::Dead { pid, how, core });
}

/// Whatever the machine does with cores: this changes nothing of it.
#[test]
fn a_service_that_crashes_may_leave_a_core_and_it_is_said_where_that_is() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let pattern = pattern.trim_end_matches('\n');
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let spec = shell(&node, "ulimit -H -c; ulimit -S -c; kill -ABRT $$");
    let pid = start(&mut agent, &spec);
    eventually("the service crashes", || is_dead(&mut agent, pid));
    let limits = std::fs::read_to_string(&spec.log).unwrap();
    let [hard, soft] = limits.lines().collect::<Vec<_>>()[..] else {
        panic!("{limits}");
    };
    assert_eq!(soft, hard, "the limit is not raised as far as it may be");
    let ServiceState::Dead { how, core, .. } = status(&mut agent) else {
        panic!("not dead");
    };
    let how = how.expect("the agent has seen the end");
    let dumped = how.strip_prefix("SIGABRT, core ").map(str::to_owned);
    let in_its_directory = !pattern.starts_with(['|', '@']) && !pattern.contains('/');
    assert!(dumped.is_some() || how == "SIGABRT", "{how}");
    assert!(
        dumped.is_some() || !in_its_directory || hard == "0",
        "no core, though nothing is against it: {how}"
    );
    let Some(core) = core else {
        let quoted = dumped.is_none_or(|dumped| dumped.contains(&format!("`{pattern}`")));
        assert!(quoted && (!in_its_directory || hard == "0"), "{how}");
        return;
    };
    let bytes = std::fs::read(&core.path).unwrap();
    assert!(bytes.starts_with(b"\x7fELF"), "{core:?}");
    assert_eq!(bytes.len() as u64, core.bytes);
    assert_eq!(
        how,
        format!("SIGABRT, core dumped: {} ({} bytes)", core.path, core.bytes)
    );
    assert_eq!(
        core.path.starts_with(&spec.dir),
        in_its_directory,
        "{core:?}"
    );
    // It may lie where the machine keeps all cores.
    std::fs::remove_file(&core.path).unwrap();
}

#[test]
fn noop_faults_are_skipped_and_touch_nothing() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pids = members(&mut agent, &node);
    for (fault, order) in [("kill", kill(true)), ("pause", pause())] {
        assert_eq!(
            agent.install_noop(fault, order).outcome,
            Outcome::Skipped,
            "{fault}"
        );
        assert!(all_sleep(&node, &pids));
        assert_eq!(agent.undo(fault).outcome, Outcome::Skipped, "{fault}");
    }
    assert!(matches!(status(&mut agent), ServiceState::Running { pid, .. } if pid == pids[0]));
}

#[test]
fn faults_on_a_service_that_does_not_run_are_skipped_and_say_so_and_never_start_it() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let never = agent.install("early", kill(true));
    assert_eq!(never.outcome, Outcome::Skipped);
    assert_eq!(seen(&never, "service web"), "never started here");
    let pid = start(&mut agent, &shell(&node, "exit 0"));
    eventually("the service ends by itself", || is_dead(&mut agent, pid));
    for (fault, order) in [("kill", kill(true)), ("pause", pause())] {
        let outcome = agent.install(fault, order);
        assert_eq!(outcome.outcome, Outcome::Skipped);
        assert!(seen(&outcome, "service web").starts_with("not running"));
        assert_eq!(agent.undo(fault).outcome, Outcome::Skipped);
    }
    assert!(is_dead(&mut agent, pid));
}

#[test]
fn services_an_earlier_run_left_are_all_stopped_and_forgotten_at_once() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let web = start(&mut agent, &family(&node));
    let mut other = shell(&node, "exec sleep 1000");
    other.name = "other".into();
    let other = start(&mut agent, &other);
    assert!(agent.close().success());
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let all = || RequestBody::StopAll { timeout_ms: 20_000 };
    assert_eq!(agent.ask(all()), Ok(Reply::Done));
    assert_eq!(
        (node.process_state(web), node.process_state(other)),
        (None, None)
    );
    assert_eq!(status(&mut agent), ServiceState::Unknown);
    assert_eq!(agent.ask(all()), Ok(Reply::Done));
}
