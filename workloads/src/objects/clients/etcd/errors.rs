//! The errors that etcd answers with, and what they mean for the operation.

use crate::objects::clients::errors::{self, OTHER, TIMED_OUT};
use crate::objects::{Effect, KnownError};

pub(super) const NO_CONNECTION: KnownError = KnownError::new(
    "no-connection",
    Effect::None,
    "there was no connection, so nothing was sent",
);
pub(super) const BROKEN: KnownError = KnownError::new(
    "connection-broken",
    Effect::Maybe,
    "the connection broke, or the answer was not whole, after the request was sent",
);
pub(super) const NOT_EQUAL: KnownError = KnownError::new(
    "not-equal",
    Effect::None,
    "etcd compared, found another value and wrote nothing",
);
pub(super) const OVERTAKEN: KnownError = KnownError::new(
    "overtaken",
    Effect::None,
    "another write came between reading and writing: etcd compared revisions and wrote nothing",
);
pub(super) const NO_FUNDS: KnownError = KnownError::new(
    "insufficient-funds",
    Effect::None,
    "too little was on the account when it was read, so nothing was written",
);
pub(super) const NOT_READ: KnownError = KnownError::new(
    "not-read",
    Effect::None,
    "what there is could not be read, and nothing had been written",
);

/// Errors by how etcd's message begins.
static BY_MESSAGE: [(&str, KnownError); 7] = [
    (
        "etcdserver: request timed out",
        KnownError::new(
            "request-timed-out",
            Effect::Maybe,
            "proposed to the cluster and not decided in time: it may still be",
        ),
    ),
    (
        "etcdserver: leader changed",
        KnownError::new(
            "leader-changed",
            Effect::Maybe,
            "the leader changed while it waited: the old one may have passed it on",
        ),
    ),
    (
        "etcdserver: server stopped",
        KnownError::new(
            "server-stopped",
            Effect::Maybe,
            "the member stopped while it waited: it may have been proposed",
        ),
    ),
    (
        "etcdserver: too many requests",
        KnownError::new(
            "too-many-requests",
            Effect::None,
            "the member lags behind and refuses before it proposes",
        ),
    ),
    (
        "etcdserver: request is too large",
        KnownError::new(
            "request-too-large",
            Effect::None,
            "refused before it is proposed",
        ),
    ),
    (
        "etcdserver: mvcc: database space exceeded",
        KnownError::new(
            "no-space",
            Effect::None,
            "refused before it is proposed, or by every member alike when it is applied",
        ),
    ),
    (
        "raft proposal dropped",
        KnownError::new(
            "proposal-dropped",
            Effect::None,
            "the member's own raft had no leader to pass it to and let it go",
        ),
    ),
];

/// Every error of the client.
pub(super) fn all() -> Vec<KnownError> {
    let own = [
        NO_CONNECTION,
        TIMED_OUT,
        BROKEN,
        NOT_EQUAL,
        OVERTAKEN,
        NO_FUNDS,
        NOT_READ,
        OTHER,
    ];
    errors::all(&own, &BY_MESSAGE)
}

/// What an error in answer to a request means.
pub(super) fn of(message: &str) -> KnownError {
    errors::named(&BY_MESSAGE, |begin| message.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_gave_up_waiting_for_may_have_happened() {
        for message in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "context deadline exceeded",
            "something new",
        ] {
            assert_eq!(of(message).effect, Effect::Maybe, "{message}");
        }
        assert_eq!(of("etcdserver: too many requests").effect, Effect::None);
    }
}
