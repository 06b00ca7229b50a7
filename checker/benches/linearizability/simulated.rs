//! Histories of simulated objects: a million operations with distinct values.

use std::collections::VecDeque;

use hashbrown::HashMap;
use shakedown_checker::linearizability::models::{NIL, PutTake, Register, RegisterOp, Set, SetOp};
use shakedown_checker::linearizability::{Called, History, HistoryBuilder, Keyed, Model};

use crate::measure::{Measured, all_keys, mean, measure};
use crate::split_mix::Random;

const MILLION: usize = 1_000_000;

/// A client of a simulated object.
struct Client<T> {
    process: i64,
    pending: Option<(Called, T)>,
}

/// Clients that call, act and return at random moments: `call` makes an operation, `act` lets it take
/// effect and gives its answer; `None` as an answer leaves it open.
fn simulate<T: Clone, O: Clone>(
    clients: usize,
    seed: u64,
    mut call: impl FnMut(&mut Random, usize) -> (T, O),
    mut act: impl FnMut(&mut Random, &T) -> Option<O>,
) -> History<O> {
    let mut random = Random(seed);
    let mut builder = HistoryBuilder::default();
    let mut running: Vec<Client<(T, Option<O>)>> = (0..clients as i64)
        .map(|process| Client {
            process,
            pending: None,
        })
        .collect();
    let mut made = 0;
    while made < MILLION {
        let at = random.below(clients as u64) as usize;
        let client = &mut running[at];
        match client.pending.take() {
            None => {
                let (kind, open) = call(&mut random, made);
                made += 1;
                let called = builder.call(client.process, open);
                client.pending = Some((called, (kind, None)));
            }
            Some((called, (kind, None))) => match act(&mut random, &kind) {
                None => client.process += clients as i64,
                answer => client.pending = Some((called, (kind, answer))),
            },
            Some((called, (_, Some(answer)))) => builder.ret(called, answer),
        }
    }
    builder.finish()
}

/// Half reads, half writes of distinct values; for several keys, a key-value map.
pub(crate) fn register(clients: usize, open: u64, keys: u64, stale: bool) -> Measured {
    let mut values = vec![NIL; keys as usize];
    let mut old = NIL;
    let mut planted = !stale;
    let mut acted = 0;
    let history = simulate(
        clients,
        clients as u64,
        |random, number| {
            let op = match random.below(2) {
                0 => RegisterOp::Read(NIL),
                _ => RegisterOp::Write(number as i64),
            };
            let key = random.below(keys) as i64;
            (Keyed { key, op }, Keyed { key, op })
        },
        |random, call| {
            let key = call.key;
            acted += 1;
            let lost = random.chance(open);
            let value = &mut values[key as usize];
            match call.op {
                RegisterOp::Write(new) if !lost || random.chance(50) => *value = new,
                _ => {}
            }
            if acted == MILLION * 8 / 10 {
                old = values[0];
            }
            if lost && !matches!(call.op, RegisterOp::Read(_)) {
                return None;
            }
            let op = match call.op {
                RegisterOp::Read(_) if !planted && key == 0 && acted > MILLION * 9 / 10 => {
                    planted = true;
                    RegisterOp::Read(old)
                }
                RegisterOp::Read(_) => RegisterOp::Read(values[key as usize]),
                op => op,
            };
            Some(Keyed { key, op })
        },
    );
    let model = Register { initial: NIL };
    if keys > 1 {
        return mean(3, || all_keys(&model, &history)).1;
    }
    let operations = history.operations().iter().map(|operation| {
        shakedown_checker::linearizability::Operation {
            op: operation.op.op,
            process: operation.process,
            call: operation.call,
            ret: operation.ret,
            index: operation.index,
        }
    });
    let one = History::new(operations.collect()).expect("it comes from a history");
    drop(history);
    measure(&model, &one)
}

pub(crate) fn set(wrong: bool) -> Measured {
    let mut present: Vec<i64> = Vec::new();
    let mut there: HashMap<i64, bool> = HashMap::new();
    let mut gone: Vec<i64> = Vec::new();
    let mut acted = 0;
    let history = simulate(
        10,
        3,
        |random, number| {
            let any =
                |from: &[i64], random: &mut Random| from[random.below(from.len() as u64) as usize];
            let op = match random.below(4) {
                2 if !present.is_empty() => {
                    let at = random.below(present.len() as u64) as usize;
                    let value = present.swap_remove(at);
                    gone.push(value);
                    SetOp::Remove {
                        value,
                        found: Some(true),
                    }
                }
                3 if !gone.is_empty() && random.chance(50) => SetOp::Contains {
                    value: any(&gone, random),
                    found: false,
                },
                3 if !present.is_empty() => SetOp::Contains {
                    value: any(&present, random),
                    found: false,
                },
                _ => {
                    present.push(number as i64);
                    SetOp::Add {
                        value: number as i64,
                        new: Some(true),
                    }
                }
            };
            (op.clone(), op)
        },
        |_, op| {
            acted += 1;
            Some(match *op {
                SetOp::Add { value, .. } => {
                    there.insert(value, true);
                    op.clone()
                }
                SetOp::Remove { value, .. } if there.insert(value, false) == Some(true) => {
                    op.clone()
                }
                SetOp::Remove { value, .. } => {
                    // Called before its add took effect: ask instead.
                    there.remove(&value);
                    SetOp::Contains {
                        value,
                        found: false,
                    }
                }
                SetOp::Contains { value, .. } => SetOp::Contains {
                    value,
                    found: (wrong && acted == MILLION * 9 / 10)
                        || there.get(&value).copied().unwrap_or(false),
                },
                SetOp::ReadAll(_) => op.clone(),
            })
        },
    );
    measure(&Set, &history)
}

pub(crate) fn queue<M: Model<Op = PutTake>>(
    model: M,
    take: fn(&mut VecDeque<i64>, &mut Random) -> Option<i64>,
) -> Measured {
    let mut values = VecDeque::new();
    let history = simulate(
        10,
        7,
        |random, number| match random.below(2) {
            0 => (PutTake::TakeUnknown, PutTake::TakeUnknown),
            _ => (PutTake::Put(number as i64), PutTake::Put(number as i64)),
        },
        |random, op| {
            Some(match *op {
                PutTake::Put(value) => {
                    values.push_back(value);
                    *op
                }
                _ => take(&mut values, random).map_or(PutTake::Empty, PutTake::Take),
            })
        },
    );
    // Operations still running at the end count as open; a take without answer is none of the case.
    let operations = history
        .operations()
        .iter()
        .filter(|o| !o.is_open())
        .cloned();
    let history = History::new(operations.collect()).expect("it comes from a history");
    measure(&model, &history)
}
