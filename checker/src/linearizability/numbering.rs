//! Values as consecutive numbers.

use hashbrown::HashMap;

/// How far apart values may lie, per value, to be numbered by a plain table.
const SPREAD: u64 = 4;

/// Numbers values in the order they come: O(1) each.
pub(super) enum Numbering {
    Table {
        least: i64,
        numbers: Vec<u32>,
        next: u32,
    },
    Map(HashMap<i64, u32>),
}

impl Numbering {
    /// For these values.
    pub(super) fn new(values: impl Iterator<Item = i64>) -> Self {
        let (mut least, mut most, mut count) = (i64::MAX, i64::MIN, 0u64);
        for value in values {
            least = least.min(value);
            most = most.max(value);
            count += 1;
        }
        if count == 0 || most.abs_diff(least) > SPREAD * count + 64 {
            return Numbering::Map(HashMap::new());
        }
        Numbering::Table {
            least,
            numbers: vec![u32::MAX; most.abs_diff(least) as usize + 1],
            next: 0,
        }
    }

    /// The number of a value seen before.
    pub(super) fn get(&self, value: i64) -> Option<u32> {
        match self {
            Numbering::Table { least, numbers, .. } => {
                let at = usize::try_from(value.checked_sub(*least)?).ok()?;
                numbers.get(at).copied().filter(|&n| n != u32::MAX)
            }
            Numbering::Map(map) => map.get(&value).copied(),
        }
    }

    /// Gives a value the next number; `None` if it has one. The value must be among those announced.
    pub(super) fn add(&mut self, value: i64) -> Option<u32> {
        match self {
            Numbering::Table {
                least,
                numbers,
                next,
            } => {
                let number = &mut numbers[value.abs_diff(*least) as usize];
                if *number != u32::MAX {
                    return None;
                }
                *number = *next;
                *next += 1;
                Some(*number)
            }
            Numbering::Map(map) => {
                let next = map.len() as u32;
                match map.entry(value) {
                    hashbrown::hash_map::Entry::Occupied(_) => None,
                    hashbrown::hash_map::Entry::Vacant(entry) => {
                        entry.insert(next);
                        Some(next)
                    }
                }
            }
        }
    }
}
