//! Faults that answer in another's place: connections to a port, and a node's questions for names, are led
//! to an attendant on the node itself.

mod connection;
mod counts;
mod dns;
mod proxy;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::counts::Counters;
pub(crate) use self::counts::Counts;
use super::account::Account;
use super::attendant::{self, ACCOUNT_EVERY, Attendant, Listener, News, say_ready};
use super::error::AgentError;
use super::state_dir::StateLock;
use crate::fault::NodeFault;
use crate::ports::{DnsMode, StreamMode};

/// What an attendant is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Work {
    service: Service,
    /// Where to keep account.
    totals: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Service {
    /// Stand between clients and the service that listens on a port.
    Stream { port: u16, mode: StreamMode },
    /// Answer questions for names.
    Dns(DnsMode),
}

/// Starts the process that an order needs, which tells its port; `None` if it needs none.
pub(crate) fn start(
    lock: &StateLock<'_>,
    run: &str,
    fault: &str,
    order: &NodeFault,
) -> Result<Option<Attendant>, AgentError> {
    let service = match order {
        NodeFault::Stream { port, mode, .. } => Service::Stream {
            port: *port,
            mode: *mode,
        },
        NodeFault::Dns { mode } if *mode != DnsMode::Drop => Service::Dns(*mode),
        _ => return Ok(None),
    };
    let totals = attendant::account(lock, run, fault)?;
    let work = Work {
        service,
        totals: totals.clone(),
    };
    attendant::start(
        "server",
        &work,
        totals,
        "nobody can answer in another's place",
    )
    .map(Some)
}

/// `shakedown-agent server`: does the work; prints its port once it is ready.
///
/// # Errors
/// When there is no port, or its account can't be written.
pub fn server_main(work: &str) -> Result<(), AgentError> {
    let refused = |error: &dyn std::fmt::Display| AgentError::Refused(format!("server: {error}"));
    let work: Work = serde_json::from_str(work).map_err(|error| refused(&error))?;
    run(&work).map_err(|error| refused(&error))
}

fn run(work: &Work) -> io::Result<()> {
    let listener = Listener::begin(c"shakedown-serve")?;
    let counters: &'static Counters = Box::leak(Box::default());
    let port = match work.service {
        Service::Stream { port, mode } => proxy::serve(port, mode, counters)?,
        Service::Dns(mode) => dns::serve(mode, counters)?,
    };
    say_ready(port)?;
    let mut asked = 0;
    loop {
        let news = listener.wait(None, ACCOUNT_EVERY)?;
        asked += u64::from(news == News::Tell);
        write(asked, counters, &work.totals)?;
        if news == News::End {
            return Ok(());
        }
    }
}

fn write(asked: u64, counters: &Counters, path: &Path) -> io::Result<()> {
    let totals = counters.counts();
    Account { asked, totals }.write(path)
}
