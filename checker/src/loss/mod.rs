//! The loss checker: which acknowledged writes did not survive.

mod report;

pub use report::{Anomaly, ClassCounts, KeyClass, LossReport, WindowLoss};
