//! What can go wrong between harness and agent.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::ControlError;

/// Why an agent could not be reached or did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentError {
    /// SSH itself failed.
    #[error(transparent)]
    Control(#[from] std::sync::Arc<ControlError>),
    /// The agent binary cannot be read.
    #[error(
        "agent binary {path}: {problem}: it lies next to the shakedown binary after `cargo build`"
    )]
    Binary {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        problem: String,
    },
    /// The agent said no.
    #[error("{node}: the agent refused to {request}: {reason}")]
    Refused {
        /// The node.
        node: String,
        /// What was asked.
        request: String,
        /// The agent's words.
        reason: String,
    },
    /// No answer in time.
    #[error("{node}: the agent gave no answer to {request} within {limit:?}")]
    Timeout {
        /// The node.
        node: String,
        /// What was asked.
        request: String,
        /// The time it had.
        limit: Duration,
    },
    /// The link is gone, and with it, after the lease, all faults on the node.
    #[error("{node}: the link to the agent is gone: {reason}")]
    Dead {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// An answer of the wrong kind.
    #[error(
        "{node}: the agent's answer makes no sense: {answer}; are harness and agent of one build?"
    )]
    Nonsense {
        /// The node.
        node: String,
        /// The answer.
        answer: String,
    },
}

impl From<ControlError> for AgentError {
    fn from(e: ControlError) -> AgentError {
        AgentError::Control(std::sync::Arc::new(e))
    }
}

impl AgentError {
    pub(crate) fn binary(path: &std::path::Path, e: &io::Error) -> AgentError {
        AgentError::Binary {
            path: path.to_owned(),
            problem: e.to_string(),
        }
    }
}
