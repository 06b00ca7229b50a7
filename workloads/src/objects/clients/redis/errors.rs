//! The errors that Redis answers with, and what they mean for the operation.

use redis::RedisError;

use crate::objects::clients::errors::{self, OTHER, TIMED_OUT};
use crate::objects::{Effect, KnownError};

pub(super) const NO_CONNECTION: KnownError = KnownError::new(
    "no-connection",
    Effect::None,
    "there was no connection yet over which the operation could have been sent",
);
pub(super) const NO_PRIMARY: KnownError = KnownError::new(
    "no-primary",
    Effect::None,
    "the Sentinel named no primary, so nothing was sent",
);
pub(super) const BROKEN: KnownError = KnownError::new(
    "connection-broken",
    Effect::Maybe,
    "the connection broke, or the answer made no sense, after the operation was handed to it",
);
pub(super) const NOT_EQUAL: KnownError = KnownError::new(
    "not-equal",
    Effect::None,
    "the script compared, found another value and wrote nothing",
);
pub(super) const NO_FUNDS: KnownError = KnownError::new(
    "insufficient-funds",
    Effect::None,
    "the script found too little on the account and wrote nothing",
);

/// Errors by the first word of Redis' message.
///
/// All of them are found out before a command runs. Commands and scripts run one at a time, so none of them can
/// come up in the middle of a script that has written; within MULTI they are found when a command is
/// queued, and EXEC then does nothing.
static BY_CODE: [(&str, KnownError); 11] = [
    (
        "READONLY",
        KnownError::new(
            "read-only",
            Effect::None,
            "the server is a replica: it refuses writes before it runs them",
        ),
    ),
    (
        "MASTERDOWN",
        KnownError::new(
            "primary-down",
            Effect::None,
            "a replica without link to its primary refuses commands before it runs them",
        ),
    ),
    (
        "NOREPLICAS",
        KnownError::new(
            "no-replicas",
            Effect::None,
            "fewer good replicas than min-replicas-to-write: refused before it runs",
        ),
    ),
    (
        "LOADING",
        KnownError::new(
            "loading",
            Effect::None,
            "the server still loads its data and refuses commands before it runs them",
        ),
    ),
    (
        "MISCONF",
        KnownError::new(
            "cannot-save",
            Effect::None,
            "the server cannot write to its disk and refuses writes before it runs them",
        ),
    ),
    (
        "OOM",
        KnownError::new(
            "out-of-memory",
            Effect::None,
            "past maxmemory commands are refused before they run",
        ),
    ),
    (
        "BUSY",
        KnownError::new(
            "busy",
            Effect::None,
            "a script runs for long: other commands are refused before they run",
        ),
    ),
    (
        "EXECABORT",
        KnownError::new(
            "transaction-refused",
            Effect::None,
            "a command could not be queued: EXEC then runs none of them",
        ),
    ),
    (
        "NOAUTH",
        KnownError::new("no-auth", Effect::None, "refused before it runs"),
    ),
    (
        "NOPERM",
        KnownError::new("no-permission", Effect::None, "refused before it runs"),
    ),
    (
        "WRONGPASS",
        KnownError::new("wrong-password", Effect::None, "refused before it runs"),
    ),
];

/// Every error of the client.
pub(super) fn all() -> Vec<KnownError> {
    let own = [
        NO_CONNECTION,
        NO_PRIMARY,
        TIMED_OUT,
        BROKEN,
        NOT_EQUAL,
        NO_FUNDS,
        OTHER,
    ];
    errors::all(&own, &BY_CODE)
}

/// What an error in answer to a command means.
pub(super) fn of(error: &RedisError) -> KnownError {
    match error.code() {
        Some(code) => errors::named(&BY_CODE, |known| known == code),
        None => BROKEN,
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind};

    use super::*;

    #[test]
    fn what_the_server_refuses_is_certain_and_whatever_else_is_not() {
        let server = |kind| {
            of(&RedisError::from((
                ErrorKind::Server(kind),
                "said the server",
            )))
        };
        assert_eq!(server(ServerErrorKind::ReadOnly).name, "read-only");
        assert_eq!(server(ServerErrorKind::ReadOnly).effect, Effect::None);
        assert_eq!(server(ServerErrorKind::ResponseError).effect, Effect::Maybe);
        let broken = RedisError::from(std::io::Error::other("reset"));
        assert_eq!(of(&broken), BROKEN);
        let odd = RedisError::from((ErrorKind::UnexpectedReturnType, "odd"));
        assert_eq!(of(&odd), BROKEN);
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = all().into_iter().map(|error| error.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
