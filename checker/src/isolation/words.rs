//! Transactions in words.

use super::dictionary::Dictionary;
use super::transactions::{Action, Op, Outcome, Transactions};

/// What an operation did: `append 3 to x`.
pub(super) fn operation(
    history: &Transactions,
    names: &Dictionary,
    op: &Op,
    lists: bool,
) -> String {
    let key = names.show_key(op.key);
    match op.action {
        Action::Write(value) if lists => format!("append {} to {key}", names.show_value(value)),
        Action::Write(value) => format!("write {key} = {}", names.show_value(value)),
        Action::ReadRegister(value) => format!("read {key} = {}", names.show_value(value)),
        Action::ReadList(read) => {
            let elements = history.elements(op.key, read);
            format!("read {key} = {}", names.show_list(elements))
        }
        Action::ReadUnknown => format!("read {key}, not known what"),
    }
}

/// The transaction's name, process and outcome.
pub(super) fn heading(history: &Transactions, txn: u32) -> String {
    let txn = history.txn(txn);
    let outcome = match txn.outcome {
        Outcome::Committed => "committed",
        Outcome::Aborted => "aborted",
        Outcome::Open => "outcome unknown",
    };
    format!("T{} (process {}, {outcome})", txn.label, txn.process)
}

/// The whole transaction in one line.
pub fn transaction(history: &Transactions, names: &Dictionary, txn: u32, lists: bool) -> String {
    const SHOWN: usize = 12;
    let ops = history.ops(txn);
    let shown = ops
        .iter()
        .take(SHOWN)
        .map(|op| operation(history, names, op, lists));
    let mut line = format!(
        "{}: {}",
        heading(history, txn),
        shown.collect::<Vec<_>>().join(", ")
    );
    if ops.len() > SHOWN {
        line.push_str(&format!(" and {} more", ops.len() - SHOWN));
    }
    line
}
