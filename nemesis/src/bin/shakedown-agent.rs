//! `shakedown-agent`: the command line of the agent.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use shakedown_nemesis::agent::{
    AgentError, DEFAULT_STATE_DIR, ProcessId, StateDir, abilities, change_main, heal, helper_main,
    layer_main, leftovers, queue_main, serve, server_main, spawn_main, watchdog_main,
};

const USAGE: &str = "\
Usage: shakedown-agent COMMAND [--state DIR]

Inflicts faults on this node on behalf of a shakedown harness, and undoes them.

Commands:
  serve      take requests on standard input, answer on standard output
  heal       undo every fault still in place, print what was undone as JSON;
             exits 1 if something could not be undone
  leftovers  print what is still in place as JSON; exits 1 if something is
  abilities  print which faults this node can be given, by which mechanism, or
             why not, as JSON; exits 1 if there is one that it can't

Options:
  --state DIR  where faults in place are recorded [default: /var/lib/shakedown]
  --version    print the version
";

/// Wrong arguments; sysexits(3).
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Option<Vec<String>> = std::env::args_os()
        .skip(1)
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .ok();
    let arguments = arguments.unwrap_or_default();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["--version"] => {
            println!("shakedown-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [command @ ("serve" | "heal" | "leftovers" | "abilities")] => {
            run(command, DEFAULT_STATE_DIR)
        }
        [
            command @ ("serve" | "heal" | "leftovers" | "abilities"),
            "--state",
            state,
        ] => run(command, state),
        // Those below are how the agent starts itself; not for people.
        [
            "watchdog",
            "--state",
            state,
            "--lease-ms",
            lease,
            "--agent",
            agent,
        ] => watchdog(state, lease, agent),
        ["spawn", "--state", state, spec] => {
            open(state).and_then(|state| Err(spawn_main(&state, spec)))
        }
        ["helper", "--state", state, account, work] => open(state)
            .and_then(|state| helper_main(&state, Path::new(account), work))
            .map(|()| ExitCode::SUCCESS),
        ["layer", over, socket] => {
            layer_main(Path::new(over), Path::new(socket)).map(|()| ExitCode::SUCCESS)
        }
        ["queue", work] => queue_main(work).map(|()| ExitCode::SUCCESS),
        ["server", work] => server_main(work).map(|()| ExitCode::SUCCESS),
        ["clock", order] => change_main(order).map(|()| ExitCode::SUCCESS),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("shakedown-agent: {error}");
        ExitCode::from(2)
    })
}

fn run(command: &str, state: &str) -> Result<ExitCode, AgentError> {
    let state = open(state)?;
    match command {
        "serve" => {
            serve(state, std::io::stdin().lock(), std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        "heal" => {
            let report = heal(&state)?;
            print(&report);
            Ok(ExitCode::from(u8::from(!report.failed.is_empty())))
        }
        "abilities" => {
            let found = abilities(&state);
            print(&found);
            Ok(ExitCode::from(u8::from(!(found.iter()).all(|fault| {
                fault.available || fault.only_with.is_some()
            }))))
        }
        _ => {
            let found = leftovers(&state)?;
            print(&found);
            Ok(ExitCode::from(u8::from(!found.is_empty())))
        }
    }
}

fn watchdog(state: &str, lease: &str, agent: &str) -> Result<ExitCode, AgentError> {
    let refused = |what: &str| AgentError::Refused(format!("watchdog: bad {what}"));
    let lease = lease.parse().map_err(|_| refused("lease"))?;
    let agent: ProcessId = serde_json::from_str(agent).map_err(|_| refused("agent"))?;
    watchdog_main(&open(state)?, Duration::from_millis(lease), &agent)?;
    Ok(ExitCode::SUCCESS)
}

fn open(state: &str) -> Result<StateDir, AgentError> {
    StateDir::open(Path::new(state))
}

fn print<T: Serialize>(value: &T) {
    let text = serde_json::to_string_pretty(value).expect("plain data always turns into JSON");
    println!("{text}");
}
