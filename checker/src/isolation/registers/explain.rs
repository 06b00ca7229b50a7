//! Why one transaction over registers precedes another, in words.

use super::super::dictionary::Dictionary;
use super::super::graph::Edge;
use super::super::transactions::NONE;
use super::interactions::Registers;
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
    for a in registers.of(from) {
        for b in registers.of(to).iter().filter(|b| b.key == a.key) {
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
