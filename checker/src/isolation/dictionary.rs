//! What keys and values are called outside.

use hashbrown::HashMap;

use super::transactions::NIL;

/// Names of keys, and numbers for values that are no integers.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    keys: Vec<Box<str>>,
    key_numbers: HashMap<Box<str>, u32>,
    small_keys: Vec<Option<u32>>,
    values: Vec<Box<str>>,
    value_numbers: HashMap<Box<str>, i64>,
}

/// Integer keys below this are looked up in an array.
const SMALL: usize = 1 << 22;

/// The numbers of values that are no integers follow this one.
const FIRST: i64 = NIL + 1;

impl Dictionary {
    /// The number of a key that is an integer.
    pub fn integer_key(&mut self, key: i64) -> u32 {
        let Some(small) = usize::try_from(key).ok().filter(|key| *key < SMALL) else {
            return self.key(&key.to_string());
        };
        if small >= self.small_keys.len() {
            self.small_keys.resize(small + 1, None);
        }
        if let Some(number) = self.small_keys[small] {
            return number;
        }
        let number = self.key(&key.to_string());
        self.small_keys[small] = Some(number);
        number
    }

    /// The number of a key.
    pub fn key(&mut self, name: &str) -> u32 {
        if let Some(number) = self.key_numbers.get(name) {
            return *number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(name.into());
        self.key_numbers.insert(name.into(), number);
        number
    }

    /// The number of a value that is an integer, if it is not taken by another value.
    pub fn integer(&self, value: i64) -> Option<i64> {
        (value > FIRST + i64::from(u32::MAX)).then_some(value)
    }

    /// The number of a value that is no integer.
    pub fn value(&mut self, text: &str) -> i64 {
        if let Some(number) = self.value_numbers.get(text) {
            return *number;
        }
        let number = FIRST + self.values.len() as i64;
        self.values.push(text.into());
        self.value_numbers.insert(text.into(), number);
        number
    }

    /// A key, for people.
    pub fn show_key(&self, key: u32) -> String {
        match self.keys.get(key as usize) {
            Some(name) => name.to_string(),
            None => key.to_string(),
        }
    }

    /// A value, for people.
    pub fn show_value(&self, value: i64) -> String {
        if value == NIL {
            return "nil".to_owned();
        }
        let text = value
            .checked_sub(FIRST)
            .and_then(|at| usize::try_from(at).ok());
        match text.and_then(|at| self.values.get(at)) {
            Some(text) => text.to_string(),
            None => value.to_string(),
        }
    }

    /// A list, for people; the middle of a long one is left out.
    pub fn show_list(&self, elements: &[i64]) -> String {
        const SHOWN: usize = 6;
        let show = |elements: &[i64]| {
            let shown: Vec<_> = elements
                .iter()
                .map(|value| self.show_value(*value))
                .collect();
            shown.join(" ")
        };
        if elements.len() <= 2 * SHOWN {
            return format!("[{}]", show(elements));
        }
        let (head, tail) = (&elements[..SHOWN], &elements[elements.len() - SHOWN..]);
        format!("[{} … {}]", show(head), show(tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_keep_their_names() {
        let mut names = Dictionary::default();
        let x = names.key(":x");
        let seven = names.integer_key(7);
        assert_eq!(
            [names.key(":x"), names.integer_key(7), names.key("7")],
            [x, seven, seven]
        );
        assert_eq!(names.show_key(seven), "7");
        let text = names.value("\"a\"");
        assert_eq!(names.show_value(text), "\"a\"");
        assert_eq!(names.show_list(&[1, NIL, text]), "[1 nil \"a\"]");
        assert_eq!(names.integer(i64::MIN + 5), None);
        assert_eq!(names.integer(-5), Some(-5));
    }

    #[test]
    fn long_lists_are_shown_without_their_middle() {
        let elements: Vec<i64> = (1..=20).collect();
        let shown = Dictionary::default().show_list(&elements);
        assert_eq!(shown, "[1 2 3 4 5 6 … 15 16 17 18 19 20]");
    }
}
