//! The linearizability checker against a brute-force oracle, published histories and planted anomalies.

mod fixtures;
mod oracle;
mod planted;
mod random;
mod small_histories;
mod split_mix;
