//! Random histories: clients of a correct object, some answers then falsified, some never given.

pub(crate) use crate::split_mix::Random;
use shakedown_checker::linearizability::{Called, History, HistoryBuilder, Model};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) operations: usize,
    pub(crate) clients: u64,
    /// Percent of operations that never return.
    pub(crate) open: u64,
    /// Percent of answers replaced by invented ones.
    pub(crate) wrong: u64,
}

/// How to make operations of a type.
pub(crate) struct Kind<M: Model> {
    pub(crate) model: M,
    /// Makes up an operation; the number is different each time.
    pub(crate) make: fn(&mut Random, i64) -> M::Op,
    /// The same operation with the answer that a state gives.
    pub(crate) answer: fn(&M::Op, &M::State) -> M::Op,
}

struct Client<O> {
    process: i64,
    pending: Option<(Called, O, Option<O>)>,
}

/// A history of a shape.
pub(crate) fn history<M: Model>(
    kind: &Kind<M>,
    shape: Shape,
    random: &mut Random,
) -> History<M::Op> {
    let mut builder = HistoryBuilder::default();
    let mut state = kind.model.initial();
    let mut apply = |op: &M::Op, random: &mut Random| {
        let op = (kind.answer)(op, &state);
        let mut next = Vec::new();
        kind.model.step(&state, &op, &mut next);
        if !next.is_empty() {
            state = next.swap_remove(random.below(next.len() as u64) as usize);
        }
        op
    };
    let mut clients: Vec<Client<M::Op>> = Vec::new();
    for process in 0..shape.clients as i64 {
        clients.push(Client {
            process,
            pending: None,
        });
    }
    let (mut made, mut next_process) = (0, shape.clients as i64);
    loop {
        let idle = clients.iter().all(|client| client.pending.is_none());
        if made == shape.operations && idle {
            return builder.finish();
        }
        let at = random.below(shape.clients) as usize;
        let client = &mut clients[at];
        match client.pending.take() {
            None if made == shape.operations => {}
            None => {
                let op = (kind.make)(random, made as i64 + 1);
                made += 1;
                let open = kind.model.without_answer(&op);
                let called = builder.call(client.process, open.clone().unwrap_or(op.clone()));
                client.pending = Some((called, op, None));
            }
            Some((called, op, applied)) if random.chance(shape.open) => {
                if applied.is_none() && random.chance(50) {
                    apply(&op, random);
                }
                if kind.model.without_answer(&op).is_none() {
                    builder.forget(called);
                }
                client.process = next_process;
                next_process += 1;
            }
            Some((called, op, None)) => {
                let answered = apply(&op, random);
                client.pending = Some((called, op, Some(answered)));
            }
            Some((called, op, Some(answered))) => {
                let wrong = random.chance(shape.wrong);
                builder.ret(called, if wrong { op } else { answered });
            }
        }
    }
}
