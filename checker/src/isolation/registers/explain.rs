//! Why one transaction over registers precedes another, in words.

use super::super::dictionary::Dictionary;
use super::super::graph::Edge;
use super::super::transactions::NONE;
use super::interactions::{Interaction, Registers};
use super::order::VersionOrder;
use super::within::show;

/// Why `from` precedes `to` by data. Takes time proportional to the keys of both.
pub(crate) fn reason(
    registers: &Registers<'_>,
    order: &VersionOrder,
    names: &Dictionary,
    from: u32,
    to: u32,
    edge: Edge,
) -> String {
    let show = |version: u32| show(registers, names, version);
    let value = |version: u32| names.show_value(registers.value[version as usize]);
    for a in of(registers, from) {
        for b in of(registers, to).iter().filter(|b| b.key == a.key) {
            let known = |version: u32| {
                version != NONE && b.write != NONE && order.before(registers, version, b.write)
            };
            match edge {
                Edge::Wr if a.write != NONE && a.write == b.read => {
                    return format!("wrote {}, which {{}} read", show(a.write));
                }
                Edge::Ww if known(a.write) => {
                    return format!(
                        "wrote {}, which comes before {}, which {{}} wrote",
                        show(a.write),
                        value(b.write)
                    );
                }
                Edge::Rw if known(a.read) => {
                    return format!(
                        "read {}, which comes before {}, which {{}} wrote",
                        show(a.read),
                        value(b.write)
                    );
                }
                _ => {}
            }
        }
    }
    String::new()
}

fn of<'a>(registers: &'a Registers<'_>, txn: u32) -> &'a [Interaction] {
    let all = &registers.interactions;
    let from = all.partition_point(|interaction| interaction.txn < txn);
    &all[from..from + all[from..].partition_point(|interaction| interaction.txn == txn)]
}
