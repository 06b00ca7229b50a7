//! Reads tables that hold a fault beside keys of their own: the kind is a key, its parameters the table below it.
//!
//! What serde offers for this, `flatten`, would lose the places in the file, and with them the line and column of errors.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::FaultParameters;
use crate::scenario::list;

/// Reads the keys of the table's own and its one fault.
///
/// # Errors
/// A key that is neither, with all that could stand there; and any number of faults other than one.
pub(super) fn read<'de, Own, D>(deserializer: D) -> Result<(Own, FaultParameters), D::Error>
where
    Own: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let mut fault = None;
    let own = Own::deserialize(Table {
        inner: deserializer,
        fault: &mut fault,
    })?;
    let fault = fault.expect("a table without a fault is refused");
    Ok((own, fault))
}

fn expected_one() -> String {
    format!("expected exactly one of {}", list(FaultParameters::KINDS))
}

/// Hands on a table without its fault.
struct Table<'a, T> {
    inner: T,
    fault: &'a mut Option<FaultParameters>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Table<'_, D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        own: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = TableVisitor {
            own,
            visitor,
            fault: self.fault,
        };
        self.inner.deserialize_struct(name, own, visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct TableVisitor<'a, V> {
    own: &'static [&'static str],
    visitor: V,
    fault: &'a mut Option<FaultParameters>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for TableVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let own = self.visitor.visit_map(OwnKeys {
            own: self.own,
            map,
            fault: self.fault,
        })?;
        match self.fault {
            Some(_) => Ok(own),
            None => Err(A::Error::custom(expected_one())),
        }
    }
}

/// Shows the keys of the table's own, and keeps the fault.
struct OwnKeys<'a, A> {
    own: &'static [&'static str],
    map: A,
    fault: &'a mut Option<FaultParameters>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for OwnKeys<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        mut seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            let key = KeySeed {
                own: self.own,
                another: self.fault.is_some(),
                seed,
            };
            match self.map.next_key_seed(key)? {
                None => return Ok(None),
                Some(Key::Own(key)) => return Ok(Some(key)),
                Some(Key::Kind(kind, unused)) => {
                    *self.fault = Some(FaultParameters::read(kind, &mut self.map)?);
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A key: one of the table's own, or a kind of fault, with what was to read the other.
enum Key<V, K> {
    Own(V),
    Kind(&'static str, K),
}

/// Reads a key. Errors that arise in here have its place.
struct KeySeed<K> {
    own: &'static [&'static str],
    /// Whether the table had a fault before this key.
    another: bool,
    seed: K,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<K> {
    type Value = Key<K::Value, K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KeySeed<K> {
    type Value = Key<K::Value, K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if self.own.contains(&key) {
            return self.seed.deserialize(key.into_deserializer()).map(Key::Own);
        }
        let Some(kind) = FaultParameters::KINDS.into_iter().find(|kind| *kind == key) else {
            let known: Vec<String> = (self.own.iter().chain(&FaultParameters::KINDS))
                .map(|known| format!("`{known}`"))
                .collect();
            let known = known.join(", ");
            return Err(E::custom(format!(
                "unknown field `{key}`, expected one of {known}"
            )));
        };
        if self.another {
            return Err(E::custom(expected_one()));
        }
        Ok(Key::Kind(kind, self.seed))
    }
}
