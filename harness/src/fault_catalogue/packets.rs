//! Faults on packets.

use shakedown_nemesis::effects::{
    BACKLOG_MS, Effects, FASTEST_RATE, PERCENT, REORDER_MS, SLOWEST_RATE,
};
use shakedown_nemesis::fault::{DELAY_MS, LONGEST_DELAY_MS};
use shakedown_nemesis::ports::PORTS;

use super::words::{integer, number, span, time, time_up_to};
use super::{Kind, key};

/// Of `partition`.
pub(super) fn partition() -> Kind {
    Kind {
        name: "partition",
        strikes: "packets",
        happens: "dropped between two sides",
        mechanism: "rules (nftables) where packets come in",
        needs: "root, `nft`",
        undone: "the rules are deleted",
        doctor: &["partition"],
        keys: vec![
            key(
                "from",
                "names",
                "required",
                "one side; `\"clients\"` stands for the machine where the harness and its clients run",
            ),
            key(
                "to",
                "names",
                "required",
                "the other side; no node may be on both",
            ),
            key(
                "one_way",
                "boolean",
                "`false`",
                "drop only packets that travel `from` -> `to`",
            ),
        ],
    }
}

/// Of `split`.
pub(super) fn split() -> Kind {
    Kind {
        name: "split",
        strikes: "packets",
        happens: "dropped between groups of nodes",
        mechanism: "as `partition`",
        needs: "as `partition`",
        undone: "as `partition`",
        doctor: &["split"],
        keys: vec![
            key(
                "nodes",
                "names",
                "none",
                "the nodes concerned; their order counts",
            ),
            key(
                "shape",
                "string",
                "none",
                "`\"isolate\"`: `one` is cut off from all others. `\"halves\"`: the first half (the larger one of an odd number) and the rest. `\"majority_minority\"`: the first nodes, as few as are a majority, and the rest; 3 nodes or more. `\"majorities_ring\"`: each node reaches its neighbours in a ring, which with itself are a majority, and no two reach the same; 4 nodes or more. `\"bridge\"`: two halves that reach each other only through the node between them; 3 nodes or more",
            ),
            key(
                "one",
                "names",
                "required by `\"isolate\"`",
                "one node of `nodes`, or `\"primary\"`; in a storm `\"store[?]\"`, too",
            ),
            key(
                "shuffle",
                "boolean",
                "`false`",
                "in an order drawn from the run's seed and the fault's name, not in that in which they are named: other groups for each fault of a storm",
            ),
            key(
                "pairs",
                "list of pairs of names",
                "`[]`",
                "every node of the first of a pair is cut off from every node of the second: `[[\"router\", \"store[0]\"], [\"store[1]\", \"store[2]\"]]`",
            ),
        ],
    }
}

/// Of `delay`.
pub(super) fn delay() -> Kind {
    Kind {
        name: "delay",
        strikes: "packets",
        happens: "held",
        mechanism: "a queue of packets (NFQUEUE), read by a process of the agent's",
        needs: "root, `nft`, netfilter's queue",
        undone: "the process ends, the rules are deleted",
        doctor: &["delay"],
        keys: vec![
            key("from", "names", "required", "the nodes that send"),
            key(
                "to",
                "names",
                "required",
                "the nodes at which the packets are held",
            ),
            key("port", integer(&PORTS), "all", "only packets for this port"),
            key(
                "delay",
                time(&DELAY_MS),
                "required",
                "how long each packet is held",
            ),
            key(
                "jitter",
                "duration",
                "`\"0s\"`",
                "by how much that varies, at random; not above `delay`",
            ),
            key(
                "distribution",
                "`\"uniform\"`, `\"normal\"` or `\"pareto\"`",
                "`\"uniform\"`",
                "[how it varies](faults.md#shape)",
            ),
        ],
    }
}

/// Of `shape`.
pub(super) fn shape() -> Kind {
    Kind {
        name: "shape",
        strikes: "packets",
        happens: "lost, damaged, doubled, slowed, held, reordered",
        mechanism: "as `delay`",
        needs: "as `delay`; raw sockets for duplication",
        undone: "as `delay`",
        doctor: &["shape"],
        keys: vec![
            key(
                "from",
                "names",
                "required",
                "the nodes that send; `\"clients\"` stands for the machine where the harness and its clients run",
            ),
            key(
                "to",
                "names",
                "required",
                "the nodes at which packets are caught",
            ),
            key(
                "both",
                "boolean",
                "`false`",
                "the other direction, too; not with `\"clients\"`",
            ),
            key(
                "port",
                integer(&PORTS),
                "all",
                "only TCP and UDP packets for this port of `to`; with `both` also answers from it",
            ),
            key(
                "loss_percent",
                number(&PERCENT),
                "`0`",
                "share of packets lost",
            ),
            key(
                "corrupt_percent",
                number(&PERCENT),
                "`0`",
                "share of packets in which one bit is turned over",
            ),
            key(
                "corrupt_unnoticed",
                "boolean",
                "`false`",
                "damage payloads only, and make the checksums of TCP and UDP match, so that the program receives wrong bytes",
            ),
            key(
                "duplicate_percent",
                number(&PERCENT),
                "`0`",
                "share of packets that arrive twice",
            ),
            key(
                "reorder_percent",
                number(&PERCENT),
                "`0`",
                "share of packets held longer than those behind them",
            ),
            key(
                "reorder_by",
                time(&REORDER_MS),
                span(Effects::default().reorder_by_ms),
                "how much longer",
            ),
            key(
                "delay",
                time_up_to(LONGEST_DELAY_MS),
                "`\"0s\"`",
                "how long each packet is held",
            ),
            key(
                "jitter",
                "duration",
                "`\"0s\"`",
                "by how much that varies, at random; not above `delay`",
            ),
            key(
                "distribution",
                "`\"uniform\"`, `\"normal\"` or `\"pareto\"`",
                "`\"uniform\"`",
                "[how it varies](faults.md#shape)",
            ),
            key(
                "bytes_per_second",
                integer(&(SLOWEST_RATE..=FASTEST_RATE)),
                "any number",
                "bytes that get through, IP headers included",
            ),
            key(
                "backlog",
                time(&BACKLOG_MS),
                span(Effects::default().backlog_ms),
                "packets that would wait longer than this for their turn are dropped",
            ),
        ],
    }
}
