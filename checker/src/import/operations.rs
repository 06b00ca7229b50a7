//! From events to the operations of a data type.
//!
//! `:fail` means that the operation did not happen, unless the type can say more (a failed
//! compare-and-set of [`etcd`]); `:info` and no completion at all leave it open. A completed read of
//! `nil` says nothing where `nil` stands for "not known", as in Knossos' histories.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::history::EventKind;
use crate::linearizability::models::{
    CounterOp, MutexOp, PutTake, RegisterOp, SetOp, TextOp, TxnOp, TxnStep,
};
use crate::linearizability::{Called, History, HistoryBuilder, Keyed};

use super::error::ImportError;
use super::event::Event;
use super::names::Names;
use super::value::Value;

/// What an operation says, if anything.
type Said<O> = Result<Option<O>, ImportError>;

/// Pairs invocations with completions. `open` says what an operation counts as if it never returns,
/// `done` what it counts as once it has returned, `ok` or `fail`.
pub fn pair<O: Clone>(
    events: &[Event],
    mut open: impl FnMut(&Event) -> Said<O>,
    mut done: impl FnMut(&Event, &Event) -> Said<O>,
) -> Result<History<O>, ImportError> {
    let mut builder: HistoryBuilder<Option<O>> = HistoryBuilder::default();
    let mut pending: HashMap<i64, (Called, &Event)> = HashMap::new();
    for event in events {
        let Some(process) = event.process else {
            continue;
        };
        if event.kind == EventKind::Invoke {
            let called = builder.call(process, open(event)?);
            if pending.insert(process, (called, event)).is_some() {
                return Err(wrong(
                    event,
                    "its process has not completed its last operation",
                ));
            }
            continue;
        }
        let (called, invoked) = pending
            .remove(&process)
            .ok_or_else(|| wrong(event, "a completion without invocation"))?;
        if invoked.f != event.f {
            return Err(wrong(
                event,
                "it completes another function than was invoked",
            ));
        }
        if event.kind != EventKind::Info {
            match done(invoked, event)? {
                Some(op) => builder.ret(called, Some(op)),
                None => builder.forget(called),
            }
        }
    }
    Ok(builder.finish().flatten())
}

fn wrong(event: &Event, reason: &str) -> ImportError {
    let process = event.process.map_or("?".to_owned(), |p| p.to_string());
    ImportError::new(
        event.line,
        format!("{reason}: process {process} {} {}", event.f, event.value),
    )
}

fn unknown<T>(event: &Event) -> Result<T, ImportError> {
    Err(wrong(event, "not an operation of this type"))
}

/// A register that answers compare-and-set as etcd's did: `:fail` says that the comparison failed.
/// A completed read of `nil` saw that there was no value.
pub fn etcd(events: &[Event], names: &mut Names) -> Result<History<RegisterOp>, ImportError> {
    let names = std::cell::RefCell::new(names);
    pair(
        events,
        |call| open_register(call, &mut names.borrow_mut()),
        |call, ret| match (&*call.f, ret.kind) {
            ("read", EventKind::Ok) => {
                let seen = names.borrow_mut().number(&ret.value);
                Ok(Some(RegisterOp::Read(seen)))
            }
            ("cas", EventKind::Fail) => match open_register(call, &mut names.borrow_mut())? {
                Some(RegisterOp::Cas { from, .. }) => Ok(Some(RegisterOp::NotEqual(from))),
                _ => unknown(call),
            },
            (_, EventKind::Ok) => open_register(call, &mut names.borrow_mut()),
            _ => Ok(None),
        },
    )
}

/// A register as in Knossos' histories: `:fail` did not happen, a read of `nil` says nothing.
pub fn register(events: &[Event], names: &mut Names) -> Result<History<RegisterOp>, ImportError> {
    let names = std::cell::RefCell::new(names);
    pair(
        events,
        |call| open_register(call, &mut names.borrow_mut()),
        |call, ret| match (&*call.f, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) | ("read", _, Value::Nil) => Ok(None),
            ("read", _, seen) => Ok(Some(RegisterOp::Read(names.borrow_mut().number(seen)))),
            _ => open_register(call, &mut names.borrow_mut()),
        },
    )
}

fn open_register(call: &Event, names: &mut Names) -> Said<RegisterOp> {
    match (&*call.f, call.value.items()) {
        ("read", _) => Ok(None),
        ("write", _) => Ok(Some(RegisterOp::Write(names.number(&call.value)))),
        ("cas", Some([from, to])) => Ok(Some(RegisterOp::Cas {
            from: names.number(from),
            to: names.number(to),
        })),
        _ => unknown(call),
    }
}

/// Several registers: values are lists of `[:read key value]` and `[:write key value]` (or `:r`, `:w`).
pub fn multi_register(events: &[Event], names: &mut Names) -> Result<History<TxnOp>, ImportError> {
    let names = std::cell::RefCell::new(names);
    let steps = |of: &Event, reads: bool| {
        let mut steps = Vec::new();
        for step in of.value.items().unwrap_or_default() {
            let Some([f, key, value]) = step.items() else {
                return unknown(of);
            };
            let mut names = names.borrow_mut();
            let key = names.number(key);
            match (f.name(), value) {
                (Some("read" | "r"), Value::Nil) => {}
                (Some("read" | "r"), value) if reads => {
                    steps.push(TxnStep::Read(key, names.number(value)));
                }
                (Some("read" | "r"), _) => {}
                (Some("write" | "w"), value) => {
                    steps.push(TxnStep::Write(key, names.number(value)));
                }
                _ => return unknown(of),
            }
        }
        Ok((!steps.is_empty()).then_some(TxnOp(steps)))
    };
    pair(
        events,
        |call| steps(call, false),
        |_, ret| match ret.kind {
            EventKind::Ok => steps(ret, true),
            _ => Ok(None),
        },
    )
}

/// A lock: `acquire` and `release`.
pub fn mutex(events: &[Event]) -> Result<History<MutexOp>, ImportError> {
    let op = |call: &Event| match &*call.f {
        "acquire" => Ok(Some(MutexOp::Acquire)),
        "release" => Ok(Some(MutexOp::Release)),
        _ => unknown(call),
    };
    pair(events, op, |call, ret| match ret.kind {
        EventKind::Ok => op(call),
        _ => Ok(None),
    })
}

/// A counter: `add` and `read`.
pub fn counter(events: &[Event]) -> Result<History<CounterOp>, ImportError> {
    let op = |call: &Event| match (&*call.f, &call.value) {
        ("add", Value::Int(delta)) => Ok(Some(CounterOp::Add(*delta))),
        ("read", _) => Ok(None),
        _ => unknown(call),
    };
    pair(events, op, |call, ret| {
        match (&*call.f, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) => Ok(None),
            ("read", _, Value::Int(seen)) => Ok(Some(CounterOp::Read(*seen))),
            ("read", ..) => unknown(ret),
            _ => op(call),
        }
    })
}

/// A set: `add`, `remove` (or `delete`), `contains` answered by a boolean, and `read` of the whole.
pub fn set(events: &[Event], names: &mut Names) -> Result<History<SetOp>, ImportError> {
    let names = std::cell::RefCell::new(names);
    let op = |call: &Event| {
        let value = names.borrow_mut().number(&call.value);
        match &*call.f {
            "add" => Ok(Some(SetOp::Add { value, new: None })),
            "remove" | "delete" => Ok(Some(SetOp::Remove { value, found: None })),
            "contains" | "read" => Ok(None),
            _ => unknown(call),
        }
    };
    pair(events, op, |call, ret| {
        match (&*call.f, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) | ("read", _, Value::Nil) => Ok(None),
            ("contains", _, &Value::Bool(found)) => {
                let value = names.borrow_mut().number(&call.value);
                Ok(Some(SetOp::Contains { value, found }))
            }
            ("read", _, seen) => {
                let mut names = names.borrow_mut();
                let items = seen.items().ok_or_else(|| wrong(ret, "not a set"))?;
                let mut seen: Vec<i64> = items.iter().map(|item| names.number(item)).collect();
                seen.sort_unstable();
                if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(wrong(ret, "a set with the same element twice"));
                }
                Ok(Some(SetOp::ReadAll(seen.into_boxed_slice())))
            }
            ("contains", ..) => unknown(ret),
            _ => op(call),
        }
    })
}

/// A queue or stack: `enqueue`, `push` or `put`; `dequeue`, `pop` or `take`, which fails or returns
/// `nil` if there is nothing to take.
pub fn put_take(events: &[Event], names: &mut Names) -> Result<History<PutTake>, ImportError> {
    let names = std::cell::RefCell::new(names);
    let op = |call: &Event| match &*call.f {
        "enqueue" | "push" | "put" => {
            Ok(Some(PutTake::Put(names.borrow_mut().number(&call.value))))
        }
        "dequeue" | "pop" | "take" => Ok(Some(PutTake::TakeUnknown)),
        _ => unknown(call),
    };
    pair(events, op, |call, ret| {
        match (op(call)?, ret.kind, &ret.value) {
            (Some(PutTake::TakeUnknown), EventKind::Ok, Value::Nil) => Ok(Some(PutTake::Empty)),
            (Some(PutTake::TakeUnknown), EventKind::Ok, value) => {
                Ok(Some(PutTake::Take(names.borrow_mut().number(value))))
            }
            (_, EventKind::Fail, _) => Ok(None),
            (op, ..) => Ok(op),
        }
    })
}

/// Texts by key: `get`, `put` and `append`, with the key beside the value.
pub fn texts(events: &[Event], names: &mut Names) -> Result<History<Keyed<TextOp>>, ImportError> {
    let names = std::cell::RefCell::new(names);
    let keyed = |of: &Event, make: fn(Arc<str>) -> TextOp| {
        let key = of.key.as_ref().ok_or_else(|| wrong(of, "no key"))?;
        let Value::Text(text) = &of.value else {
            return unknown(of);
        };
        Ok(Some(Keyed {
            key: names.borrow_mut().number(key),
            op: make(Arc::from(&**text)),
        }))
    };
    let op = |call: &Event| match &*call.f {
        "get" => Ok(None),
        "put" => keyed(call, TextOp::Put),
        "append" => keyed(call, TextOp::Append),
        _ => unknown(call),
    };
    pair(events, op, |call, ret| match (&*call.f, ret.kind) {
        (_, EventKind::Fail) => Ok(None),
        ("get", _) => keyed(ret, TextOp::Get),
        _ => op(call),
    })
}
