//! Which version of a key comes before which, by one source of knowledge at a time.

use hashbrown::HashMap;

use super::super::order::by_process_order;
use super::super::transactions::{NONE, Outcome};
use super::interactions::Registers;

/// Pairs of versions of the same key, the earlier first.
pub(super) type Pairs = Vec<(u32, u32)>;

/// Every version comes after the initial one.
pub(super) fn initial(registers: &Registers<'_>) -> Pairs {
    let mut met = vec![false; registers.versions() as usize];
    let mut pairs = Vec::new();
    for interaction in &registers.interactions {
        for version in [interaction.read, interaction.write] {
            if version != NONE && !registers.is_initial(version) && !met[version as usize] {
                met[version as usize] = true;
                pairs.push((interaction.key, version));
            }
        }
    }
    pairs
}

/// What a transaction read comes before what it wrote to the same key.
pub(super) fn writes_follow_reads(registers: &Registers<'_>) -> Pairs {
    let both = registers.interactions.iter().filter(|interaction| {
        interaction.read != NONE
            && interaction.write != NONE
            && !registers.is_initial(interaction.read)
            && interaction.read != interaction.write
    });
    both.map(|interaction| (interaction.read, interaction.write))
        .collect()
}

/// Processes meet the versions of a key in their order.
pub(super) fn sequential(registers: &Registers<'_>) -> Pairs {
    let history = registers.history;
    let mut last: HashMap<(i64, u32), u32> = HashMap::new();
    let mut pairs = Vec::new();
    for txn in by_process_order(history) {
        let described = history.txn(txn);
        for interaction in registers.of(txn) {
            let met = (described.process, interaction.key);
            if let Some(before) = last.get(&met)
                && *before != interaction.first()
            {
                pairs.push((*before, interaction.first()));
            }
            if described.outcome == Outcome::Committed {
                last.insert(met, interaction.last());
            }
        }
    }
    pairs
}
