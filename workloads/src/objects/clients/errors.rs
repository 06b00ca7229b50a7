//! Errors that clients of several databases have, and how those that a server names are told apart.

use crate::objects::{Effect, KnownError};

pub(super) const TIMED_OUT: KnownError = KnownError::new(
    "timed-out",
    Effect::Maybe,
    "sent, and not answered in time: it may still be carried out",
);
pub(super) const OTHER: KnownError = KnownError::new(
    "server-error",
    Effect::Maybe,
    "an error that is none of the known ones: nothing is taken for certain",
);

/// Errors of a server, each with the word or words in its message by which it is known.
pub(super) type Named = [(&'static str, KnownError)];

/// Every error of a client: its own, and those of the server.
pub(super) fn all(own: &[KnownError], named: &Named) -> Vec<KnownError> {
    let named = named.iter().map(|(_, error)| error);
    own.iter().chain(named).cloned().collect()
}

/// The error whose words are those in the message, [`OTHER`] if none's are.
pub(super) fn named(named: &Named, are: impl Fn(&str) -> bool) -> KnownError {
    let known = named.iter().find(|(words, _)| are(words));
    known.map_or(OTHER, |(_, error)| error.clone())
}
