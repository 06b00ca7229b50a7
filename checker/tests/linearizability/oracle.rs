//! The definition of linearizability, tried out: every order of the operations.

use shakedown_checker::linearizability::{History, Model, Operation};

/// Whether a history is linearizable. Exponential; shares nothing with the checker but `Model::step`.
pub(crate) fn is_linearizable<M: Model>(model: &M, history: &History<M::Op>) -> bool {
    let mut left: Vec<&Operation<M::Op>> = history.operations().iter().collect();
    any_order(model, &model.initial(), &mut left)
}

fn any_order<M: Model>(model: &M, state: &M::State, left: &mut Vec<&Operation<M::Op>>) -> bool {
    let Some(first_ret) = left.iter().map(|operation| operation.ret).min() else {
        return true;
    };
    // What never returned need not have happened.
    if left.iter().all(|operation| operation.is_open()) {
        return true;
    }
    for at in 0..left.len() {
        // Nothing left returned before this one was called.
        if left[at].call > first_ret {
            continue;
        }
        let mut next = Vec::new();
        model.step(state, &left[at].op, &mut next);
        if next.is_empty() {
            continue;
        }
        let operation = left.remove(at);
        let found = next.iter().any(|state| any_order(model, state, left));
        left.insert(at, operation);
        if found {
            return true;
        }
    }
    false
}
