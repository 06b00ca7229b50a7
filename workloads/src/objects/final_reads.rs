//! The reads after the last load.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::clock::RunClock;
use crate::load::{Exchange, LoadError, StageSummary};
use crate::objects::actor::{Asked, ObjectActor};
use crate::objects::generator::{invocation, read};
use crate::objects::spec::Kind;
use crate::objects::{Client, Invocation, ObjectLoad, Objects};
use crate::sink::{EventSink, RecorderStopped};

/// What the final reads came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FinalReads {
    /// Reads that had to be answered. One by every client of an object that is read whole; one for every
    /// key.
    pub wanted: u64,
    /// Reads that were.
    pub answered: u64,
    /// All that were sent.
    pub summary: StageSummary,
}

impl FinalReads {
    /// Whether everything was read.
    pub fn is_complete(&self) -> bool {
        self.answered == self.wanted
    }
}

/// How often reads that were not answered are tried again, through another client each time.
const ATTEMPTS: u32 = 10;
/// Before they are.
const PAUSE: Duration = Duration::from_millis(500);

impl Objects {
    /// Reads what the loads worked on, once all is well again, and records that like any operation.
    ///
    /// An object that is read whole (set, counter, bank) is read through every client; keys are shared out
    /// among the clients. What one does not answer is read through another.
    ///
    /// # Errors
    /// If there are too many clients, or the history takes no more events.
    ///
    /// # Panics
    /// If a client panics.
    pub async fn final_reads<C: Client>(
        &self,
        clients: Vec<C>,
        clock: RunClock,
        sink: &EventSink,
    ) -> Result<FinalReads, LoadError> {
        let Some(processes) = u32::try_from(clients.len()).ok().and_then(NonZeroU32::new) else {
            return Ok(FinalReads::default());
        };
        let slots = self.take(processes)?;
        let asked = Asked {
            weights: ObjectLoad::default().weights(self.spec())?,
            processes,
        };
        let mut left = self.reads(clients.len());
        let mut reads = FinalReads {
            wanted: left.len() as u64,
            ..FinalReads::default()
        };
        let actors = slots.into_iter().zip(clients);
        let mut readers: Vec<_> = actors
            .map(|(slot, client)| Reader {
                actor: ObjectActor::new(self, slot, client, asked.clone()),
                exchange: Exchange::new(clock, sink.clone()),
                left: Vec::new(),
            })
            .collect();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let count = readers.len();
            for (at, read) in left.drain(..).enumerate() {
                readers[at % count].left.push(read);
            }
            let mut tasks: JoinSet<Result<Reader<C>, RecorderStopped>> =
                readers.drain(..).map(Reader::read).collect();
            while let Some(joined) = tasks.join_next().await {
                let reader =
                    joined.unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()));
                readers.push(reader?);
            }
            readers.sort_by_key(|reader| reader.actor.number());
            left.extend(readers.iter_mut().flat_map(|reader| reader.left.drain(..)));
            if left.is_empty() {
                break;
            }
            // What was left goes to another client than before.
            readers.rotate_left(1);
        }
        for reader in &readers {
            reads.summary.add(reader.exchange.summary);
        }
        reads.answered = reads.wanted - left.len() as u64;
        Ok(reads)
    }

    /// Everything that is to be read at the end, through so many clients.
    fn reads(&self, clients: usize) -> Vec<Invocation> {
        let keys = 0..self.keys_end();
        match self.spec().0 {
            Kind::Register { .. } => keys.map(|key| read(Some(key))).collect(),
            Kind::Append { .. } => keys
                .map(|key| invocation("txn", None, json!([["r", key, null]])))
                .collect(),
            Kind::Set | Kind::Counter | Kind::Bank { .. } => vec![read(None); clients],
        }
    }
}

/// A client in the final reads.
struct Reader<C: Client> {
    actor: ObjectActor<C>,
    exchange: Exchange,
    left: Vec<Invocation>,
}

impl<C: Client> Reader<C> {
    /// Reads until all is read, or something is not answered.
    async fn read(mut self) -> Result<Self, RecorderStopped> {
        while let Some(invocation) = self.left.last() {
            let before = self.exchange.summary.ok;
            self.exchange
                .carry_out(&mut self.actor, invocation, None)
                .await?;
            if self.exchange.summary.ok == before {
                break;
            }
            self.left.pop();
        }
        Ok(self)
    }
}
