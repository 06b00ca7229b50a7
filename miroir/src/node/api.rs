//! The node's HTTP API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::apply::{Content, Op};
use super::store::{META_EPOCH, META_INCARNATION, META_STAMP, Snapshot, Store, StoreError};
use super::tasks::Tasks;
use super::translate::{
    check_index, check_shard, fencing, packed, refuse_stale, upserts, write_error,
};
use super::writer::{Write, Writer};
use super::{fingerprint, purge, read};
use crate::metrics::{Levels, NodeMetrics};
use crate::wire::document::parse_id;
use crate::wire::error::ApiError;
use crate::wire::message::{
    ChangeLog, DeleteBatch, DeleteBatchBody, DeleteByFilter, EntriesRequest, EpochAnswer,
    ExpireRequest, FenceRequest, Fenced, ORIGIN_HEADER, Origin, PageRequest, PurgeRequest,
    RETURN_HEADER, Removed, TaskSummary, parse_body, parse_filter,
};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) writer: Writer,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) metrics: Arc<NodeMetrics>,
}

type Body = Result<Bytes, BytesRejection>;

/// All routes.
pub(crate) fn routes(node: Node) -> Router {
    Router::new()
        .route(
            "/health",
            get(|| async { Json(json!({"status": "available"})) }),
        )
        .route("/metrics", get(metrics))
        .route("/tasks/{uid}", get(task))
        .route(
            "/indexes/{index}/documents",
            get(list).post(replace).put(merge),
        )
        .route("/indexes/{index}/documents/fetch", post(fetch))
        .route(
            "/indexes/{index}/documents/delete-batch",
            post(delete_batch),
        )
        .route("/indexes/{index}/documents/delete", post(delete_by_filter))
        .route(
            "/indexes/{index}/documents/{id}",
            get(get_one).delete(delete_one),
        )
        .route("/indexes/{index}/_miroir/documents", post(replace_packed))
        .route("/indexes/{index}/_miroir/tombstones", get(tombstones))
        .route(
            "/indexes/{index}/_miroir/fingerprint",
            get(shard_fingerprint),
        )
        .route("/indexes/{index}/_miroir/entries", post(shard_entries))
        .route("/indexes/{index}/_miroir/purge", post(purge_tombstones))
        .route("/indexes/{index}/_miroir/expire", post(expire))
        .route("/_miroir/changes", get(changes))
        .route("/_miroir/fence", post(fence))
        .route("/_miroir/epoch", get(epoch))
        .with_state(node)
}

impl Node {
    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || f(&store.snapshot()?))
            .await
            .map_err(|e| ApiError::internal(format!("reading: {e}")))?
            .map_err(|e| ApiError::internal(e.to_string()))
    }

    async fn write(
        &self,
        index: String,
        ops: Vec<Op>,
        headers: &HeaderMap,
        kind: &str,
        bytes: usize,
    ) -> Result<Response, ApiError> {
        check_index(&index)?;
        let fencing = fencing(headers)?;
        let write = Write {
            index: index.clone(),
            ops,
            fencing,
            want_documents: headers.get(RETURN_HEADER).is_some_and(|v| v == "documents"),
            origin: Origin::of_header(headers.get(ORIGIN_HEADER).and_then(|v| v.to_str().ok())),
            bytes,
        };
        let written = self.writer.write(write).await.map_err(write_error)?;
        let mut task = TaskSummary {
            seq: Some(written.seq),
            stamp: Some(written.stamp),
            ignored: written.effects.iter().filter(|e| !e.applied).count() as u64,
            origin: headers
                .get(ORIGIN_HEADER)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned),
            ..TaskSummary::succeeded(written.task, &index, kind)
        };
        self.tasks.remember(task.clone());
        if fencing.is_some() {
            task.had = written.effects.iter().map(|e| e.had).collect();
            task.documents = written.documents;
        }
        Ok((StatusCode::ACCEPTED, Json(task)).into_response())
    }
}

async fn metrics(State(node): State<Node>) -> Result<Response, ApiError> {
    let (documents, tombstones) = node.read(Snapshot::records_held).await?;
    let levels = Levels {
        queued: node.writer.queued(),
        documents,
        tombstones,
        store_bytes: node.store.size_bytes(),
    };
    Ok(node.metrics.show(levels))
}

async fn task(
    State(node): State<Node>,
    Path(uid): Path<u64>,
) -> Result<Json<TaskSummary>, ApiError> {
    node.tasks
        .get(uid)
        .map(Json)
        .ok_or_else(|| ApiError::not_found("task_not_found", format!("task `{uid}` not found")))
}

async fn replace(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body?;
    let ops = upserts(&body, |document| Content::Whole(document.into()))?;
    node.write(index, ops, &headers, "documentAdditionOrUpdate", body.len())
        .await
}

async fn replace_packed(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body?;
    let bytes = body.len();
    let ops = packed(body)?;
    node.write(index, ops, &headers, "documentAdditionOrUpdate", bytes)
        .await
}

async fn merge(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body?;
    let ops = upserts(&body, Content::Fields)?;
    node.write(index, ops, &headers, "documentAdditionOrUpdate", body.len())
        .await
}

async fn list(
    State(node): State<Node>,
    Path(index): Path<String>,
    query: Result<Query<PageRequest>, QueryRejection>,
) -> Result<Response, ApiError> {
    node.pages(index, query?.0).await
}

async fn fetch(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let fencing = fencing(&headers)?;
    if fencing.is_some() {
        node.read(move |s| Ok(refuse_stale(s, fencing))).await??;
    }
    node.pages(index, parse_body(&body?)?).await
}

impl Node {
    async fn pages(&self, index: String, request: PageRequest) -> Result<Response, ApiError> {
        if let Some(ids) = &request.ids {
            let ids = ids.iter().map(parse_id).collect::<Result<Vec<_>, _>>()?;
            let page = self
                .read(move |s| read::by_ids(s, &index, &ids, request.tombstones))
                .await?;
            return Ok(Json(page).into_response());
        }
        let shard = request.filter.as_deref().map(parse_filter).transpose()?;
        if request.after.is_some() && (shard.is_none() || request.offset > 0) {
            return Err(ApiError::bad_request(
                "bad_request",
                "`after` needs a filter and excludes `offset`",
            ));
        }
        let page = self
            .read(move |s| {
                let range = read::Range {
                    shard,
                    after: request.after.as_deref(),
                    offset: request.offset,
                    limit: request.limit.unwrap_or(20),
                    tombstones: request.tombstones,
                };
                read::page(s, &index, range)
            })
            .await?;
        Ok(Json(page).into_response())
    }
}

#[derive(Deserialize)]
struct ShardQuery {
    shard: u32,
    after: Option<String>,
    limit: Option<usize>,
}

async fn tombstones(
    State(node): State<Node>,
    Path(index): Path<String>,
    query: Result<Query<ShardQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(ShardQuery {
        shard,
        after,
        limit,
    }) = query?;
    let page = node
        .read(move |s| {
            // Documents count towards the limit here, so that one page costs a bounded amount of reading.
            let limit = limit.unwrap_or(1000);
            let range = read::Range {
                shard: Some(shard),
                after: after.as_deref(),
                offset: 0,
                limit,
                tombstones: true,
            };
            read::page(s, &index, range)
        })
        .await?;
    Ok(
        Json(json!({"tombstones": page.tombstones, "next": page.next, "seq": page.seq}))
            .into_response(),
    )
}

async fn shard_fingerprint(
    State(node): State<Node>,
    Path(index): Path<String>,
    query: Result<Query<ShardQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let shard = query?.shard;
    Ok(Json(
        node.read(move |s| fingerprint::fingerprint(s, &index, shard))
            .await?,
    )
    .into_response())
}

async fn shard_entries(
    State(node): State<Node>,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let request: EntriesRequest = parse_body(&body?)?;
    Ok(Json(
        node.read(move |s| fingerprint::entries(s, &index, &request))
            .await?,
    )
    .into_response())
}

async fn get_one(
    State(node): State<Node>,
    Path((index, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let missing = ApiError::not_found("document_not_found", format!("document `{id}` not found"));
    let page = node
        .read(move |s| read::by_ids(s, &index, &[id], false))
        .await?;
    page.results
        .into_iter()
        .next()
        .map(|d| Json(d).into_response())
        .ok_or(missing)
}

async fn delete_one(
    State(node): State<Node>,
    Path((index, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = parse_id(&Value::String(id))?;
    node.write(
        index,
        vec![Op::Delete {
            id,
            shard: None,
            stamp: None,
        }],
        &headers,
        "documentDeletion",
        0,
    )
    .await
}

async fn delete_batch(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body?;
    let batch = match parse_body(&body)? {
        DeleteBatch::Ids(ids) => DeleteBatchBody {
            ids,
            ..DeleteBatchBody::default()
        },
        DeleteBatch::Detailed(batch) => batch,
    };
    let mut ops = Vec::with_capacity(batch.ids.len() + batch.tombstones.len());
    for id in &batch.ids {
        ops.push(Op::Delete {
            id: parse_id(id)?,
            shard: None,
            stamp: batch.stamp,
        });
    }
    for t in batch.tombstones {
        ops.push(Op::Delete {
            id: t.id,
            shard: t.shard,
            stamp: Some(t.stamp),
        });
    }
    node.write(index, ops, &headers, "documentDeletion", body.len())
        .await
}

async fn delete_by_filter(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let request: DeleteByFilter = parse_body(&body?)?;
    let shard = check_shard(parse_filter(&request.filter)?)?;
    node.write(
        index,
        vec![Op::DeleteShard {
            shard,
            stamp: request.stamp,
        }],
        &headers,
        "documentDeletion",
        0,
    )
    .await
}

async fn epoch(State(node): State<Node>) -> Result<Json<EpochAnswer>, ApiError> {
    let answer = node.read(|s| {
        Ok(EpochAnswer {
            epoch: s.counter(META_EPOCH)?,
            incarnation: s.counter(META_INCARNATION)?,
            stamp: s.counter(META_STAMP)?,
        })
    });
    Ok(Json(answer.await?))
}

async fn fence(State(node): State<Node>, body: Body) -> Result<Json<Fenced>, ApiError> {
    let request: FenceRequest = parse_body(&body?)?;
    let written = node.writer.fence(request).await.map_err(write_error)?;
    Ok(Json(Fenced {
        seq: written.seq,
        stamp: written.stamp,
    }))
}

async fn purge_tombstones(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Removed>, ApiError> {
    let request: PurgeRequest = parse_body(&body?)?;
    let find = move |s: &Snapshot, index: &str| purge::tombstones(s, index, request);
    let op = move |id| Op::Purge {
        id,
        below: request.below,
    };
    node.remove(index, &headers, find, op).await
}

async fn expire(
    State(node): State<Node>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Removed>, ApiError> {
    let ExpireRequest { now_ms } = parse_body(&body?)?;
    let find = move |s: &Snapshot, index: &str| purge::expired(s, index, now_ms);
    node.remove(index, &headers, find, move |id| Op::Expire { id, now_ms })
        .await
}

impl Node {
    /// Finds what is due and removes it, in batches until nothing is found or nothing applies any more.
    async fn remove(
        &self,
        index: String,
        headers: &HeaderMap,
        find: impl Fn(&Snapshot, &str) -> Result<Vec<String>, StoreError> + Clone + Send + 'static,
        op: impl Fn(String) -> Op,
    ) -> Result<Json<Removed>, ApiError> {
        let fencing = fencing(headers)?;
        let mut removed = 0;
        loop {
            let (find, of) = (find.clone(), index.clone());
            let due = self.read(move |s| find(s, &of)).await?;
            let last = due.len() < purge::BATCH;
            if !due.is_empty() {
                let write = Write {
                    index: index.clone(),
                    ops: due.into_iter().map(&op).collect(),
                    fencing,
                    want_documents: false,
                    origin: Origin::Expiry,
                    bytes: 0,
                };
                let written = self.writer.write(write).await.map_err(write_error)?;
                removed += written.effects.iter().filter(|e| e.applied).count() as u64;
            }
            if last {
                return Ok(Json(Removed { removed }));
            }
        }
    }
}

/// Most changes in one answer.
const MAX_CHANGES: usize = 10_000;

#[derive(Deserialize)]
struct ChangesQuery {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
}

async fn changes(
    State(node): State<Node>,
    query: Result<Query<ChangesQuery>, QueryRejection>,
) -> Result<Json<ChangeLog>, ApiError> {
    let Query(ChangesQuery { from, limit }) = query?;
    let limit = limit.unwrap_or(1000).min(MAX_CHANGES);
    Ok(Json(node.read(move |s| s.changes(from, limit)).await?))
}
