//! Filters: comparisons of a field with a number, a word or a boolean, joined with `AND`.

use serde_json::Value;

use super::{Document, Index};

/// The code of every complaint about filters.
pub(super) const INVALID: &str = "invalid_document_filter";

impl Index {
    /// Whether each document matches, by internal number.
    pub(super) fn matching(&self, filter: &Value) -> Result<Vec<u32>, String> {
        let Some(filter) = filter.as_str() else {
            return Err("this stand-in takes filters as strings only".to_owned());
        };
        let conditions = filter
            .split(" AND ")
            .map(|text| self.condition(text))
            .collect::<Result<Vec<_>, _>>()?;
        let matches = |d: &Document| conditions.iter().all(|c| c.holds(d));
        Ok(self
            .documents
            .iter()
            .filter(|(_, d)| matches(d))
            .map(|(&n, _)| n)
            .collect())
    }

    fn condition<'a>(&self, text: &'a str) -> Result<Condition<'a>, String> {
        let mut words = text.split_whitespace();
        let (Some(field), Some(operator), Some(value), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("Was expecting an operation at `{text}`."));
        };
        if !self.filterable.iter().any(|f| f == field) {
            return Err(format!("Attribute `{field}` is not filterable."));
        }
        if !["=", "<", "<="].contains(&operator) {
            return Err(format!("this stand-in does not know `{operator}`"));
        }
        Ok(Condition {
            field,
            operator,
            value,
        })
    }
}

struct Condition<'a> {
    field: &'a str,
    operator: &'a str,
    value: &'a str,
}

impl Condition<'_> {
    fn holds(&self, document: &Document) -> bool {
        let found = match document.get(self.field) {
            None => return false,
            Some(Value::Bool(b)) => return self.operator == "=" && b.to_string() == self.value,
            Some(Value::String(s)) if self.operator == "=" => return s == self.value,
            Some(found) => found.as_f64(),
        };
        // All numbers are compared as floats.
        let Some((found, wanted)) = found.zip(self.value.parse::<f64>().ok()) else {
            return false;
        };
        match self.operator {
            "=" => found == wanted,
            "<" => found < wanted,
            _ => found <= wanted,
        }
    }
}
