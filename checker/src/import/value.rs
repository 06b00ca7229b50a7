//! A value as other tools write it.

use std::fmt;
use std::mem::size_of;

/// An EDN value. Numbers that are no 64-bit integers are kept as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `42`
    Int(i64),
    /// `0.5`, `1N` beyond 64 bits, `2/3`
    Number(Box<str>),
    /// `"text"`
    Text(Box<str>),
    /// `\a`
    Char(char),
    /// `:name`, without the colon
    Keyword(Box<str>),
    /// `name`
    Symbol(Box<str>),
    /// `(1 2)`
    List(Vec<Value>),
    /// `[1 2]`
    Vector(Vec<Value>),
    /// `#{1 2}`, in the order written
    Set(Vec<Value>),
    /// `{:a 1}`, in the order written
    Map(Vec<(Value, Value)>),
    /// `#tag value`
    Tagged(Box<str>, Box<Value>),
}

impl Value {
    /// The value of a keyword key, if this is a map that has it (under a tag, or not).
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find_map(|(k, value)| match k {
                Value::Keyword(k) if **k == *key => Some(value),
                _ => None,
            }),
            Value::Tagged(_, value) => value.get(key),
            _ => None,
        }
    }

    /// Memory it takes beside itself, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Char(_) => 0,
            Value::Number(text)
            | Value::Text(text)
            | Value::Keyword(text)
            | Value::Symbol(text) => text.len(),
            Value::List(items) | Value::Vector(items) | Value::Set(items) => {
                items.iter().map(Value::bytes).sum()
            }
            Value::Map(entries) => entries.iter().map(|(k, v)| k.bytes() + v.bytes()).sum(),
            Value::Tagged(tag, value) => tag.len() + value.bytes(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Value>() + self.heap_bytes()
    }

    /// The items, if this is a list, vector or set.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Vector(items) | Value::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The name, if this is a keyword, symbol or text.
    pub fn name(&self) -> Option<&str> {
        match self {
            Value::Keyword(name) | Value::Symbol(name) | Value::Text(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Number(digits) => f.write_str(digits),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Char(character) => write!(f, "\\{character}"),
            Value::Keyword(name) => write!(f, ":{name}"),
            Value::Symbol(name) => f.write_str(name),
            Value::List(items) => sequence(f, "(", items, ")"),
            Value::Vector(items) => sequence(f, "[", items, "]"),
            Value::Set(items) => sequence(f, "#{", items, "}"),
            Value::Map(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} {value}")?;
                }
                f.write_str("}")
            }
            Value::Tagged(tag, value) => write!(f, "#{tag} {value}"),
        }
    }
}

fn sequence(f: &mut fmt::Formatter<'_>, open: &str, items: &[Value], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (at, item) in items.iter().enumerate() {
        let space = if at == 0 { "" } else { " " };
        write!(f, "{space}{item}")?;
    }
    f.write_str(close)
}
