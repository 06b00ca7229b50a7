//! A database in memory that does everything right, or one thing wrong, and clients of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use shakedown_workloads::objects::{Answer, Client, Effect, Invocation, KnownError, Spec};

/// What is wrong with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Now and then a read sees what was there before the last write.
    StaleRead,
    /// Now and then a cas does not compare.
    CasWithoutCompare,
    /// Now and then an acknowledged append is not there.
    LostAppend,
    /// Now and then an acknowledged element is not there.
    LostAdd,
    /// Now and then an amount is added twice.
    DoubleAdd,
    /// Now and then an amount is taken from one account and never arrives at the other.
    BrokenTransfer,
}

/// How often a bug strikes: every so many chances.
const NOW_AND_THEN: u64 = 9;

#[derive(Debug)]
struct State {
    bug: Bug,
    chances: u64,
    registers: HashMap<i64, Vec<Value>>,
    lists: HashMap<i64, Vec<Value>>,
    set: Vec<Value>,
    counter: i64,
    balances: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Database(Arc<Mutex<State>>);

impl Database {
    pub(crate) fn new(spec: &Spec, bug: Bug) -> Self {
        let accounts = spec.accounts().unwrap_or(0) as usize;
        Database(Arc::new(Mutex::new(State {
            bug,
            chances: 0,
            registers: HashMap::new(),
            lists: HashMap::new(),
            set: Vec::new(),
            counter: 0,
            balances: vec![spec.initial_balance().unwrap_or(0); accounts],
        })))
    }
}

impl State {
    fn strikes(&mut self, bug: Bug) -> bool {
        self.chances += u64::from(self.bug == bug);
        self.bug == bug && self.chances.is_multiple_of(NOW_AND_THEN)
    }

    fn apply(&mut self, asked: &Invocation) -> Answer {
        let value = &asked.value;
        let number = |name: &str| value[name].as_i64().unwrap();
        Answer::Ok(match (&*asked.f, asked.key) {
            ("read", Some(key)) => {
                let stale = self.strikes(Bug::StaleRead);
                let versions = self.registers.entry(key).or_default();
                let last = versions.len().checked_sub(1 + usize::from(stale));
                last.map_or(Value::Null, |at| versions[at].clone())
            }
            ("write", Some(key)) => {
                self.registers.entry(key).or_default().push(value.clone());
                Value::Null
            }
            ("cas", Some(key)) => {
                let blind = self.strikes(Bug::CasWithoutCompare);
                let versions = self.registers.entry(key).or_default();
                if versions.last() != Some(&value[0]) && !blind {
                    return Answer::Error(NOT_EQUAL, String::new());
                }
                versions.push(value[1].clone());
                Value::Null
            }
            ("txn", _) => {
                let mut steps = value.as_array().unwrap().clone();
                for step in &mut steps {
                    let key = step[1].as_i64().unwrap();
                    if step[0] == "r" {
                        step[2] = json!(self.lists.get(&key).cloned().unwrap_or_default());
                    } else if !self.strikes(Bug::LostAppend) {
                        self.lists.entry(key).or_default().push(step[2].clone());
                    }
                }
                Value::Array(steps)
            }
            ("add", _) if self.balances.is_empty() => {
                if !self.strikes(Bug::LostAdd) {
                    self.set.push(value.clone());
                }
                let twice = i64::from(self.strikes(Bug::DoubleAdd));
                self.counter += value.as_i64().unwrap() * (1 + twice);
                Value::Null
            }
            ("transfer", _) => {
                let (from, to) = (number("from") as usize, number("to") as usize);
                if self.balances[from] < number("amount") {
                    return Answer::Error(NO_FUNDS, String::new());
                }
                self.balances[from] -= number("amount");
                if !self.strikes(Bug::BrokenTransfer) {
                    self.balances[to] += number("amount");
                }
                Value::Null
            }
            ("read", None) => return Answer::Ok(Value::Null),
            other => panic!("{other:?}"),
        })
    }

    /// The object that has no keys.
    fn whole(&self, kind: &str) -> Value {
        match kind {
            "set" => Value::Array(self.set.clone()),
            "counter" => self.counter.into(),
            _ => {
                let accounts = self.balances.iter().enumerate();
                let balances: Map<String, Value> = accounts
                    .map(|(account, balance)| (account.to_string(), json!(balance)))
                    .collect();
                balances.into()
            }
        }
    }
}

const NOT_EQUAL: KnownError = KnownError::new("not-equal", Effect::None, "it compared");
const NO_FUNDS: KnownError = KnownError::new("no-funds", Effect::None, "it looked");
const REFUSED: KnownError = KnownError::new("refused", Effect::None, "before it is asked");
const LOST: KnownError = KnownError::new("lost", Effect::Maybe, "before or after it is asked");
static ERRORS: [KnownError; 4] = [NOT_EQUAL, NO_FUNDS, REFUSED, LOST];

/// A client over a bad line: some operations do not arrive, of some the answer does not.
#[derive(Debug)]
pub(crate) struct MemoryClient {
    database: Database,
    kind: &'static str,
    asked: u64,
}

impl MemoryClient {
    pub(crate) fn new(database: &Database, spec: &Spec) -> Self {
        MemoryClient {
            database: database.clone(),
            kind: spec.kind(),
            asked: 0,
        }
    }

    fn apply(&self, asked: &Invocation) -> Answer {
        let mut state = self.database.0.lock().unwrap();
        match state.apply(asked) {
            Answer::Ok(_) if asked.f == "read" && asked.key.is_none() => {
                Answer::Ok(state.whole(self.kind))
            }
            answer => answer,
        }
    }
}

impl Client for MemoryClient {
    fn errors(&self) -> &[KnownError] {
        &ERRORS
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        self.asked += 1;
        tokio::task::yield_now().await;
        if self.asked.is_multiple_of(23) {
            return Answer::Error(REFUSED, "no connection".to_owned());
        }
        if self.asked.is_multiple_of(31) {
            return Answer::Error(LOST, "the request".to_owned());
        }
        let answer = self.apply(asked);
        tokio::task::yield_now().await;
        if self.asked.is_multiple_of(29) {
            return Answer::Error(LOST, "the answer".to_owned());
        }
        answer
    }
}
