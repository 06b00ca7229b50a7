//! What a test of a client found.

use std::fmt;

use super::Fault;
use crate::objects::{Effect, Invocation, KnownError};

/// One operation that met a fault, or none.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The fault.
    pub fault: Fault,
    /// Which of the operation's exchanges with the server it was meant for; the first is 0.
    pub exchange: u32,
    /// Whether the client had a connection already.
    pub kept: bool,
    /// Whether there was such an exchange. If not, nothing was wrong at all.
    pub struck: bool,
    /// The operation.
    pub asked: Invocation,
    /// What the client said.
    pub said: Said,
    /// Whether it happened, as the server shows it; nothing for reads.
    pub happened: Option<bool>,
    /// What is wrong with what the client said.
    pub problem: Option<String>,
}

/// What a client says of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It happened.
    Ok,
    /// One of its errors.
    Error(KnownError, String),
    /// It cannot tell, and should have been able to.
    Defect(String),
    /// Nothing, long past its time-out.
    Nothing,
}

/// What a test of a client found.
#[derive(Debug, Clone, Default)]
pub struct KitReport {
    /// Every operation.
    pub trials: Vec<Trial>,
}

impl KitReport {
    /// What is wrong with the client.
    pub fn problems(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|trial| trial.problem.is_some())
    }

    /// Operations that a fault struck.
    pub fn struck(&self) -> usize {
        self.trials.iter().filter(|trial| trial.struck).count()
    }
}

impl Said {
    /// Whether that is certain, and how.
    pub(super) fn certain(&self) -> Option<bool> {
        match self {
            Said::Ok => Some(true),
            Said::Error(error, _) => match error.effect {
                Effect::None => Some(false),
                Effect::Happened => Some(true),
                Effect::Maybe => None,
            },
            Said::Defect(_) | Said::Nothing => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Ok => f.write_str("ok"),
            Said::Error(error, text) => {
                let effect = match error.effect {
                    Effect::None => "none",
                    Effect::Happened => "happened",
                    Effect::Maybe => "maybe",
                };
                write!(f, "{} ({effect})", error.name)?;
                match text.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {text}"),
                }
            }
            Said::Defect(text) => write!(f, "defect: {text}"),
            Said::Nothing => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = if self.kept { "kept" } else { "new" };
        let fault = match self.struck {
            true => self.fault.name(),
            false => "no fault",
        };
        write!(
            f,
            "{fault}, exchange {} of {} over a {connection} connection: {}",
            self.exchange, self.asked.f, self.said
        )?;
        if let Some(problem) = &self.problem {
            write!(f, ": {problem}")?;
        }
        Ok(())
    }
}
