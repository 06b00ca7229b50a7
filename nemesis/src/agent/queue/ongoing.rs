//! The account of a process that reads a queue, kept while packets come.

use std::io;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::account::Account;
use crate::agent::attendant::{ACCOUNT_EVERY, News};

/// Where account is kept, and how often it was asked for and written.
#[derive(Debug)]
pub(super) struct Ongoing<'a> {
    path: &'a Path,
    asked: u64,
    written: Instant,
}

impl<'a> Ongoing<'a> {
    /// Nothing is written yet.
    pub(super) fn new(path: &'a Path) -> Self {
        Self {
            path,
            asked: 0,
            written: Instant::now(),
        }
    }

    /// Writes the totals if there is news, or if the last ones are old.
    pub(super) fn keep<T: Serialize + DeserializeOwned>(
        &mut self,
        news: News,
        totals: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<()> {
        self.asked += u64::from(news == News::Tell);
        if news == News::Nothing && self.written.elapsed() < ACCOUNT_EVERY {
            return Ok(());
        }
        let account = Account {
            asked: self.asked,
            totals: totals()?,
        };
        account.write(self.path)?;
        self.written = Instant::now();
        Ok(())
    }
}
