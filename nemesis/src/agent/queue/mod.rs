//! Faults that look at packets or have effects on them: an attendant reads a queue that rules fill.
//!
//! Should it die, the rules let packets pass. It is ended before its table is deleted: what it holds then
//! goes on its way, where the kernel would drop it with the table.

mod copies;
mod damage;
mod headers;
mod matches;
mod netlink;
mod ongoing;
mod packets;
mod rule;
mod shape;
mod shaper;
mod totals;
mod worker;

pub use worker::queue_main;

pub(crate) use self::matches::Looked;
use self::rule::Filler;
pub(crate) use self::totals::Totals;
use self::worker::Work;
use super::attendant::{self, Attendant};
use super::error::AgentError;
use super::inflict::Order;
use super::state_dir::StateLock;
use crate::fault::NodeFault;

/// A queue that is read and that no rule fills yet.
#[derive(Debug)]
pub(crate) struct Reader {
    filler: Filler,
    pub(crate) attendant: Attendant,
}

impl Reader {
    /// Lets a chain of a table, loaded already, fill the queue.
    pub(crate) fn fill_from(
        &self,
        table: &str,
        chain: &str,
        comment: &str,
    ) -> Result<(), AgentError> {
        self.filler
            .append(table, chain, comment, self.attendant.number)
            .map_err(|error| AgentError::Refused(format!("rule that fills a queue: {error}")))
    }
}

/// Starts the process that an order needs; `None` if it needs none.
pub(crate) fn start(lock: &StateLock<'_>, order: Order<'_>) -> Result<Option<Reader>, AgentError> {
    let totals = attendant::account(lock, order.run, order.fault)?;
    let work = match order.order {
        NodeFault::Shape { effects, .. } => Work::Shape {
            effects: *effects,
            seed: order.seed,
            totals: totals.clone(),
        },
        NodeFault::Reset {
            containing,
            probability,
            ..
        } if !containing.is_empty() => Work::Match {
            patterns: containing.clone(),
            probability: *probability,
            seed: order.seed,
            account: totals.clone(),
        },
        _ => return Ok(None),
    };
    let purpose = "packets can't be queued";
    let filler = Filler::of_this_kernel()
        .map_err(|error| AgentError::Refused(format!("{purpose}: {error}")))?;
    let attendant = attendant::start("queue", &work, totals, purpose)?;
    Ok(Some(Reader { filler, attendant }))
}

/// Looks whether packets can be queued here; how rules would fill the queue.
pub(crate) fn trial() -> Result<&'static str, AgentError> {
    let filler = Filler::of_this_kernel()
        .map_err(|error| AgentError::Refused(format!("packets can't be queued: {error}")))?;
    Ok(match filler {
        Filler::Statement => "nft_queue",
        Filler::Target => "nft_compat with xt_NFQUEUE",
    })
}
