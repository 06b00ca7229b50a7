//! Why one transaction over lists precedes another, in words.

use super::super::dictionary::Dictionary;
use super::super::graph::Edge;
use super::super::transactions::{Action, NONE, Op};
use super::orders::Lists;

/// Why `from` precedes `to` by data. Takes time proportional to the operations of both.
pub(crate) fn reason(
    lists: &Lists<'_>,
    names: &Dictionary,
    from: u32,
    to: u32,
    edge: Edge,
) -> String {
    let found = match edge {
        Edge::Ww => wrote_before(lists, names, from, to),
        Edge::Wr => was_read(lists, names, from, to),
        Edge::Rw => missed(lists, names, from, to),
        Edge::Order | Edge::On => None,
    };
    found.unwrap_or_default()
}

fn ops<'a>(lists: &'a Lists<'_>, txn: u32) -> impl Iterator<Item = (u32, &'a Op)> + use<'a> {
    let range = lists.history.range(txn);
    let ops = lists.history.ops(txn).iter();
    ops.enumerate()
        .map(move |(at, op)| ((range.start + at) as u32, op))
}

/// The slot before an append: what it was appended to, as far as anybody knows.
fn slot_before(lists: &Lists<'_>, at: u32, key: u32) -> u32 {
    let slots = lists.slots(key);
    let mut slot = match lists.appended[at as usize] {
        NONE => slots.end,
        slot => slot,
    };
    loop {
        slot -= 1;
        if slot == slots.start || lists.same[slot as usize] == slot {
            return slot;
        }
    }
}

fn wrote_before(lists: &Lists<'_>, names: &Dictionary, from: u32, to: u32) -> Option<String> {
    for (at, op) in ops(lists, to) {
        let Action::Write(element) = op.action else {
            continue;
        };
        let former = lists.writer[slot_before(lists, at, op.key) as usize];
        if lists.present_txn(former) == Some(from) {
            return Some(format!(
                "appended {} to {}, after which {{}} appended {}",
                names.show_value(lists.element(former)),
                names.show_key(op.key),
                names.show_value(element)
            ));
        }
    }
    None
}

fn was_read(lists: &Lists<'_>, names: &Dictionary, from: u32, to: u32) -> Option<String> {
    for (_, op) in ops(lists, to) {
        let Action::ReadList(read) = op.action else {
            continue;
        };
        let (writer, _) = lists.read(op.key, read);
        if lists.present_txn(writer) == Some(from) {
            return Some(format!(
                "appended {} to {}, which {{}} read",
                names.show_value(lists.element(writer)),
                names.show_key(op.key)
            ));
        }
    }
    None
}

fn missed(lists: &Lists<'_>, names: &Dictionary, from: u32, to: u32) -> Option<String> {
    for (at, op) in ops(lists, to) {
        let Action::Write(element) = op.action else {
            continue;
        };
        let before = slot_before(lists, at, op.key);
        for (_, earlier) in ops(lists, from) {
            if earlier.key == op.key
                && let Action::ReadList(read) = earlier.action
                && lists.read(op.key, read).1 == before
            {
                return Some(format!(
                    "read {} = {}, without {}, which {{}} appended",
                    names.show_key(op.key),
                    names.show_list(lists.history.elements(op.key, read)),
                    names.show_value(element)
                ));
            }
        }
    }
    None
}
