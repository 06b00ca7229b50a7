//! The workloads in Redis' terms.
//!
//! | workload | commands |
//! |---|---|
//! | register | `GET`, `SET`; cas is a script that compares and sets |
//! | append | `MULTI` with `RPUSH` and `LRANGE` |
//! | set | `SADD`, `SMEMBERS` |
//! | counter | `INCRBY`, `GET` |
//! | bank | one hash; a transfer is a script that looks and moves, a read is `HGETALL` |

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, cmd, pipe};
use serde_json::{Map, Value, json};

use super::errors::{BROKEN, NO_FUNDS, NOT_EQUAL, of};
use crate::objects::spec::Kind;
use crate::objects::{Answer, Invocation, Spec};

const SET: &str = "shakedown:set";
const COUNTER: &str = "shakedown:counter";
const ACCOUNTS: &str = "shakedown:accounts";

const COMPARE_AND_SET: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1";

/// An account that is not there has the initial balance. Balances are written as whole numbers.
const TRANSFER: &str = "\
local function balance(account)
  return tonumber(redis.call('HGET', KEYS[1], account) or ARGV[4])
end
local amount = tonumber(ARGV[3])
local from, to = balance(ARGV[1]), balance(ARGV[2])
if from < amount then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', from - amount))
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', to + amount))
return 1";

/// Carries out an operation over a connection.
pub(super) async fn carry_out(
    connection: &mut MultiplexedConnection,
    spec: &Spec,
    asked: &Invocation,
) -> Answer {
    let done = match (&spec.0, &*asked.f) {
        (Kind::Register { .. }, f) => register(connection, f, asked).await,
        (Kind::Append { .. }, _) => transaction(connection, &asked.value).await,
        (Kind::Set, "read") => {
            let members: RedisResult<Vec<i64>> = one("SMEMBERS", SET).query_async(connection).await;
            members.map(|members| Answer::Ok(json!(members)))
        }
        (Kind::Set, _) => written(one("SADD", SET).arg(number(&asked.value)), connection).await,
        (Kind::Counter, "read") => {
            let value: RedisResult<Option<i64>> = one("GET", COUNTER).query_async(connection).await;
            value.map(|value| Answer::Ok(json!(value.unwrap_or(0))))
        }
        (Kind::Counter, _) => {
            written(one("INCRBY", COUNTER).arg(number(&asked.value)), connection).await
        }
        (Kind::Bank { accounts, balance }, "read") => {
            balances(connection, accounts.get(), (*balance).into()).await
        }
        (Kind::Bank { balance, .. }, _) => transfer(connection, &asked.value, *balance).await,
    };
    done.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &RedisError) -> Answer {
    // Some of its messages have several lines.
    Answer::Error(of(error), error.to_string().replace('\n', "; "))
}

fn one(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// An integer of an operation; the generators offer no others.
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

async fn written(command: &Cmd, connection: &mut MultiplexedConnection) -> RedisResult<Answer> {
    let _: redis::Value = command.query_async(connection).await?;
    Ok(Answer::Ok(Value::Null))
}

async fn register(
    connection: &mut MultiplexedConnection,
    f: &str,
    asked: &Invocation,
) -> RedisResult<Answer> {
    let key = format!("shakedown:register:{}", asked.key.unwrap_or_default());
    match f {
        "read" => {
            let value: Option<i64> = one("GET", &key).query_async(connection).await?;
            Ok(Answer::Ok(json!(value)))
        }
        "write" => written(one("SET", &key).arg(number(&asked.value)), connection).await,
        _ => {
            let mut script = cmd("EVAL");
            script.arg(COMPARE_AND_SET).arg(1).arg(&key);
            script
                .arg(number(&asked.value[0]))
                .arg(number(&asked.value[1]));
            let set: bool = script.query_async(connection).await?;
            Ok(if set {
                Answer::Ok(Value::Null)
            } else {
                Answer::Error(NOT_EQUAL, String::new())
            })
        }
    }
}

async fn transaction(connection: &mut MultiplexedConnection, steps: &Value) -> RedisResult<Answer> {
    let mut answered = steps.as_array().cloned().unwrap_or_default();
    let mut commands = pipe();
    commands.atomic();
    for step in &answered {
        let key = format!("shakedown:list:{}", number(&step[1]));
        match step[0] == "r" {
            true => commands.cmd("LRANGE").arg(key).arg(0).arg(-1),
            false => commands.cmd("RPUSH").arg(key).arg(number(&step[2])),
        };
    }
    let results: Vec<redis::Value> = commands.query_async(connection).await?;
    if results.len() != answered.len() {
        let text = format!("EXEC answered {} of {}", results.len(), answered.len());
        return Ok(Answer::Error(BROKEN, text));
    }
    for (step, result) in answered.iter_mut().zip(results) {
        if step[0] == "r" {
            let list: Vec<i64> = redis::from_redis_value(result).map_err(RedisError::from)?;
            step[2] = json!(list);
        }
    }
    Ok(Answer::Ok(Value::Array(answered)))
}

async fn transfer(
    connection: &mut MultiplexedConnection,
    asked: &Value,
    initial: u32,
) -> RedisResult<Answer> {
    let mut script = cmd("EVAL");
    script.arg(TRANSFER).arg(1).arg(ACCOUNTS);
    for field in ["from", "to", "amount"] {
        script.arg(number(&asked[field]));
    }
    script.arg(initial);
    let moved: bool = script.query_async(connection).await?;
    Ok(if moved {
        Answer::Ok(Value::Null)
    } else {
        Answer::Error(NO_FUNDS, String::new())
    })
}

async fn balances(
    connection: &mut MultiplexedConnection,
    accounts: u32,
    initial: i64,
) -> RedisResult<Answer> {
    let known: BTreeMap<String, i64> = one("HGETALL", ACCOUNTS).query_async(connection).await?;
    let mut balances: Map<String, Value> = (0..accounts)
        .map(|account| (account.to_string(), initial.into()))
        .collect();
    balances.extend(
        known
            .into_iter()
            .map(|(account, balance)| (account, balance.into())),
    );
    Ok(Answer::Ok(balances.into()))
}
