//! A client of Redis: one connection for each process, over which every operation goes out once.
//!
//! With a Sentinel, a process asks the one on its own node who the primary is, so that clients stay on both sides of a
//! partition. It asks again every quarter of a second, as clients do that listen for `+switch-master`, and goes to
//! whom it is told; a Sentinel that does not answer changes nothing. A connection that breaks, on which an operation
//! times out, or on which the server refuses one, is given up. The operation itself is never repeated.

mod commands;
mod errors;

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult, cmd};
use tokio::time::{Instant, timeout_at};

use crate::objects::clients::errors::TIMED_OUT;
use crate::objects::{Answer, Client, Invocation, KnownError, Spec};
use commands::carry_out;
use errors::{NO_CONNECTION, NO_FUNDS, NO_PRIMARY, NOT_EQUAL};

/// How long the answer of a Sentinel is relied on.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// Host and port of the server to speak to, unless a Sentinel says another.
    pub address: String,
    /// Whom to ask for the primary.
    pub sentinel: Option<Sentinel>,
    /// An operation must be answered within this time, finding and connecting to the server included.
    pub timeout: Duration,
}

/// A Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// Its host and port.
    pub address: String,
    /// What it calls the primary and its replicas.
    pub name: String,
}

/// A client of Redis.
pub struct RedisClient {
    config: RedisConfig,
    spec: Spec,
    errors: Vec<KnownError>,
    connection: Option<Kept>,
}

/// A connection that is kept from operation to operation.
struct Kept {
    connection: MultiplexedConnection,
    address: String,
    /// When a Sentinel last said that this is the primary.
    said: Instant,
}

impl std::fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisClient")
            .field("config", &self.config)
            .field("connected", &self.connection.is_some())
            .finish_non_exhaustive()
    }
}

impl RedisClient {
    /// A client that connects when it is first asked for something.
    pub fn new(config: RedisConfig, spec: &Spec) -> Self {
        RedisClient {
            config,
            spec: spec.clone(),
            errors: errors::all(),
            connection: None,
        }
    }

    /// The kept connection, or a new one to whoever is the primary.
    async fn connection(&mut self) -> Result<Kept, Answer> {
        let kept = self.connection.take();
        let address = match (&self.config.sentinel, kept) {
            (None, Some(kept)) => return Ok(kept),
            (None, None) => self.config.address.clone(),
            (Some(_), Some(kept)) if kept.said.elapsed() < ASK_AGAIN => return Ok(kept),
            (Some(sentinel), kept) => match (primary(sentinel).await, kept) {
                (Ok(address), Some(kept)) if kept.address != address => address,
                (_, Some(kept)) => {
                    let said = Instant::now();
                    return Ok(Kept { said, ..kept });
                }
                (answer, None) => answer?,
            },
        };
        match connect(&address).await {
            Ok(connection) => Ok(Kept {
                connection,
                address,
                said: Instant::now(),
            }),
            Err(error) => {
                let text = format!("{address}: {error}");
                Err(Answer::Error(NO_CONNECTION, text))
            }
        }
    }
}

async fn primary(sentinel: &Sentinel) -> Result<String, Answer> {
    let Sentinel { address, name } = sentinel;
    let ask = async {
        let mut connection = connect(address).await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(name);
        ask.query_async(&mut connection).await
    };
    let answer: RedisResult<Option<(String, u16)>> = ask.await;
    match answer {
        Ok(Some((host, port))) => Ok(format!("{host}:{port}")),
        Ok(None) => {
            let text = format!("the Sentinel {address} knows no {name:?}");
            Err(Answer::Error(NO_PRIMARY, text))
        }
        Err(error) => {
            let text = format!("Sentinel {address}: {error}");
            Err(Answer::Error(NO_PRIMARY, text))
        }
    }
}

/// Connects; the caller limits the time.
async fn connect(address: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    redis::Client::open(format!("redis://{address}/"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

impl Client for RedisClient {
    fn errors(&self) -> &[KnownError] {
        &self.errors
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        let deadline = Instant::now() + self.config.timeout;
        let mut kept = match timeout_at(deadline, self.connection()).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(answer)) => return answer,
            Err(_) => return Answer::Error(NO_CONNECTION, "timed out".to_owned()),
        };
        let answered = timeout_at(deadline, carry_out(&mut kept.connection, &self.spec, asked));
        match answered.await {
            Ok(answer) => {
                if in_order(&answer) {
                    self.connection = Some(kept);
                }
                answer
            }
            Err(_) => Answer::Error(TIMED_OUT, String::new()),
        }
    }
}

/// Whether the server did its part, so that the connection is kept.
fn in_order(answer: &Answer) -> bool {
    match answer {
        Answer::Ok(_) => true,
        Answer::Error(error, _) => *error == NOT_EQUAL || *error == NO_FUNDS,
        Answer::Defect(_) => false,
    }
}
