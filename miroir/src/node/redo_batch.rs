//! A batch of the redo log as bytes: the requests of one commit, with all that decides what they do.

use axum::body::Bytes;

use super::apply::{Content, Op, Upsert, Whole};
use super::writer::{Fencing, Work, Write};
use crate::wire::message::Origin;
use crate::wire::pack::{Unpack, put_bytes, put_option, put_u32, put_u64};

const WRITE: u8 = 0;
const FENCE: u8 = 1;

const WHOLE: u8 = 0;
const FIELDS: u8 = 1;
const DELETE: u8 = 2;
const DELETE_SHARD: u8 = 3;
const PURGE: u8 = 4;
const EXPIRE: u8 = 5;

/// Adds a request to a batch.
pub(crate) fn put(out: &mut Vec<u8>, work: &Work) {
    match work {
        Work::Write(write) => {
            out.push(WRITE);
            put_write(out, write);
        }
        Work::Fence(fence) => {
            out.push(FENCE);
            put_bytes(out, &json(fence));
        }
    }
}

/// Reads a batch; `None` if it makes no sense.
pub(crate) fn read(bytes: Bytes) -> Option<Vec<Work>> {
    let mut from = Unpack::new(bytes);
    let mut batch = Vec::new();
    while !from.is_empty() {
        batch.push(match from.byte()? {
            WRITE => Work::Write(take_write(&mut from)?),
            FENCE => Work::Fence(serde_json::from_slice(&from.bytes()?).ok()?),
            _ => return None,
        });
    }
    Some(batch)
}

fn put_write(out: &mut Vec<u8>, write: &Write) {
    put_bytes(out, write.index.as_bytes());
    put_option(out, write.fencing.map(|f| f.epoch));
    if let Some(fencing) = write.fencing {
        put_u64(out, fencing.incarnation);
        put_u64(out, fencing.term);
    }
    put_bytes(out, &json(&write.origin));
    put_u32(
        out,
        u32::try_from(write.ops.len()).expect("requests are small"),
    );
    for op in &write.ops {
        put_op(out, op);
    }
}

fn take_write(from: &mut Unpack) -> Option<Write> {
    let index = from.text()?;
    let fencing = match from.option()? {
        None => None,
        Some(epoch) => Some(Fencing {
            epoch,
            incarnation: from.u64()?,
            term: from.u64()?,
        }),
    };
    let origin: Origin = serde_json::from_slice(&from.bytes()?).ok()?;
    let count = from.u32()?;
    Some(Write {
        index,
        ops: (0..count).map(|_| take_op(from)).collect::<Option<_>>()?,
        fencing,
        want_documents: false,
        origin,
        bytes: 0,
    })
}

fn put_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Upsert(upsert) => {
            out.push(match upsert.content {
                Content::Whole(_) => WHOLE,
                Content::Fields(_) => FIELDS,
            });
            put_bytes(out, upsert.id.as_bytes());
            put_option(out, upsert.shard.map(u64::from));
            put_option(out, upsert.stamp);
            match &upsert.content {
                Content::Whole(whole) => {
                    put_option(out, whole.expires_ms);
                    put_bytes(out, &whole.bytes);
                }
                Content::Fields(fields) => put_bytes(out, &json(fields)),
            }
        }
        Op::Delete { id, shard, stamp } => {
            out.push(DELETE);
            put_bytes(out, id.as_bytes());
            put_option(out, shard.map(u64::from));
            put_option(out, *stamp);
        }
        Op::DeleteShard { shard, stamp } => {
            out.push(DELETE_SHARD);
            put_u32(out, *shard);
            put_option(out, *stamp);
        }
        Op::Purge { id, below } => {
            out.push(PURGE);
            put_bytes(out, id.as_bytes());
            put_u64(out, *below);
        }
        Op::Expire { id, now_ms } => {
            out.push(EXPIRE);
            put_bytes(out, id.as_bytes());
            put_u64(out, *now_ms);
        }
    }
}

fn take_op(from: &mut Unpack) -> Option<Op> {
    let kind = from.byte()?;
    Some(match kind {
        WHOLE | FIELDS => {
            let (id, shard, stamp) = (from.text()?, take_shard(from)?, from.option()?);
            let content = if kind == WHOLE {
                Content::Whole(Whole {
                    expires_ms: from.option()?,
                    bytes: from.bytes()?,
                })
            } else {
                Content::Fields(serde_json::from_slice(&from.bytes()?).ok()?)
            };
            Op::Upsert(Upsert {
                id,
                shard,
                stamp,
                content,
            })
        }
        DELETE => Op::Delete {
            id: from.text()?,
            shard: take_shard(from)?,
            stamp: from.option()?,
        },
        DELETE_SHARD => Op::DeleteShard {
            shard: from.u32()?,
            stamp: from.option()?,
        },
        PURGE => Op::Purge {
            id: from.text()?,
            below: from.u64()?,
        },
        EXPIRE => Op::Expire {
            id: from.text()?,
            now_ms: from.u64()?,
        },
        _ => return None,
    })
}

fn take_shard(from: &mut Unpack) -> Option<Option<u32>> {
    match from.option()? {
        None => Some(None),
        Some(shard) => u32::try_from(shard).ok().map(Some),
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("string keys only")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::document::Document;
    use crate::wire::message::FenceRequest;

    fn document() -> Document {
        json!({"id": "a", "x": 0.1, "_miroir_expires_at": 9})
            .as_object()
            .unwrap()
            .clone()
    }

    #[test]
    fn every_kind_of_request_comes_back() {
        let upsert = |content| {
            Op::Upsert(Upsert {
                id: "a".to_owned(),
                shard: Some(3),
                stamp: Some(u64::MAX),
                content,
            })
        };
        let ops = vec![
            upsert(Content::Whole(document().into())),
            upsert(Content::Fields(document())),
            Op::Delete {
                id: "b".to_owned(),
                shard: None,
                stamp: Some(1),
            },
            Op::DeleteShard {
                shard: 9,
                stamp: None,
            },
            Op::Purge {
                id: "c".to_owned(),
                below: 7,
            },
            Op::Expire {
                id: "d".to_owned(),
                now_ms: 8,
            },
        ];
        let write = |fencing| {
            Work::Write(Write {
                index: "docs".to_owned(),
                ops: ops.clone(),
                fencing,
                want_documents: false,
                origin: Origin::AntiEntropy,
                bytes: 0,
            })
        };
        let fencing = Fencing {
            epoch: 1,
            incarnation: 2,
            term: 3,
        };
        let fence = Work::Fence(FenceRequest {
            epoch: 1,
            incarnation: 2,
            count: 64,
            index: "docs".to_owned(),
            shards: vec![1, 2],
            term: 3,
        });
        let batch = [write(None), write(Some(fencing)), fence];
        let mut bytes = Vec::new();
        for work in &batch {
            put(&mut bytes, work);
        }
        let back = read(Bytes::from(bytes.clone())).unwrap();
        assert_eq!(format!("{back:?}"), format!("{batch:?}"));
        assert!(read(Bytes::from(bytes).slice(..100)).is_none());
    }
}
