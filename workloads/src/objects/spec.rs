//! What a run on plain objects is asked for: a scenario's `[workload]` table.

use std::num::{NonZeroU8, NonZeroU32};

use serde::{Deserialize, Serialize};

/// A workload with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Spec(pub(super) Kind);

/// What it works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Values for keys, read and written; with `cas`, compared and set as well.
    Register {
        keys: Keys,
        /// Values are drawn from `0..values`; without it every value is written once.
        values: Option<NonZeroU32>,
        cas: bool,
    },
    /// Transactions of appends to lists and reads of them.
    Append {
        keys: Keys,
        /// Appends and reads in a transaction, at most.
        transaction: NonZeroU8,
    },
    /// One set that is added to.
    Set,
    /// One number that is added to.
    Counter,
    /// Accounts between which money is moved.
    Bank { accounts: NonZeroU32, balance: u32 },
}

/// Keys that are worked on side by side, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    /// So many at a time.
    pub(super) live: NonZeroU32,
    /// Operations on a key, over all processes, after which other keys take their place.
    pub(super) operations: NonZeroU32,
}

/// A `[workload]` table that says what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A setting of another kind.
    #[error("`{setting}` is no setting of kind = \"{kind}\": remove it ({kind} has {has})")]
    NotASetting {
        /// The setting.
        setting: &'static str,
        /// The kind of workload.
        kind: &'static str,
        /// The kind's settings.
        has: String,
    },
    /// A number out of bounds.
    #[error("{setting} = {value} is out of range: take {least} to {most}")]
    Range {
        /// The setting.
        setting: &'static str,
        /// What was given.
        value: u32,
        /// The smallest that is possible.
        least: u32,
        /// The largest that is possible.
        most: u32,
    },
}

/// The table as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kind: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operations_per_key: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accounts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balance: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Register,
    Cas,
    Append,
    Set,
    Counter,
    Bank,
}

const KEYS: u32 = 4;
/// A few hundred operations of a handful of processes are decided in milliseconds.
const OPERATIONS_PER_KEY: u32 = 200;
/// A list is as long as its appends are many, and every read of it is recorded.
const OPERATIONS_PER_LIST: u32 = 100;
const TRANSACTION: u32 = 4;
const ACCOUNTS: u32 = 8;
const BALANCE: u32 = 100;
const MOST: u32 = 1_000_000;

impl Name {
    const ALL: [Name; 6] = [
        Name::Register,
        Name::Cas,
        Name::Append,
        Name::Set,
        Name::Counter,
        Name::Bank,
    ];

    fn text(self) -> &'static str {
        match self {
            Name::Register => "register",
            Name::Cas => "cas",
            Name::Append => "append",
            Name::Set => "set",
            Name::Counter => "counter",
            Name::Bank => "bank",
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Name::Register | Name::Cas => &["keys", "operations_per_key", "values"],
            Name::Append => &["keys", "operations_per_key", "transaction"],
            Name::Set | Name::Counter => &[],
            Name::Bank => &["accounts", "balance"],
        }
    }
}

impl Table {
    fn empty(kind: Name) -> Self {
        Table {
            kind,
            keys: None,
            operations_per_key: None,
            values: None,
            transaction: None,
            accounts: None,
            balance: None,
        }
    }

    fn check_settings(&self) -> Result<(), SpecError> {
        let has = self.kind.settings();
        let given = [
            ("keys", self.keys),
            ("operations_per_key", self.operations_per_key),
            ("values", self.values),
            ("transaction", self.transaction),
            ("accounts", self.accounts),
            ("balance", self.balance),
        ];
        let mut given = given.iter().filter(|(_, value)| value.is_some());
        match given.find(|(setting, _)| !has.contains(setting)) {
            None => Ok(()),
            Some((setting, _)) => Err(SpecError::NotASetting {
                setting,
                kind: self.kind.text(),
                has: match has {
                    [] => "none".to_owned(),
                    has => has.join(", "),
                },
            }),
        }
    }

    fn keys(&self, operations: u32) -> Result<Keys, SpecError> {
        let operations = self.operations_per_key.unwrap_or(operations);
        Ok(Keys {
            live: within("keys", self.keys.unwrap_or(KEYS), 1, MOST)?,
            operations: within("operations_per_key", operations, 1, MOST)?,
        })
    }
}

fn within(
    setting: &'static str,
    value: u32,
    least: u32,
    most: u32,
) -> Result<NonZeroU32, SpecError> {
    NonZeroU32::new(value)
        .filter(|value| (least..=most).contains(&value.get()))
        .ok_or(SpecError::Range {
            setting,
            value,
            least,
            most,
        })
}

impl TryFrom<Table> for Spec {
    type Error = SpecError;

    fn try_from(table: Table) -> Result<Self, SpecError> {
        table.check_settings()?;
        Ok(Spec(match table.kind {
            Name::Register | Name::Cas => Kind::Register {
                keys: table.keys(OPERATIONS_PER_KEY)?,
                values: match table.values {
                    Some(values) => Some(within("values", values, 2, MOST)?),
                    None => None,
                },
                cas: table.kind == Name::Cas,
            },
            Name::Append => {
                let most = table.transaction.unwrap_or(TRANSACTION);
                let most = within("transaction", most, 1, 16)?;
                Kind::Append {
                    keys: table.keys(OPERATIONS_PER_LIST)?,
                    transaction: most.try_into().expect("at most 16"),
                }
            }
            Name::Set => Kind::Set,
            Name::Counter => Kind::Counter,
            Name::Bank => {
                let accounts = table.accounts.unwrap_or(ACCOUNTS);
                let balance = table.balance.unwrap_or(BALANCE);
                Kind::Bank {
                    accounts: within("accounts", accounts, 2, 1000)?,
                    balance: within("balance", balance, 1, MOST)?.get(),
                }
            }
        }))
    }
}

impl From<Spec> for Table {
    fn from(spec: Spec) -> Table {
        let table = Table::empty(spec.name());
        match spec.0 {
            Kind::Register { keys, values, .. } => Table {
                keys: Some(keys.live.get()),
                operations_per_key: Some(keys.operations.get()),
                values: values.map(NonZeroU32::get),
                ..table
            },
            Kind::Append { keys, transaction } => Table {
                keys: Some(keys.live.get()),
                operations_per_key: Some(keys.operations.get()),
                transaction: Some(transaction.get().into()),
                ..table
            },
            Kind::Set | Kind::Counter => table,
            Kind::Bank { accounts, balance } => Table {
                accounts: Some(accounts.get()),
                balance: Some(balance),
                ..table
            },
        }
    }
}

impl Spec {
    /// Names of all kinds of workloads.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        Name::ALL.into_iter().map(Name::text)
    }

    /// The workload of this kind as it is without further settings.
    pub fn of_kind(kind: &str) -> Option<Spec> {
        let name = Name::ALL.into_iter().find(|name| name.text() == kind)?;
        Spec::try_from(Table::empty(name)).ok()
    }

    /// The kind of workload: `register`, `cas`, `append`, `set`, `counter` or `bank`.
    pub fn kind(&self) -> &'static str {
        self.name().text()
    }

    /// The functions that clients are asked for, as they are spelt in histories.
    pub fn functions(&self) -> &'static [&'static str] {
        match self.0 {
            Kind::Register { cas: false, .. } => &["read", "write"],
            Kind::Register { cas: true, .. } => &["read", "write", "cas"],
            Kind::Append { .. } => &["txn"],
            Kind::Set | Kind::Counter => &["read", "add"],
            Kind::Bank { .. } => &["read", "transfer"],
        }
    }

    /// What a load's `mix` may give weights to, with the weights of a load without: functions, or for
    /// transactions what they are made of.
    pub fn mix(&self) -> &'static [(&'static str, u16)] {
        match self.0 {
            Kind::Register { cas: false, .. } => &[("read", 1), ("write", 1)],
            Kind::Register { cas: true, .. } => &[("read", 2), ("write", 1), ("cas", 1)],
            Kind::Append { .. } => &[("read", 1), ("append", 1)],
            // Every read of a growing set is recorded whole.
            Kind::Set => &[("read", 1), ("add", 100)],
            Kind::Counter => &[("read", 1), ("add", 1)],
            Kind::Bank { .. } => &[("read", 1), ("transfer", 3)],
        }
    }

    /// The models that judge it, unless the scenario says others.
    pub fn models(&self) -> &'static [&'static str] {
        match self.0 {
            Kind::Register { .. } => &["register"],
            Kind::Append { .. } => &["strict-serializable"],
            Kind::Set => &["final-set", "set-full"],
            Kind::Counter => &["counter-bounds"],
            Kind::Bank { .. } => &["bank"],
        }
    }

    /// What all balances of a bank add up to, for the model that judges it.
    pub fn total(&self) -> Option<i64> {
        let accounts = self.accounts()?;
        let balance = self.initial_balance()?;
        Some(i64::from(accounts) * balance)
    }

    /// Accounts of a bank; they are numbered from 0.
    pub fn accounts(&self) -> Option<u32> {
        match self.0 {
            Kind::Bank { accounts, .. } => Some(accounts.get()),
            _ => None,
        }
    }

    /// What is on each account of a bank at first. An account that the database does not know has so much.
    pub fn initial_balance(&self) -> Option<i64> {
        match self.0 {
            Kind::Bank { balance, .. } => Some(balance.into()),
            _ => None,
        }
    }

    fn name(&self) -> Name {
        match self.0 {
            Kind::Register { cas: false, .. } => Name::Register,
            Kind::Register { cas: true, .. } => Name::Cas,
            Kind::Append { .. } => Name::Append,
            Kind::Set => Name::Set,
            Kind::Counter => Name::Counter,
            Kind::Bank { .. } => Name::Bank,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_table_is_read_and_written_back() {
        let spec: Spec = toml::from_str("kind = \"register\"\nkeys = 7").unwrap();
        assert_eq!(
            spec.0,
            Kind::Register {
                keys: Keys {
                    live: NonZeroU32::new(7).unwrap(),
                    operations: NonZeroU32::new(OPERATIONS_PER_KEY).unwrap(),
                },
                values: None,
                cas: false,
            }
        );
        for kind in Spec::kinds() {
            let spec = Spec::of_kind(kind).unwrap();
            assert_eq!(spec.kind(), kind);
            let written = toml::to_string(&spec).unwrap();
            assert_eq!(toml::from_str::<Spec>(&written).unwrap(), spec);
        }
        assert_eq!(Spec::of_kind("documents"), None);
    }

    #[test]
    fn a_bank_says_what_it_adds_up_to() {
        let spec: Spec = toml::from_str("kind = \"bank\"\naccounts = 3\nbalance = 7").unwrap();
        assert_eq!(spec.total(), Some(21));
        assert_eq!(Spec::of_kind("set").unwrap().total(), None);
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        for (text, expected) in [
            ("keys = 1", "missing field `kind`"),
            ("kind = \"registers\"", "unknown variant `registers`"),
            ("kind = \"register\"\nkey = 1", "unknown field `key`"),
            (
                "kind = \"set\"\nkeys = 1",
                "`keys` is no setting of kind = \"set\": remove it (set has none)",
            ),
            (
                "kind = \"bank\"\nvalues = 2",
                "remove it (bank has accounts, balance)",
            ),
            (
                "kind = \"cas\"\nvalues = 1",
                "values = 1 is out of range: take 2 to",
            ),
            ("kind = \"append\"\ntransaction = 99", "take 1 to 16"),
            ("kind = \"register\"\nkeys = 0", "keys = 0 is out of range"),
        ] {
            let error = toml::from_str::<Spec>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
