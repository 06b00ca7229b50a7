//! Faults on connections and names.

use shakedown_nemesis::fault::PROBABILITIES;
use shakedown_nemesis::ports::{LATE_MS, LONGEST_PAUSE_MS, PIECES, PORTS};

use super::words::{at_least, integer, time, time_up_to};
use super::{Key, Kind, key};

/// Of `reset`.
pub(super) fn reset() -> Kind {
    Kind {
        name: "reset",
        strikes: "connections",
        happens: "reset by packets that carry data",
        mechanism: "rules that reject data packets; with `containing` a queue as `delay`",
        needs: "root, `nft`; with `containing` netfilter's queue",
        undone: "the rules are deleted",
        doctor: &["reset", "reset (containing)"],
        keys: vec![
            listeners(),
            key("port", integer(&PORTS), "required", "the port"),
            key(
                "from",
                "names",
                "every node of the run",
                "only packets from these nodes",
            ),
            key(
                "probability",
                format!(
                    "number, above {} up to {}",
                    PROBABILITIES.start(),
                    PROBABILITIES.end()
                ),
                "required",
                "share of data packets rejected",
            ),
            key(
                "containing",
                "list of strings",
                "`[]`",
                "only packets whose payload matches one of these regular expressions ([regex](https://docs.rs/regex) syntax, over bytes); all data packets without any",
            ),
        ],
    }
}

/// Of `block`.
pub(super) fn block() -> Kind {
    Kind {
        name: "block",
        strikes: "connections",
        happens: "a port is silent or refuses",
        mechanism: "rules that drop or reject",
        needs: "root, `nft`",
        undone: "the rules are deleted",
        doctor: &["block", "block (refuse)"],
        keys: vec![
            listeners(),
            key("port", integer(&PORTS), "required", "the port"),
            key(
                "from",
                "names",
                "everyone: all nodes and clients",
                "only for these nodes, or `\"clients\"`",
            ),
            key(
                "mode",
                "`\"drop\"`, `\"drop_new\"` or `\"refuse\"`",
                "required",
                "all TCP and UDP packets vanish; only those vanish that would open a TCP connection; or what would open one is answered by a reset (and UDP by an ICMP error)",
            ),
        ],
    }
}

/// Of `stream`.
pub(super) fn stream() -> Kind {
    Kind {
        name: "stream",
        strikes: "connections",
        happens: "hang, end early, trickle, close late",
        mechanism: "connections are redirected to a process of the agent's",
        needs: "root, `nft`, NAT in the kernel",
        undone: "the rules are deleted, the process ends",
        doctor: &["stream"],
        keys: vec![
            listeners(),
            key("port", integer(&PORTS), "required", "the port"),
            key(
                "from",
                "names",
                "everyone: all nodes and clients",
                "only connections from these nodes, or `\"clients\"`",
            ),
            key(
                "hang",
                "boolean",
                "`false`",
                "connections are accepted, and nobody says a word",
            ),
            key(
                "cut_after",
                "integer",
                "none",
                "connections end after so many bytes",
            ),
            key(
                "cut_of",
                "`\"answers\"` or `\"requests\"`",
                "`\"answers\"`",
                "which way those bytes go",
            ),
            key(
                "slice",
                at_least(PIECES.start()),
                "none",
                "bytes pass in pieces of so many at most, in both directions",
            ),
            key(
                "pause",
                time_up_to(LONGEST_PAUSE_MS),
                "`\"0s\"`",
                "after each piece",
            ),
            key(
                "close_late",
                time(&LATE_MS),
                "none",
                "when one side ends a connection, the other hears of it so much later",
            ),
        ],
    }
}

/// Of `dns`.
pub(super) fn dns() -> Kind {
    Kind {
        name: "dns",
        strikes: "names",
        happens: "not resolved",
        mechanism: "questions are redirected to a process of the agent's, or answers dropped",
        needs: "root, `nft`, NAT in the kernel",
        undone: "the rules are deleted, the process ends",
        doctor: &["dns"],
        keys: vec![
            key(
                "nodes",
                "names",
                "required",
                "the nodes whose questions for names fail, whoever asks on them",
            ),
            key(
                "mode",
                "`\"drop\"`, `\"servfail\"`, `\"refused\"` or `\"nxdomain\"`",
                "required",
                "no answer comes, or that error does",
            ),
        ],
    }
}

fn listeners() -> Key {
    key(
        "nodes",
        "names",
        "required",
        "the nodes that listen on the port",
    )
}
