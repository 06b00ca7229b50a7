//! What is wrong with single reads of registers, within single transactions, and lost updates.

use hashbrown::HashMap;

use super::super::anomaly::Anomaly;
use super::super::by_key::ByKey;
use super::super::cases::Cases;
use super::super::dictionary::Dictionary;
use super::super::transactions::{Action, NONE, Outcome};
use super::interactions::Registers;

/// Finds internal contradictions, future reads, G1a, G1b, garbage reads and lost updates. Linear time.
pub(crate) fn find_within(registers: &Registers<'_>, names: &Dictionary, cases: &mut Cases) {
    find_reads(registers, names, cases);
    find_contradictions(registers, names, cases);
    find_lost_updates(registers, names, cases);
}

/// A version, for people: `x = 1`.
pub(super) fn show(registers: &Registers<'_>, names: &Dictionary, version: u32) -> String {
    let key = names.show_key(registers.key[version as usize]);
    let value = names.show_value(registers.value[version as usize]);
    format!("{key} = {value}")
}

fn find_reads(registers: &Registers<'_>, names: &Dictionary, cases: &mut Cases) {
    let history = registers.history;
    // One value that nobody wrote may have been there before. Two, or one and nil, can't both have been.
    let mut before: HashMap<u32, u32> = HashMap::new();
    for (at, op) in history.all_ops().iter().enumerate() {
        let Action::ReadRegister(_) = op.action else {
            continue;
        };
        let version = registers.version[at];
        let reader = registers.txn_of[at];
        let label = history.txn(reader).label;
        let write = registers.write[version as usize];
        if write == NONE {
            let first = *before.entry(op.key).or_insert(version);
            if first != version {
                cases.add(Anomaly::GarbageRead, || {
                    let read = show(registers, names, version);
                    let other = names.show_value(registers.value[first as usize]);
                    let text = format!(
                        "T{label} read {read}; nobody wrote that, nor {other}, which was read, too"
                    );
                    (vec![reader], text)
                });
            }
            continue;
        }
        let writer = registers.txn_of[write as usize];
        let other = history.txn(writer).label;
        if history.txn(writer).outcome == Outcome::Aborted {
            cases.add(Anomaly::G1a, || {
                let read = show(registers, names, version);
                let text = format!("T{label} read {read}, which T{other}, aborted, wrote");
                (vec![writer, reader], text)
            });
        }
        if registers.intermediate[version as usize] && writer != reader {
            cases.add(Anomaly::G1b, || {
                let read = show(registers, names, version);
                let text = format!("T{label} read {read}, which T{other} wrote and then replaced");
                (vec![writer, reader], text)
            });
        }
        if writer == reader && write > at as u32 {
            cases.add(Anomaly::FutureRead, || {
                let read = show(registers, names, version);
                (
                    vec![reader],
                    format!("T{label} read {read}, and wrote that only later"),
                )
            });
        }
    }
}

fn find_contradictions(registers: &Registers<'_>, names: &Dictionary, cases: &mut Cases) {
    let history = registers.history;
    let ops = history.all_ops();
    let mut by_key = ByKey::default();
    for txn in 0..history.txns().len() as u32 {
        let committed = history.txn(txn).outcome == Outcome::Committed;
        if history.range(txn).len() < 2 || !committed {
            continue;
        }
        let mut found = None;
        by_key.each(history, txn, |group| {
            let mut known = NONE;
            for at in group {
                let version = registers.version[*at as usize];
                let read = matches!(ops[*at as usize].action, Action::ReadRegister(_));
                if read && known != NONE && known != version {
                    found = found.or(Some((known, version)));
                }
                if version != NONE {
                    known = version;
                }
            }
        });
        if let Some((known, version)) = found {
            cases.add(Anomaly::Internal, || {
                let label = history.txn(txn).label;
                let read = show(registers, names, version);
                let known = names.show_value(registers.value[known as usize]);
                (
                    vec![txn],
                    format!("T{label} read {read}, after it had itself used {known}"),
                )
            });
        }
    }
}

fn find_lost_updates(registers: &Registers<'_>, names: &Dictionary, cases: &mut Cases) {
    let mut first = vec![NONE; registers.versions() as usize];
    let mut several: HashMap<u32, Vec<u32>> = HashMap::new();
    for interaction in &registers.interactions {
        let committed = registers.history.txn(interaction.txn).outcome == Outcome::Committed;
        if interaction.read == NONE || interaction.write == NONE || !committed {
            continue;
        }
        let first = &mut first[interaction.read as usize];
        if *first == NONE {
            *first = interaction.txn;
        } else {
            let all = several
                .entry(interaction.read)
                .or_insert_with(|| vec![*first]);
            all.push(interaction.txn);
        }
    }
    let mut several: Vec<_> = several.into_iter().collect();
    several.sort_unstable();
    for (version, txns) in several {
        cases.add(Anomaly::LostUpdate, || {
            let labels = txns
                .iter()
                .map(|txn| format!("T{}", registers.history.txn(*txn).label));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let read = show(registers, names, version);
            (
                txns,
                format!("{labels} each read {read} and wrote another value"),
            )
        });
    }
}
