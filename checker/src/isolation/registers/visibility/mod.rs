//! The weaker levels, decided completely: whether what transactions read leaves an order of commits.
//!
//! A history satisfies such a level if there is a total order of commits that extends session order and
//! "read from", such that whenever a transaction reads `x` from `t1` although it must see `t2`, which
//! wrote `x`, too, `t2` comes before `t1`. What it must see depends on sessions and reads alone, so the
//! order exists exactly if those constraints have no cycle (R. Biswas and C. Enea, "On the complexity of
//! checking transactional consistency", OOPSLA 2019). Which constraints to look at, and that clocks per
//! session are enough, is after L. Møldrup and A. Pavlogiannis, "AWDIT: an optimal weak database
//! isolation tester", PLDI 2025, and S. Liu et al., "Plume", OOPSLA 2024.
//!
//! With `n` operations: monotonic and atomic views O(n * sqrt(n)); causal views O(n * k) time and O(n)
//! memory, `k` being sessions or keys in use at a time, whichever takes less. Without session order there are
//! no clocks, so causality is judged with it only.

mod atomic;
mod causal;
mod constraints;
mod keys;
mod sessions;
#[cfg(test)]
mod tests;

use super::super::anomaly::{Anomaly, Form, View};
use super::super::cases::Cases;
use super::super::dictionary::Dictionary;
use super::interactions::Registers;

use constraints::Constraints;

/// Finds violations of views, the gravest form of each. `form` says whether sessions count. Returns a
/// note if causality would take too long to judge.
pub(crate) fn find_views(
    registers: &Registers<'_>,
    form: Form,
    names: &Dictionary,
    cases: &mut Cases,
) -> Option<String> {
    let judge = |view: View, sessions: bool, cases: &mut Cases| -> Found {
        let Some(mut constraints) = Constraints::new(registers, sessions) else {
            return Found::Circle;
        };
        match view {
            View::Monotonic => atomic::add(registers, &mut constraints, true),
            View::Atomic => atomic::add(registers, &mut constraints, false),
            View::Causal => {
                if !causal::add(registers, &mut constraints) {
                    return Found::TooLong;
                }
            }
        }
        let form = if sessions { Form::Process } else { Form::Data };
        match constraints.find_cycle(registers, names) {
            Some(found) => {
                cases.add(Anomaly::View(view, form), || found);
                Found::Violation
            }
            None => Found::Nothing,
        }
    };
    let sessions = form != Form::Data;
    let mut note = None;
    if sessions {
        match judge(View::Causal, true, cases) {
            // Whoever sees all causes sees all else.
            Found::Nothing => return None,
            Found::TooLong => {
                note = Some("there are too many long sessions to judge causality".to_owned());
            }
            Found::Violation | Found::Circle => {}
        }
    }
    for view in [View::Atomic, View::Monotonic] {
        let found = judge(view, false, cases);
        if found == Found::Violation {
            continue;
        }
        if found == Found::Nothing && (!sessions || judge(view, true, cases) == Found::Nothing) {
            break;
        }
    }
    note
}

/// What came of judging a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It holds.
    Nothing,
    /// It is violated.
    Violation,
    /// What was read leads in a circle by itself: told elsewhere.
    Circle,
    /// Judging would take too long.
    TooLong,
}
