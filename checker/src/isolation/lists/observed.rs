//! What reads of lists show to be wrong, whatever the order of transactions.

use hashbrown::HashSet;

use super::super::anomaly::Anomaly;
use super::super::cases::Cases;
use super::super::dictionary::Dictionary;
use super::super::transactions::{Action, ListRead, NONE, Outcome};
use super::orders::Lists;

/// Finds garbage reads, duplicates, incompatible orders, G1a, G1b and dirty updates. `intermediate`
/// says of each append whether its transaction appended to the same key again. Linear time.
pub(crate) fn find_observed(
    lists: &Lists<'_>,
    intermediate: &[bool],
    names: &Dictionary,
    cases: &mut Cases,
) {
    let firsts = Firsts::new(lists);
    let mut torn: HashSet<u32> = HashSet::new();
    for (at, op) in lists.history.all_ops().iter().enumerate() {
        let Action::ReadList(read) = op.action else {
            continue;
        };
        let reader = lists.txn_of[at];
        let label = lists.history.txn(reader).label;
        let show = || {
            let elements = lists.history.elements(op.key, read);
            format!(
                "T{label} read {} = {}",
                names.show_key(op.key),
                names.show_list(elements)
            )
        };
        let bad = firsts.of_read(lists, op.key, read);
        if let Some(element) = bad.garbage {
            cases.add(Anomaly::GarbageRead, || {
                let element = names.show_value(element);
                (
                    vec![reader],
                    format!("{}, but nobody appended {element}", show()),
                )
            });
        }
        if let Some(element) = bad.duplicate {
            cases.add(Anomaly::DuplicateElements, || {
                let element = names.show_value(element);
                (
                    vec![reader],
                    format!("{}, with {element} more than once", show()),
                )
            });
        }
        if let Some(writer) = bad.aborted {
            cases.add(Anomaly::G1a, || {
                let element = names.show_value(lists.element(writer));
                let writer = lists.txn_of[writer as usize];
                let aborted = lists.history.txn(writer).label;
                let text = format!(
                    "{}, of which T{aborted}, aborted, appended {element}",
                    show()
                );
                (vec![writer, reader], text)
            });
        }
        let (writer, _) = lists.read(op.key, read);
        if writer != NONE && intermediate[writer as usize] {
            let writer = lists.txn_of[writer as usize];
            if writer != reader {
                cases.add(Anomaly::G1b, || {
                    let other = lists.history.txn(writer).label;
                    let text = format!("{}, to which T{other} then appended more", show());
                    (vec![writer, reader], text)
                });
            }
        }
        if read.branch != NONE && torn.insert(op.key) {
            cases.add(Anomaly::IncompatibleOrder, || {
                let longest = names.show_list(lists.history.longest(op.key));
                (
                    vec![reader],
                    format!("{}, but another read was {longest}", show()),
                )
            });
        }
    }
    find_dirty_updates(lists, names, cases);
}

/// What a list contains that it should not: an element of each sort.
#[derive(Debug, Default, Clone, Copy)]
struct Bad {
    garbage: Option<i64>,
    duplicate: Option<i64>,
    aborted: Option<u32>,
}

/// Per key, from which length on its longest list contains each sort.
struct Firsts {
    of: Vec<[u32; 3]>,
}

impl Firsts {
    fn new(lists: &Lists<'_>) -> Self {
        let of = (0..lists.history.keys()).map(|key| {
            let mut first = [NONE; 3];
            for (len, slot) in lists.slots(key).enumerate().skip(1) {
                let writer = lists.writer[slot as usize];
                let sorts = [
                    writer == NONE,
                    lists.same[slot as usize] != slot,
                    writer != NONE && lists.outcome(writer) == Outcome::Aborted,
                ];
                for (first, is) in first.iter_mut().zip(sorts) {
                    if is {
                        *first = (*first).min(len as u32);
                    }
                }
            }
            first
        });
        Firsts { of: of.collect() }
    }

    fn of_read(&self, lists: &Lists<'_>, key: u32, read: ListRead) -> Bad {
        if read.branch != NONE {
            return of_branch(lists, key, read);
        }
        let [garbage, duplicate, aborted] = self.of[key as usize];
        let element = |len: u32| lists.history.longest(key)[len as usize - 1];
        let writer = |len: u32| lists.writer[lists.slot(key, len) as usize];
        Bad {
            garbage: (garbage <= read.len).then(|| element(garbage)),
            duplicate: (duplicate <= read.len).then(|| element(duplicate)),
            aborted: (aborted <= read.len).then(|| writer(aborted)),
        }
    }
}

fn of_branch(lists: &Lists<'_>, key: u32, read: ListRead) -> Bad {
    let mut bad = Bad::default();
    let mut seen: HashSet<i64> = HashSet::new();
    for element in lists.history.elements(key, read) {
        if !seen.insert(*element) {
            bad.duplicate = bad.duplicate.or(Some(*element));
        }
        match lists.writers.of(key, *element) {
            NONE => bad.garbage = bad.garbage.or(Some(*element)),
            writer if lists.outcome(writer) == Outcome::Aborted => {
                bad.aborted = bad.aborted.or(Some(writer));
            }
            _ => {}
        }
    }
    bad
}

/// Finds appends of committed transactions that follow one of an aborted transaction with no other
/// committed one between.
fn find_dirty_updates(lists: &Lists<'_>, names: &Dictionary, cases: &mut Cases) {
    for key in 0..lists.history.keys() {
        let mut aborted = NONE;
        for slot in lists.slots(key).skip(1) {
            let writer = lists.writer[slot as usize];
            if writer == NONE {
                continue;
            }
            match lists.outcome(writer) {
                Outcome::Aborted if aborted == NONE => aborted = writer,
                Outcome::Committed if aborted != NONE => {
                    cases.add(Anomaly::DirtyUpdate, || {
                        let txns = [aborted, writer].map(|op| lists.txn_of[op as usize]);
                        let [first, then] = txns.map(|txn| lists.history.txn(txn).label);
                        let text = format!(
                            "T{then}, committed, appended to {} after T{first}, aborted",
                            names.show_key(key)
                        );
                        (txns.to_vec(), text)
                    });
                    aborted = NONE;
                }
                Outcome::Aborted | Outcome::Committed | Outcome::Open => {}
            }
        }
    }
}
