//! The linearizability checker against a brute-force oracle, published histories and planted anomalies.

mod fixtures;
mod oracle;
mod planted;
#[path = "../published/mod.rs"]
mod published;
mod random;
mod small_histories;
mod split_mix;
