//! What travels between clients, router and nodes: documents, requests, answers, errors.

pub(crate) mod auth;
pub(crate) mod batch;
pub(crate) mod canonical;
pub(crate) mod document;
pub(crate) mod error;
pub(crate) mod message;
pub(crate) mod pack;
pub(crate) mod serve;
pub(crate) mod stamp;
