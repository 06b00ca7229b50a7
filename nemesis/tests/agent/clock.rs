//! Wall clocks shifted in running processes, as those processes themselves tell the time.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_nemesis::fault::{KillSignal, NodeFault, Skew};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{RequestBody, Service, ServiceState};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::layer::{covered, io, none};
use crate::node::{Node, eventually};
use crate::service::{start, status};

/// Far more than any delay of this test, milliseconds.
const HOUR: i64 = 3_600_000;

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// What the services below run: writes wall clock and monotonic clock, milliseconds, over and over, from
/// two threads. It lives in this test program because that is built as the project's own programs are.
#[test]
#[ignore = "a program for the other tests, which never ends"]
fn teller() {
    let begun = Instant::now();
    thread::spawn(|| {
        loop {
            std::hint::black_box(SystemTime::now());
        }
    });
    loop {
        let mut out = std::io::stdout().lock();
        writeln!(out, "told {} {}", now_ms(), begun.elapsed().as_millis()).unwrap();
        drop(out);
        thread::sleep(Duration::from_millis(5));
    }
}

fn service(node: &Node, argv: &[&str]) -> Service {
    Service {
        name: "web".into(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: Default::default(),
        dir: format!("{}/data", node.state()),
        log: format!("{}/web.log", node.state()),
    }
}

fn start_teller(agent: &mut Channel, node: &Node) -> i32 {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let spec = service(
        node,
        &[
            program,
            "--ignored",
            "--exact",
            "--nocapture",
            "clock::teller",
        ],
    );
    let pid = start(agent, &spec);
    eventually("it tells the time", || last_told(node).is_some());
    pid
}

/// The last whole line's wall clock and monotonic clock.
fn last_told(node: &Node) -> Option<(i64, i64)> {
    let log = fs::read_to_string(format!("{}/web.log", node.state())).ok()?;
    let whole = &log[..log.rfind('\n')?];
    let line = whole.lines().rev().find(|line| line.starts_with("told "))?;
    let mut fields = line.split(' ').skip(1).map(|field| field.parse().unwrap());
    Some((fields.next()?, fields.next()?))
}

/// How far the service's wall clock is off, to the hour.
fn hours_off(node: &Node) -> i64 {
    let (told, _) = last_told(node).unwrap();
    (told - now_ms() + HOUR / 2).div_euclid(HOUR)
}

fn becomes(node: &Node, hours: i64) {
    eventually(&format!("{hours} hours off"), || hours_off(node) == hours);
}

fn clock(offset_ms: i64) -> NodeFault {
    skewed(Skew::Jump { offset_ms })
}

fn skewed(skew: Skew) -> NodeFault {
    NodeFault::Clock {
        service: "web".into(),
        skew,
    }
}

#[test]
fn a_running_programs_wall_clock_is_shifted_and_right_again_and_its_monotonic_clock_goes_on() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pid = start_teller(&mut agent, &node);
    assert_eq!(hours_off(&node), 0);
    for (fault, hours) in [("ahead", 5), ("behind", -100)] {
        let (_, before) = last_told(&node).unwrap();
        let installed = agent.install(fault, clock(hours * HOUR));
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        becomes(&node, hours);
        let (_, left) = node.agent("leftovers");
        assert_eq!(
            left[0]["remains"][0],
            "wall clock of 1 processes is shifted"
        );
        let ended = agent.undo(fault);
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        assert_eq!(
            seen(&ended, "wall clocks after undo"),
            "right again in 1 processes"
        );
        becomes(&node, 0);
        let (_, after) = last_told(&node).unwrap();
        assert!((before..before + HOUR).contains(&after), "{before} {after}");
    }
    assert!(matches!(status(&mut agent), ServiceState::Running { pid: p, .. } if p == pid));
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn parts_of_a_second_are_shifted_too_in_every_function_that_tells_the_time() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    // EPOCHREALTIME is gettimeofday, %(%s)T is time.
    let script = "mkfifo never; exec 3<>never; \
                  while :; do printf 'both %s %(%s)T\\n' $EPOCHREALTIME -1; read -t 0.01 -u 3; done";
    start(&mut agent, &service(&node, &["bash", "-c", script]));
    let log = || fs::read_to_string(format!("{}/web.log", node.state())).unwrap_or_default();
    // Both in milliseconds less the true time.
    let off = || {
        let log = log();
        let whole = log[..log.rfind('\n')?].to_owned();
        let line = whole
            .lines()
            .next_back()?
            .strip_prefix("both ")?
            .replace('.', "");
        let (micros, seconds) = line.split_once(' ')?;
        let now = now_ms();
        Some((
            micros.parse::<i64>().unwrap() / 1000 - now,
            seconds.parse::<i64>().unwrap() * 1000 - now,
        ))
    };
    eventually("it tells the time", || off().is_some());
    // 1.75 s off: the second alone would be 1 or 2 s off. What the line was late comes off both.
    agent.install("clock", clock(-86_401_750));
    eventually("both are off", || {
        let (micros, seconds) = off().unwrap();
        (-86_402_500..-86_401_700).contains(&micros)
            && (-86_403_700..-86_401_500).contains(&seconds)
    });
    agent.undo("clock");
    eventually("both are right", || {
        let (micros, seconds) = off().unwrap();
        (-900..100).contains(&micros) && (-2500..100).contains(&seconds)
    });
}

#[test]
fn a_service_started_again_and_what_it_executes_is_shifted_as_long_as_the_fault_holds() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    agent.install("clock", clock(7 * HOUR));
    becomes(&node, 7);
    let kill = NodeFault::Kill {
        service: "web".into(),
        restart: true,
        signal: KillSignal::Kill,
    };
    agent.install("kill", kill);
    fs::write(format!("{}/web.log", node.state()), "").unwrap();
    agent.undo("kill");
    eventually("it tells the time again", || last_told(&node).is_some());
    becomes(&node, 7);
    agent.undo("clock");
    becomes(&node, 0);
}

/// The service's wall clock and monotonic clock, when it has told them at least `times` more often.
fn told_after(node: &Node, times: usize) -> (i64, i64) {
    let count = || {
        let log = fs::read_to_string(format!("{}/web.log", node.state())).unwrap_or_default();
        log.lines().filter(|line| line.starts_with("told ")).count()
    };
    let before = count();
    eventually("it tells the time again", || count() > before + times);
    last_told(node).unwrap()
}

#[test]
fn a_drifting_clock_runs_at_its_rate_goes_on_in_a_service_started_again_and_is_right_at_the_end() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    for (fault, rate) in [("fast", 50.0), ("slow", 0.25)] {
        let installed = agent.install(fault, skewed(Skew::Drift { rate }));
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        // Between its looks at the one clock and the other the program may have to wait for a processor.
        eventually(&format!("a rate of {rate}"), || {
            let (wall, monotonic) = told_after(&node, 5);
            let (later, elapsed) = told_after(&node, 100);
            let seen = (later - wall) as f64 / (elapsed - monotonic) as f64;
            (seen / rate - 1.0).abs() < 0.05
        });
        assert_eq!(agent.undo(fault).outcome, Outcome::Installed);
        becomes(&node, 0);
    }
    let ahead = |node: &Node| last_told(node).map_or(0, |(told, _)| told - now_ms());
    agent.install("fast", skewed(Skew::Drift { rate: 100.0 }));
    eventually("it is a minute ahead", || ahead(&node) > 60_000);
    let kill = NodeFault::Kill {
        service: "web".into(),
        restart: true,
        signal: KillSignal::Kill,
    };
    agent.install("kill", kill);
    fs::write(format!("{}/web.log", node.state()), "").unwrap();
    agent.undo("kill");
    // What it told before it was changed, too, is right.
    eventually("it tells a wrong time again", || ahead(&node) > 1000);
    assert!(
        ahead(&node) > 60_000,
        "not from the restart on, but as before"
    );
    agent.undo("fast");
    eventually("it is right again", || ahead(&node).abs() < 30_000);
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn a_frozen_clock_stands_still_and_goes_on_with_the_right_time() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    agent.install("freeze", skewed(Skew::Freeze));
    let (wall, monotonic) = told_after(&node, 5);
    let (later, elapsed) = told_after(&node, 50);
    assert_eq!(wall, later);
    assert!(elapsed > monotonic);
    assert_eq!(agent.undo("freeze").outcome, Outcome::Installed);
    let (after, _) = told_after(&node, 5);
    assert!(after > later);
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn a_strobing_clock_is_off_and_right_by_turns() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    let strobe = skewed(Skew::Strobe {
        offset_ms: -3 * HOUR,
        every_ms: 150,
    });
    agent.install("strobe", strobe);
    for hours in [-3, 0, -3, 0] {
        becomes(&node, hours);
    }
    let ended = agent.undo("strobe");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    becomes(&node, 0);
    let (_, left) = node.agent("leftovers");
    assert_eq!(left, serde_json::json!([]));
}

#[test]
fn when_the_agent_is_killed_the_watchdog_sets_the_clock_right() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    agent.install("clock", clock(-3 * HOUR));
    becomes(&node, -3);
    agent.signal(Signal::SIGKILL);
    becomes(&node, 0);
    eventually("the watchdog goes", || node.watchdogs().is_empty());
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn a_paused_services_clock_is_set_right_all_the_same() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    agent.install("clock", clock(3 * HOUR));
    becomes(&node, 3);
    let pause = NodeFault::Pause {
        service: "web".into(),
    };
    agent.install("pause", pause);
    assert_eq!(agent.undo("clock").outcome, Outcome::Installed);
    agent.undo("pause");
    becomes(&node, 0);
}

/// How the kernel shows a process in write(2).
const WRITE: &[u8] = b"1 ";

#[test]
fn a_clock_is_shifted_and_set_right_while_the_service_waits_for_a_slow_disk() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    // Blocked by its write, which nothing interrupts, most of the time.
    let script = format!("while :; do echo x >> {}/disk/a; done", node.state());
    let pid = start(&mut agent, &service(&node, &["bash", "-c", &script]));
    let slow = IoEffects {
        latency_ms: 3000,
        operations: vec![Operation::Write],
        ..none()
    };
    agent.install("slow", io(&node, slow));
    let waits = || {
        let call = node.run(&["cat", &format!("/proc/{pid}/syscall")]).stdout;
        call.starts_with(WRITE)
    };
    eventually("it waits for the disk", waits);
    let installed = agent.install("clock", clock(HOUR));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    eventually("it waits for the disk again", waits);
    agent.undo("clock");
    agent.undo("slow");
    assert_eq!(
        node.agent("leftovers").1[0]["fault"],
        "",
        "but for the disk"
    );
    let timeout_ms = 20_000;
    agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
}

#[test]
fn a_program_that_never_reads_its_clock_makes_the_fault_skipped() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let pid = start(&mut agent, &service(&node, &["sleep", "1000"]));
    let installed = agent.install("clock", clock(HOUR));
    assert_eq!(installed.outcome, Outcome::Installed);
    let ended = agent.undo("clock");
    assert_eq!(ended.outcome, Outcome::Skipped, "{ended:?}");
    let what = format!("shifted wall clock read by pid {pid}");
    assert_eq!(seen(&ended, &what), "0 times");
}

#[test]
fn a_program_that_asks_the_kernel_itself_is_not_misled_and_the_fault_is_skipped() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    // System call 201 is time(2): no function of the vDSO is asked.
    let script = r#"$| = 1; for (;;) { print "told ", 1000 * syscall(201, 0), " 0\n"; select(undef, undef, undef, 0.02) }"#;
    start(&mut agent, &service(&node, &["perl", "-e", script]));
    eventually("it tells the time", || last_told(&node).is_some());
    assert_eq!(
        agent.install("bypassed", clock(5 * HOUR)).outcome,
        Outcome::Installed
    );
    let before = fs::read_to_string(format!("{}/web.log", node.state())).unwrap();
    eventually("it tells the time again and again", || {
        let log = fs::read_to_string(format!("{}/web.log", node.state())).unwrap();
        log.len() > before.len() + 300
    });
    assert_eq!(hours_off(&node), 0, "it has the kernel's time");
    let ended = agent.undo("bypassed");
    assert_eq!(ended.outcome, Outcome::Skipped, "{ended:#?}");
    let read = ended.evidence.iter();
    let read = read.filter(|seen| seen.what.starts_with("shifted wall clock read by"));
    assert!(read.clone().count() > 0 && read.clone().all(|seen| seen.seen == "0 times"));
}

#[test]
fn the_clock_of_the_host_itself_is_refused_to_a_run_without_leave() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let refused = agent.ask(RequestBody::Prepare {
        fault: "host".into(),
        order: NodeFault::Local {
            act: LocalFault::HostClock { offset_ms: HOUR },
        },
        noop: false,
    });
    let refused = refused.unwrap_err();
    assert!(refused.contains("--allow-host-clock"), "{refused}");
}

#[test]
fn a_noop_clock_is_skipped_and_a_service_that_does_not_run_has_none() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    assert_eq!(
        agent.install("early", clock(HOUR)).outcome,
        Outcome::Skipped
    );
    let pid = start_teller(&mut agent, &node);
    let installed = agent.install_noop("clock", clock(HOUR));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert_eq!(
        seen(&installed, &format!("vDSO of pid {pid}")),
        "not changed"
    );
    assert_eq!(hours_off(&node), 0);
    assert_eq!(agent.undo("clock").outcome, Outcome::Skipped);
    agent
        .ask(RequestBody::Stop {
            service: "web".into(),
            timeout_ms: 20_000,
        })
        .unwrap();
}

#[test]
fn a_second_shift_of_one_service_is_refused_and_leaves_the_first() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    agent.install("first", clock(2 * HOUR));
    let second = agent.ask(RequestBody::Install {
        fault: "second".into(),
        order: clock(HOUR),
        noop: false,
    });
    assert!(
        second
            .unwrap_err()
            .contains("another fault shifts its clock")
    );
    becomes(&node, 2);
    agent.undo("first");
    becomes(&node, 0);
}

#[test]
#[ignore = "a measurement: run it alone, with --no-capture"]
fn accuracy_of_a_drift() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start_teller(&mut agent, &node);
    for rate in [0.5, 0.99, 1.001, 1.01, 2.0, 10.0] {
        agent.install("drift", skewed(Skew::Drift { rate }));
        let (wall, monotonic) = told_after(&node, 3);
        thread::sleep(Duration::from_secs(10));
        let (later, elapsed) = told_after(&node, 3);
        let seen = (later - wall) as f64 / (elapsed - monotonic) as f64;
        println!(
            "asked {rate}, got {seen:.5} over {} ms",
            elapsed - monotonic
        );
        agent.undo("drift");
    }
}
