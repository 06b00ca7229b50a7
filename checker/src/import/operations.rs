//! From events to the operations of a data type.
//!
//! `fail` means that the operation did not happen, unless the history's [`Dialect`] says more; `info` and
//! no completion at all leave it open.

use std::sync::Arc;

use crate::history::EventKind;
use crate::linearizability::models::{
    CounterOp, MutexOp, NIL, PutTake, RegisterOp, SetOp, TextOp, TxnOp, TxnStep,
};

use super::error::ImportError;
use super::event::Event;
use super::format::Format;
use super::names::Names;
use super::pairing::{Keys, Recorded, pair, unknown, wrong};
use super::value::Value;

/// What formats disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// A completed read of `nil` saw that there was no value. In Jepsen's EDN it says nothing: its clients
    /// leave the value out where they do not know it.
    pub nil_is_absent: bool,
    /// A failed compare-and-set did compare, and found another value.
    pub failed_cas_compared: bool,
}

impl Dialect {
    /// How histories of a format are meant.
    pub fn of(format: Format) -> Self {
        let logged = matches!(format, Format::EtcdLog | Format::Lines);
        Dialect {
            nil_is_absent: format != Format::Edn,
            failed_cas_compared: logged,
        }
    }
}

/// A register, or a map from keys to registers: `read` (or `get`), `write` (or `put`), `delete` (or
/// `remove`), `cas` with `[from to]`.
pub fn register(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
    dialect: Dialect,
) -> Result<Recorded<RegisterOp>, ImportError> {
    let open = |call: &Event, names: &mut Names| match (&*call.f, call.value.items()) {
        ("read" | "get" | "r", _) => Ok(None),
        ("write" | "put" | "w", _) => Ok(Some(RegisterOp::Write(names.number(&call.value)))),
        ("delete" | "remove", _) => Ok(Some(RegisterOp::Write(NIL))),
        ("cas", Some([from, to])) => Ok(Some(RegisterOp::Cas {
            from: names.number(from),
            to: names.number(to),
        })),
        _ => unknown(call),
    };
    pair(events, names, Keys::InValue, open, |call, ret, names| {
        let compared = dialect.failed_cas_compared && ret.value.items().is_some();
        match (&*call.f, ret.kind, &ret.value) {
            ("cas", EventKind::Fail, _) if compared => match open(call, names)? {
                Some(RegisterOp::Cas { from, .. }) => Ok(Some(RegisterOp::NotEqual(from))),
                _ => unknown(call),
            },
            (_, EventKind::Fail, _) => Ok(None),
            ("read" | "get" | "r", _, Value::Nil) if !dialect.nil_is_absent => Ok(None),
            ("read" | "get" | "r", _, seen) => Ok(Some(RegisterOp::Read(names.number(seen)))),
            _ => open(call, names),
        }
    })
}

/// Several registers: values are lists of `[:read key value]` and `[:write key value]` (or `:r`, `:w`).
pub fn multi_register(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
    dialect: Dialect,
) -> Result<Recorded<TxnOp>, ImportError> {
    let steps = |of: &Event, returned: bool, names: &mut Names| {
        let mut steps = Vec::new();
        let items = of.value.items().ok_or_else(|| wrong(of, "no steps"))?;
        for step in items {
            let Some([f, key, value]) = step.items() else {
                return unknown(of);
            };
            let key = names.number(key);
            match (f.name(), value) {
                (Some("read" | "r"), Value::Nil) if !dialect.nil_is_absent => {}
                (Some("read" | "r"), value) if returned => {
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
        names,
        Keys::Beside,
        |call, names| steps(call, false, names),
        |_, ret, names| match ret.kind {
            EventKind::Ok => steps(ret, true, names),
            _ => Ok(None),
        },
    )
}

/// A lock: `acquire` and `release` (or `lock` and `unlock`).
pub fn mutex(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
) -> Result<Recorded<MutexOp>, ImportError> {
    let op = |call: &Event| match &*call.f {
        "acquire" | "lock" => Ok(Some(MutexOp::Acquire)),
        "release" | "unlock" => Ok(Some(MutexOp::Release)),
        _ => unknown(call),
    };
    pair(
        events,
        names,
        Keys::Beside,
        |call, _| op(call),
        |call, ret, _| match ret.kind {
            EventKind::Ok => op(call),
            _ => Ok(None),
        },
    )
}

/// A counter: `add` and `read`.
pub fn counter(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
) -> Result<Recorded<CounterOp>, ImportError> {
    let op = |call: &Event| match (&*call.f, &call.value) {
        ("add", Value::Int(delta)) => Ok(Some(CounterOp::Add(*delta))),
        ("read" | "get", _) => Ok(None),
        _ => unknown(call),
    };
    pair(
        events,
        names,
        Keys::InValue,
        |call, _| op(call),
        |call, ret, _| match (&*call.f, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) => Ok(None),
            ("read" | "get", _, Value::Int(seen)) => Ok(Some(CounterOp::Read(*seen))),
            ("read" | "get", ..) => unknown(ret),
            _ => op(call),
        },
    )
}

/// A set: `add`, `remove` (or `delete`), `contains` answered by a boolean, and `read` of the whole.
pub fn set(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
) -> Result<Recorded<SetOp>, ImportError> {
    let op = |call: &Event, names: &mut Names| {
        let mut value = || names.number(&call.value);
        match &*call.f {
            "add" => Ok(Some(SetOp::Add {
                value: value(),
                new: None,
            })),
            "remove" | "delete" => Ok(Some(SetOp::Remove {
                value: value(),
                found: None,
            })),
            "contains" | "read" => Ok(None),
            _ => unknown(call),
        }
    };
    pair(events, names, Keys::Beside, op, |call, ret, names| {
        match (&*call.f, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) | ("read", _, Value::Nil) => Ok(None),
            ("contains", _, &Value::Bool(found)) => {
                let value = names.number(&call.value);
                Ok(Some(SetOp::Contains { value, found }))
            }
            ("read", _, seen) => {
                let items = seen.items().ok_or_else(|| wrong(ret, "not a set"))?;
                let mut seen: Vec<i64> = items.iter().map(|item| names.number(item)).collect();
                seen.sort_unstable();
                if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(wrong(ret, "a set with the same element twice"));
                }
                Ok(Some(SetOp::ReadAll(seen.into_boxed_slice())))
            }
            ("contains", ..) => unknown(ret),
            _ => op(call, names),
        }
    })
}

/// A queue or stack: `enqueue`, `push` or `put`; `dequeue`, `pop` or `take`, which fails or returns
/// `nil` if there is nothing to take.
pub fn put_take(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
) -> Result<Recorded<PutTake>, ImportError> {
    let op = |call: &Event, names: &mut Names| match &*call.f {
        "enqueue" | "push" | "put" => Ok(Some(PutTake::Put(names.number(&call.value)))),
        "dequeue" | "pop" | "take" => Ok(Some(PutTake::TakeUnknown)),
        _ => unknown(call),
    };
    pair(events, names, Keys::Beside, op, |call, ret, names| {
        match (op(call, names)?, ret.kind, &ret.value) {
            (_, EventKind::Fail, _) => Ok(None),
            (Some(PutTake::TakeUnknown), _, Value::Nil) => Ok(Some(PutTake::Empty)),
            (Some(PutTake::TakeUnknown), _, value) => Ok(Some(PutTake::Take(names.number(value)))),
            (op, ..) => Ok(op),
        }
    })
}

/// Texts by key: `get`, `put` and `append`. An answer of `nil` is the empty text.
pub fn texts(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
) -> Result<Recorded<TextOp>, ImportError> {
    let text = |of: &Event, make: fn(Arc<str>) -> TextOp| match &of.value {
        Value::Text(text) => Ok(Some(make(Arc::from(&**text)))),
        Value::Nil => Ok(Some(make(Arc::from("")))),
        _ => unknown(of),
    };
    let op = |call: &Event| match &*call.f {
        "get" | "read" => Ok(None),
        "put" | "write" => text(call, TextOp::Put),
        "append" => text(call, TextOp::Append),
        _ => unknown(call),
    };
    pair(
        events,
        names,
        Keys::InValue,
        |call, _| op(call),
        |call, ret, _| match (&*call.f, ret.kind) {
            (_, EventKind::Fail) => Ok(None),
            ("get" | "read", _) => text(ret, TextOp::Get),
            _ => op(call),
        },
    )
}
