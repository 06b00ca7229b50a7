//! What operators do to the system.

use super::{Kind, key};

/// Of `operation`.
pub(super) fn operation() -> Kind {
    Kind {
        name: "operation",
        strikes: "the system",
        happens: "what its operators do to it",
        mechanism: "the harness does an action of the system file",
        needs: "what the action needs",
        undone: "the action `undo`, if one is given",
        doctor: &[],
        keys: vec![
            key("run", "string", "required", "an action of the system file"),
            key(
                "on",
                "names",
                "as the system file says",
                "where it is done instead, one node after the other; in a storm also `\"store[?]\"`. Without it, limits on nodes don't count it",
            ),
            key(
                "with",
                "table of strings",
                "`{}`",
                "arguments: `with.NAME` in its template",
            ),
            key(
                "mark",
                "table",
                "none",
                "what must appear in the system's log from its beginning to its end, as in a [trigger](#triggers): `{ lane = \"phase\", name = \"complete\" }`",
            ),
            key(
                "undo",
                "string",
                "none",
                "the action that takes it back when it ends, in the same place and with the same arguments",
            ),
        ],
    }
}
