//! Accounts between which money is moved.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Invariant, Moment, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// Every read of all balances adds up to the same, over the same accounts, and none is below zero unless
/// that is allowed. After Jepsen's `bank` checker (<https://github.com/jepsen-io/jepsen>, `jepsen.tests.bank`).
///
/// Without a total, that of the first read counts. O(balances read).
#[derive(Debug, Default)]
pub struct Bank {
    total: Option<i64>,
    negative_allowed: bool,
    /// Total and accounts of the first read.
    first: Option<(i128, Vec<String>)>,
    reads: usize,
    /// By class: how many, and the first cases.
    wrong: BTreeMap<&'static str, (usize, Vec<String>)>,
    operations: usize,
}

const SHOWN: usize = 16;

impl Bank {
    /// `total`: what balances add up to, if that is known.
    pub fn new(total: Option<i64>, negative_allowed: bool) -> Self {
        Bank {
            total,
            negative_allowed,
            ..Self::default()
        }
    }

    fn read(&mut self, answer: &Moment, balances: &[(Value, Value)]) -> Result<(), ImportError> {
        self.reads += 1;
        let mut accounts: Vec<_> = balances
            .iter()
            .map(|(account, _)| account.to_string())
            .collect();
        accounts.sort_unstable();
        let mut total: Option<i128> = Some(0);
        let (mut missing, mut negative) = (Vec::new(), Vec::new());
        for (account, balance) in balances {
            match balance {
                Value::Int(balance) => {
                    total = total.map(|sum| sum + i128::from(*balance));
                    if *balance < 0 && !self.negative_allowed {
                        negative.push(format!("{account}: {balance}"));
                    }
                }
                Value::Nil => {
                    total = None;
                    missing.push(account.to_string());
                }
                _ => return wrong(answer, "not a balance"),
            }
        }
        let line = answer.event.line;
        if !missing.is_empty() {
            self.found("no-balance", format!("line {line}: {}", missing.join(", ")));
        }
        if !negative.is_empty() {
            self.found("negative", format!("line {line}: {}", negative.join(", ")));
        }
        let Some(total) = total else {
            return Ok(());
        };
        let (first, of_first) = self.first.get_or_insert_with(|| (total, accounts.clone()));
        let expected = self.total.map_or(*first, i128::from);
        if accounts != *of_first {
            let case = format!(
                "line {line}: {}, at first {}",
                accounts.join(" "),
                of_first.join(" ")
            );
            self.found("other-accounts", case);
        }
        if total != expected {
            self.found(
                "wrong-total",
                format!("line {line}: {total}, not {expected}"),
            );
        }
        Ok(())
    }

    fn found(&mut self, class: &'static str, case: String) {
        let (count, cases) = self.wrong.entry(class).or_default();
        *count += 1;
        if cases.len() < SHOWN {
            cases.push(case);
        }
    }
}

impl Invariant for Bank {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        match &*call.event.f {
            "read" | "transfer" => Ok(()),
            _ => unknown(call),
        }
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        match (&*call.event.f, answer.event.kind, &answer.event.value) {
            ("read", EventKind::Ok, Value::Map(balances)) => self.read(answer, balances),
            ("read", EventKind::Ok, Value::Nil) => Ok(()),
            ("read", EventKind::Ok, _) => wrong(answer, "not a map of balances"),
            _ => Ok(()),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let reads = told::count(self.reads, "read");
        let classes: Vec<_> = self
            .wrong
            .iter()
            .map(|(class, (count, _))| (*count, *class))
            .collect();
        let (verdict, reason) = if !classes.is_empty() {
            let what = format!("{}, in {reads}", told::summary(&classes));
            (Verdict::Invalid, what)
        } else if let Some((total, _)) = &self.first {
            (Verdict::Valid, format!("{reads} add up to {total}"))
        } else {
            (Verdict::Unknown, "balances were never read".to_owned())
        };
        let findings = self.wrong.iter().map(|(class, (count, cases))| {
            let reason = match *class {
                "wrong-total" => "balances do not add up",
                "negative" => "a balance is below zero",
                "no-balance" => "an account has no balance",
                _ => "the accounts are others",
            };
            let reason = format!("{reason}, in {}", told::count(*count, "read"));
            told::class(class, reason, *count, cases.iter().cloned())
        });
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings: findings.collect(),
            facts: json!({"reads": self.reads, "wrong": self.wrong.values().map(|(count, _)| count).sum::<usize>()}),
            ..Outcome::default()
        }
    }
}
