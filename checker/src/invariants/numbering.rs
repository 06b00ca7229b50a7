//! Values as dense numbers.

use hashbrown::HashMap;

use crate::import::Value;

/// Numbers values from 0, in the order they are met. O(1) each.
#[derive(Debug, Clone, Default)]
pub struct Numbering {
    integers: HashMap<i64, u32>,
    others: HashMap<Value, u32>,
    values: Vec<Value>,
}

impl Numbering {
    /// The number of a value, a new one if it has none.
    pub fn number(&mut self, value: &Value) -> u32 {
        let next = self.values.len() as u32;
        let number = match value {
            Value::Int(integer) => *self.integers.entry(*integer).or_insert(next),
            value => match self.others.get(value) {
                Some(&number) => number,
                None => {
                    self.others.insert(value.clone(), next);
                    next
                }
            },
        };
        if number == next {
            self.values.push(value.clone());
        }
        number
    }

    /// The value of a number that was given out.
    pub fn value(&self, number: u32) -> &Value {
        &self.values[number as usize]
    }
}
