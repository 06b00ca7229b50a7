//! The router's admin API, under `/_miroir/`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::config::Member;
use super::status::{describe, placement, status};
use crate::coordinator::{self, StartRequest};
use crate::wire::error::ApiError;
use crate::wire::message::parse_body;

type Body = Result<Bytes, BytesRejection>;
type Shared = State<Arc<Cluster>>;

/// All admin routes.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/_miroir/health", get(health))
        .route(
            "/_miroir/status",
            get(|State(c): Shared| async move { Json(status(&c)) }),
        )
        .route(
            "/_miroir/placement",
            get(|State(c): Shared| async move { Json(placement(&c)) }),
        )
        .route(
            "/_miroir/digest",
            get(|State(c): Shared| async move { Json(c.state.digest()) }),
        )
        .route("/_miroir/nodes", get(nodes).post(add_node))
        .route("/_miroir/migrations", post(start))
        .route("/_miroir/migrations/{id}", get(migration))
        .route("/_miroir/migrations/{id}/cutover", post(cutover))
        .route("/_miroir/migrations/{id}/abort", post(abort))
        .with_state(cluster)
}

async fn health(State(cluster): Shared) -> Result<Json<Value>, ApiError> {
    if cluster.is_ready() {
        Ok(Json(json!({"status": "available"})))
    } else {
        Err(ApiError::unavailable(
            "recovering",
            "the router is still recovering",
        ))
    }
}

async fn nodes(State(cluster): Shared) -> Json<Value> {
    let nodes: Vec<Member> = cluster
        .state
        .read(|s| s.nodes.iter().map(Member::shown).collect());
    Json(json!({"nodes": nodes}))
}

async fn add_node(State(cluster): Shared, body: Body) -> Result<Response, ApiError> {
    let member: Member = parse_body(&body?)?;
    coordinator::add_node(&cluster, &member)?;
    Ok((StatusCode::CREATED, Json(member.shown())).into_response())
}

async fn start(State(cluster): Shared, body: Body) -> Result<Response, ApiError> {
    let request: StartRequest = parse_body(&body?)?;
    let id = coordinator::start(&cluster, &request).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn migration(State(cluster): Shared, Path(id): Path<u64>) -> Result<Json<Value>, ApiError> {
    let found = cluster.state.migration(id);
    found.map(|m| Json(describe(&cluster, &m))).ok_or_else(|| {
        ApiError::not_found("migration_not_found", format!("there is no migration {id}"))
    })
}

async fn cutover(State(cluster): Shared, Path(id): Path<u64>) -> Result<Response, ApiError> {
    coordinator::cutover(&cluster, id)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn abort(State(cluster): Shared, Path(id): Path<u64>) -> Result<Response, ApiError> {
    coordinator::abort(&cluster, id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}
