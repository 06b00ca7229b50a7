//! Values of any kind as the integers that models work with.

use hashbrown::HashMap;

use crate::linearizability::models::NIL;

use super::value::Value;

/// Numbers for values. Integers stand for themselves, `nil` for [`NIL`], everything else for a number
/// near the lowest.
#[derive(Debug, Default)]
pub struct Names {
    values: Vec<Value>,
    numbers: HashMap<Value, i64>,
}

/// Integers below this stand for values by number.
const FIRST_NUMBER: i64 = i64::MIN + 1;
const LAST_NUMBER: i64 = i64::MIN / 2;

impl Names {
    /// The number of a value.
    pub fn number(&mut self, value: &Value) -> i64 {
        match value {
            Value::Nil => NIL,
            Value::Int(value) if *value > LAST_NUMBER => *value,
            value => match self.numbers.get(value) {
                Some(&number) => number,
                None => {
                    let number = FIRST_NUMBER + self.values.len() as i64;
                    self.values.push(value.clone());
                    self.numbers.insert(value.clone(), number);
                    number
                }
            },
        }
    }

    /// The value of a number, spelt out.
    pub fn name(&self, number: i64) -> String {
        match number {
            NIL => "nil".to_owned(),
            FIRST_NUMBER..=LAST_NUMBER => match self.values.get((number - FIRST_NUMBER) as usize) {
                Some(value) => value.to_string(),
                None => number.to_string(),
            },
            number => number.to_string(),
        }
    }
}
