//! What is wrong within single transactions over lists, and lost updates.

use super::super::anomaly::Anomaly;
use super::super::by_key::ByKey;
use super::super::cases::Cases;
use super::super::dictionary::Dictionary;
use super::super::transactions::{Action, NONE, Op, Outcome};
use super::orders::Lists;
use super::updates::Updates;

/// Finds internal contradictions, future reads and lost updates; says of each append whether its
/// transaction appended to the same key again. Linear time, but for transactions that use one key
/// many times.
pub(crate) fn find_within(lists: &Lists<'_>, names: &Dictionary, cases: &mut Cases) -> Vec<bool> {
    let history = lists.history;
    let ops = history.all_ops();
    let mut intermediate = vec![false; ops.len()];
    let mut updates = Updates::default();
    let mut by_key = ByKey::default();
    for txn in 0..history.txns().len() as u32 {
        if history.range(txn).len() < 2 {
            continue;
        }
        let committed = history.txn(txn).outcome == Outcome::Committed;
        let mut internal = None;
        let mut future = None;
        by_key.each(history, txn, |group| {
            if group.len() < 2 {
                return;
            }
            let mut later_write = false;
            for at in group.iter().rev() {
                if let Action::Write(_) = ops[*at as usize].action {
                    intermediate[*at as usize] = later_write;
                    later_write = true;
                }
            }
            if !committed {
                return;
            }
            if let Action::ReadList(read) = ops[group[0] as usize].action
                && later_write
            {
                updates.add(lists, ops[group[0] as usize].key, read, txn);
            }
            internal = internal.or_else(|| contradiction(lists, group));
            future = future.or_else(|| read_before_written(lists, group));
        });
        let label = history.txn(txn).label;
        let tell = |at: u32| {
            let Op { key, action } = ops[at as usize];
            let Action::ReadList(read) = action else {
                return String::new();
            };
            let list = names.show_list(history.elements(key, read));
            format!("T{label} read {} = {list}", names.show_key(key))
        };
        if let Some((at, before)) = internal {
            cases.add(Anomaly::Internal, || {
                let text = format!(
                    "{}, after it had itself {}",
                    tell(at),
                    did(lists, before, names)
                );
                (vec![txn], text)
            });
        }
        if let Some((at, element)) = future {
            cases.add(Anomaly::FutureRead, || {
                let element = names.show_value(element);
                (
                    vec![txn],
                    format!("{}, and appended {element} only later", tell(at)),
                )
            });
        }
    }
    updates.find(lists, names, cases);
    intermediate
}

/// What an operation did, in the words of its transaction.
fn did(lists: &Lists<'_>, at: u32, names: &Dictionary) -> String {
    let Op { key, action } = lists.history.all_ops()[at as usize];
    match action {
        Action::ReadList(read) => {
            format!(
                "read {}",
                names.show_list(lists.history.elements(key, read))
            )
        }
        Action::Write(element) => format!("appended {}", names.show_value(element)),
        Action::ReadRegister(_) | Action::ReadUnknown => "used it".to_owned(),
    }
}

/// The first read of one key that contradicts what its transaction did before, and what that was.
fn contradiction(lists: &Lists<'_>, group: &[u32]) -> Option<(u32, u32)> {
    let ops = lists.history.all_ops();
    let mut known: Option<&[i64]> = None;
    let mut own: Vec<i64> = Vec::new();
    let mut before = NONE;
    for at in group {
        let Op { key, action } = ops[*at as usize];
        match action {
            Action::Write(element) => own.push(element),
            Action::ReadList(read) => {
                let elements = lists.history.elements(key, read);
                let agrees = match known {
                    Some(known) => {
                        elements.len() == known.len() + own.len()
                            && elements.starts_with(known)
                            && elements.ends_with(&own)
                    }
                    None => elements.ends_with(&own),
                };
                if !agrees {
                    return Some((*at, before));
                }
                known = Some(elements);
                own.clear();
            }
            Action::ReadRegister(_) | Action::ReadUnknown => {}
        }
        before = *at;
    }
    None
}

/// The first read of one key that shows what its transaction appended only later.
fn read_before_written(lists: &Lists<'_>, group: &[u32]) -> Option<(u32, i64)> {
    let ops = lists.history.all_ops();
    for (number, at) in group.iter().enumerate() {
        let Action::Write(element) = ops[*at as usize].action else {
            continue;
        };
        for earlier in &group[..number] {
            if let Op {
                key,
                action: Action::ReadList(read),
            } = ops[*earlier as usize]
                && lists.history.elements(key, read).contains(&element)
            {
                return Some((*earlier, element));
            }
        }
    }
    None
}
