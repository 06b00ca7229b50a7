//! Workloads that take a read and a conditional write.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::errors::{BROKEN, NO_FUNDS, OVERTAKEN};
use super::gateway::{Failed, Found, found, put, range, range_prefix, succeeded, unchanged};
use super::{Member, not_read, number};
use crate::objects::Answer;

const COUNTER: &str = "shakedown/counter";
const ACCOUNTS: &str = "shakedown/accounts/";

impl Member<'_> {
    /// Writes if the keys are as they were read.
    async fn write_unless_overtaken(
        &mut self,
        read: impl Iterator<Item = (String, i64)>,
        written: impl Iterator<Item = (String, String)>,
        answer: Value,
    ) -> Result<Answer, Failed> {
        let compare: Vec<Value> = read.map(|(key, at)| unchanged(&key, at)).collect();
        let success: Vec<Value> = written
            .map(|(key, value)| json!({"request_put": put(&key, &value)}))
            .collect();
        let body = json!({"compare": compare, "success": success});
        let done = self.post("/v3/kv/txn", &body).await?;
        Ok(match succeeded(&done) {
            true => Answer::Ok(answer),
            false => Answer::Error(OVERTAKEN, String::new()),
        })
    }

    pub(super) async fn counter(&mut self, f: &str, amount: &Value) -> Result<Answer, Failed> {
        let answer = self
            .read("/v3/kv/range", &range(COUNTER, self.serializable))
            .await?;
        let found = found(&answer).map_err(not_read)?.pop();
        let (value, at) = match &found {
            Some(found) => (number(&found.value).map_err(not_read)?, found.mod_revision),
            None => (0, 0),
        };
        if f == "read" {
            return Ok(Answer::Ok(value.into()));
        }
        let sum = value + amount.as_i64().unwrap_or_default();
        let read = [(COUNTER.to_owned(), at)].into_iter();
        let written = [(COUNTER.to_owned(), sum.to_string())].into_iter();
        self.write_unless_overtaken(read, written, Value::Null)
            .await
    }

    pub(super) async fn bank(
        &mut self,
        f: &str,
        asked: &Value,
        accounts: u32,
        initial: i64,
    ) -> Result<Answer, Failed> {
        let request = range_prefix(ACCOUNTS, self.serializable);
        let answer = self.read("/v3/kv/range", &request).await?;
        let mut balances: BTreeMap<String, (i64, i64)> = (0..accounts)
            .map(|account| (account.to_string(), (initial, 0)))
            .collect();
        for one in found(&answer).map_err(not_read)? {
            let account = one.key.trim_start_matches(ACCOUNTS).to_owned();
            let balance = number(&one.value).map_err(not_read)?;
            balances.insert(account, (balance, one.mod_revision));
        }
        if f == "read" {
            let balances: Map<String, Value> = balances
                .into_iter()
                .map(|(account, (balance, _))| (account, balance.into()))
                .collect();
            return Ok(Answer::Ok(balances.into()));
        }
        let of = |name: &str| {
            let account = asked[name].to_string();
            let (balance, at) = balances.get(&account).copied().unwrap_or((initial, 0));
            (format!("{ACCOUNTS}{account}"), balance, at)
        };
        let (from, to) = (of("from"), of("to"));
        let amount = asked["amount"].as_i64().unwrap_or_default();
        if from.1 < amount {
            return Err((NO_FUNDS, format!("{} of {amount}", from.1)));
        }
        let read = [(from.0.clone(), from.2), (to.0.clone(), to.2)].into_iter();
        let written = [
            (from.0, (from.1 - amount).to_string()),
            (to.0, (to.1 + amount).to_string()),
        ]
        .into_iter();
        self.write_unless_overtaken(read, written, Value::Null)
            .await
    }

    /// A transaction over lists, each of which is the value of a key.
    pub(super) async fn transaction(&mut self, asked: &Value) -> Result<Answer, Failed> {
        let mut steps = asked.as_array().cloned().unwrap_or_default();
        let mut lists: BTreeMap<String, List> = BTreeMap::new();
        for step in &steps {
            lists.entry(key_of(step)).or_default();
        }
        let ranges: Vec<Value> = lists
            .keys()
            .map(|key| json!({"request_range": range(key, self.serializable)}))
            .collect();
        let answer = self.read("/v3/kv/txn", &json!({"success": ranges})).await?;
        let responses = answer["responses"].as_array().cloned().unwrap_or_default();
        if responses.len() != lists.len() {
            let text = "the transaction answered other than it was asked".to_owned();
            return Err(not_read((BROKEN, text)));
        }
        for (list, response) in lists.values_mut().zip(&responses) {
            if let Some(found) = found(&response["response_range"]).map_err(not_read)?.pop() {
                *list = List::of(&found).map_err(not_read)?;
            }
        }
        for step in &mut steps {
            let list = lists.entry(key_of(step)).or_default();
            if step[0] == "r" {
                step[2] = json!(list.items);
            } else {
                list.items.push(step[2].clone());
                list.appended = true;
            }
        }
        if lists.values().all(|list| !list.appended) {
            return Ok(Answer::Ok(steps.into()));
        }
        let read = lists.iter().map(|(key, list)| (key.clone(), list.at));
        let appended = lists.iter().filter(|(_, list)| list.appended);
        let written = appended.map(|(key, list)| (key.clone(), json!(list.items).to_string()));
        self.write_unless_overtaken(read, written, steps.into())
            .await
    }
}

#[derive(Debug, Default)]
struct List {
    items: Vec<Value>,
    /// The revision it was written at; 0 if it never was.
    at: i64,
    appended: bool,
}

impl List {
    fn of(found: &Found) -> Result<List, Failed> {
        let odd = |_| (BROKEN, format!("{:?} was never written", found.value));
        Ok(List {
            items: serde_json::from_str(&found.value).map_err(odd)?,
            at: found.mod_revision,
            appended: false,
        })
    }
}

fn key_of(step: &Value) -> String {
    format!("shakedown/list/{}", step[1])
}
