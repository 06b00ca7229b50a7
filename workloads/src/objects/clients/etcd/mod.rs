//! A client of etcd 3.4 and later, through the JSON gateway that every member has at its client port.
//!
//! | workload | requests |
//! |---|---|
//! | register | range, put; cas is a transaction that compares the value |
//! | set | a key for each element; a read is a range over them, page by page at one revision |
//! | append, counter, bank | a read, and a transaction that writes if what was read is unchanged |
//!
//! A transaction that finds something changed is not repeated: that is an error without effect.

mod errors;
mod gateway;
mod transactions;

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::objects::spec::Kind;
use crate::objects::{Answer, Client, Invocation, KnownError, Spec};
use errors::{BROKEN, NOT_EQUAL, NOT_READ};
use gateway::{
    Failed, Gateway, after_prefix, encoded, equal, found, integer, put, range, succeeded,
};

/// How etcd is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// What is read is as new as the cluster is; asks the leader.
    Linearizable,
    /// What the member itself has, however old.
    Serializable,
}

/// A word that is no way to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reads = {0:?}: expected \"linearizable\" or \"serializable\"")]
pub struct ReadsError(String);

impl FromStr for Reads {
    type Err = ReadsError;

    fn from_str(text: &str) -> Result<Self, ReadsError> {
        match text {
            "linearizable" => Ok(Reads::Linearizable),
            "serializable" => Ok(Reads::Serializable),
            other => Err(ReadsError(other.to_owned())),
        }
    }
}

/// Where etcd is, and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdConfig {
    /// Host and port of the member to speak to.
    pub address: String,
    /// How to read.
    pub reads: Reads,
    /// An operation must be answered within this time; each page of a set that is read.
    pub timeout: Duration,
}

/// A client of etcd.
#[derive(Debug)]
pub struct EtcdClient {
    spec: Spec,
    serializable: bool,
    timeout: Duration,
    errors: Vec<KnownError>,
    gateway: Result<Gateway, String>,
}

/// Elements read at a time.
const PAGE: usize = 1_000;
const ELEMENTS: &str = "shakedown/set/";

impl EtcdClient {
    /// A client that connects when it is first asked for something.
    pub fn new(config: EtcdConfig, spec: &Spec) -> Self {
        EtcdClient {
            spec: spec.clone(),
            serializable: config.reads == Reads::Serializable,
            timeout: config.timeout,
            errors: errors::all(),
            gateway: Gateway::new(&config.address),
        }
    }
}

impl Client for EtcdClient {
    fn errors(&self) -> &[KnownError] {
        &self.errors
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        let gateway = match &mut self.gateway {
            Ok(gateway) => gateway,
            Err(why) => return Answer::Defect(why.clone()),
        };
        let mut member = Member {
            gateway,
            serializable: self.serializable,
            timeout: self.timeout,
            deadline: Instant::now() + self.timeout,
        };
        let done = match (&self.spec.0, &*asked.f) {
            (Kind::Register { .. }, f) => member.register(f, asked).await,
            (Kind::Set, "read") => member.elements().await,
            (Kind::Set, _) => {
                let key = format!("{ELEMENTS}{}", asked.value);
                member.put(&key, "").await
            }
            (Kind::Append { .. }, _) => member.transaction(&asked.value).await,
            (Kind::Counter, f) => member.counter(f, &asked.value).await,
            (Kind::Bank { accounts, balance }, f) => {
                let initial = i64::from(*balance);
                member.bank(f, &asked.value, accounts.get(), initial).await
            }
        };
        done.unwrap_or_else(|(error, text)| Answer::Error(error, text))
    }
}

/// A member in the course of one operation.
struct Member<'a> {
    gateway: &'a mut Gateway,
    serializable: bool,
    timeout: Duration,
    deadline: Instant,
}

impl Member<'_> {
    async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.gateway.post(path, body, self.deadline).await
    }

    /// A request that changes nothing, so that nothing can have happened if it fails.
    async fn read(&mut self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.post(path, body).await.map_err(not_read)
    }

    async fn put(&mut self, key: &str, value: &str) -> Result<Answer, Failed> {
        self.post("/v3/kv/put", &put(key, value)).await?;
        Ok(Answer::Ok(Value::Null))
    }

    async fn register(&mut self, f: &str, asked: &Invocation) -> Result<Answer, Failed> {
        let key = format!("shakedown/register/{}", asked.key.unwrap_or_default());
        match f {
            "read" => {
                let answer = self
                    .read("/v3/kv/range", &range(&key, self.serializable))
                    .await?;
                let value = match found(&answer).map_err(not_read)?.first() {
                    Some(found) => json!(number(&found.value).map_err(not_read)?),
                    None => Value::Null,
                };
                Ok(Answer::Ok(value))
            }
            "write" => self.put(&key, &asked.value.to_string()).await,
            _ => {
                let [old, new] = [0, 1].map(|at| asked.value[at].to_string());
                let body = json!({
                    "compare": [equal(&key, &old)],
                    "success": [{"request_put": put(&key, &new)}],
                });
                let answer = self.post("/v3/kv/txn", &body).await?;
                Ok(match succeeded(&answer) {
                    true => Answer::Ok(Value::Null),
                    false => Answer::Error(NOT_EQUAL, String::new()),
                })
            }
        }
    }

    /// All elements of the set: the pages after the first are of the same revision. Each page has its own time,
    /// since a set may have any number of them.
    async fn elements(&mut self) -> Result<Answer, Failed> {
        let mut elements = Vec::new();
        let mut from = ELEMENTS.to_owned();
        let mut revision = 0;
        loop {
            let page = json!({
                "key": encoded(&from),
                "range_end": encoded(&after_prefix(ELEMENTS)),
                "keys_only": true,
                "limit": PAGE.to_string(),
                "revision": revision.to_string(),
                "serializable": self.serializable,
            });
            self.deadline = Instant::now() + self.timeout;
            let answer = self.read("/v3/kv/range", &page).await?;
            let page = found(&answer).map_err(not_read)?;
            for one in &page {
                let element = one.key.trim_start_matches(ELEMENTS);
                elements.push(number(element).map_err(not_read)?);
            }
            match (page.last(), answer["more"] == true) {
                (Some(last), true) => from = format!("{}\0", last.key),
                _ => return Ok(Answer::Ok(json!(elements))),
            }
            revision = integer(&answer["header"]["revision"])
                .ok_or_else(|| (NOT_READ, "a page without its revision".to_owned()))?;
        }
    }
}

fn not_read((error, text): Failed) -> Failed {
    (NOT_READ, format!("{}: {text}", error.name))
}

/// A number as it was written.
fn number(text: &str) -> Result<i64, Failed> {
    let odd = || (BROKEN, format!("{text:?} was never written"));
    text.parse().map_err(|_| odd())
}
