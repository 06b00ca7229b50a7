//! The change feed: what the nodes' change logs say, put in order.

mod cursor;
mod feed;
mod merge;

pub(crate) use feed::{FeedCounts, routes};
