//! A Meilisearch in a storage node's place: a strict stand-in always, a real one where `MIROIR_TEST_MEILISEARCH` says.

mod failures;
mod real;
mod suite;
