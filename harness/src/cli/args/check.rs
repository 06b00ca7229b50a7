//! What `shakedown check` is told.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use shakedown_checker::catalogue::{self, Model};
use shakedown_checker::import::edn::Reader;
use shakedown_checker::import::{Format, Value};
use shakedown_checker::isolation::{Anomaly, Workload};
use shakedown_workloads::duration::HumanDuration;

use crate::size::ByteSize;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// A run directory: judged by its scenarios' expectations; a scenario's directory in one (holds `history`):
    /// judged by "nothing is lost", or by the models of its workload; with `--model`, a file or directory with a history
    pub(in crate::cli) history: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// What the history must satisfy; several, separated by commas, are checked together
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(catalogue::all().map(possible_model)))]
    pub(in crate::cli) model: Vec<String>,
    #[command(flatten)]
    /// How to check against the model.
    pub(in crate::cli) how: ModelArgs,
}

/// How to check a history against a model.
#[derive(Debug, Args)]
pub(in crate::cli) struct ModelArgs {
    /// What the file is, if it is not to be found out (gzip and zstd always are)
    #[arg(long, requires = "model", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    pub(in crate::cli) format: Option<String>,
    /// What a register holds at first, in EDN (default: as the file says, else 0 in EDN, else nil)
    #[arg(long, requires = "model", value_name = "VALUE", value_parser = parse_initial)]
    pub(in crate::cli) initial: Option<Value>,
    /// What transactions work on: list-append or rw-register (default: as the first write shows)
    #[arg(long, requires = "model", value_name = "WORKLOAD", value_parser = parse_workload)]
    pub(in crate::cli) workload: Option<Workload>,
    /// Order a register's versions by writes that follow reads within transactions
    #[arg(long, requires = "model")]
    pub(in crate::cli) wfr_keys: bool,
    /// Order a register's versions as each process meets them: every key is sequentially consistent
    #[arg(long, requires = "model")]
    pub(in crate::cli) sequential_keys: bool,
    /// Order a register's versions by real time: every key is linearizable
    #[arg(long, requires = "model")]
    pub(in crate::cli) linearizable_keys: bool,
    /// Anomaly that must not occur even if the model allows it, e.g. G2-item; can be repeated
    #[arg(long, requires = "model", value_name = "ANOMALY", value_parser = parse_anomaly)]
    pub(in crate::cli) forbid: Vec<Anomaly>,
    /// Values are `[key value]`: invariants are checked for each key
    #[arg(long, requires = "model")]
    pub(in crate::cli) by_key: bool,
    /// What the balances of a bank add up to (default: what they do in the first read)
    #[arg(
        long,
        requires = "model",
        value_name = "AMOUNT",
        allow_hyphen_values = true
    )]
    pub(in crate::cli) total: Option<i64>,
    /// Balances of a bank may be below zero
    #[arg(long, requires = "model")]
    pub(in crate::cli) negative_balances: bool,
    /// How many keys each read has when long forks are looked for
    #[arg(long, requires = "model", value_name = "N")]
    pub(in crate::cli) group_size: Option<usize>,
    /// Memory for the history and the search, e.g. `512MiB`; past it the verdict is unknown (default: 2GiB; of
    /// a run, as its plan says)
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) memory_limit: Option<ByteSize>,
    /// Time for reading and checking, e.g. `30s`; past it what holds so far is unknown (default: none; of a run,
    /// as its plan says)
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) time_limit: Option<HumanDuration>,
    /// Threads that check keys side by side (default: as many as there are processors)
    #[arg(long, requires = "model", value_name = "N")]
    pub(in crate::cli) threads: Option<NonZeroUsize>,
    /// Write the result to this file as an HTML page, with drawings
    #[arg(long, requires = "model", value_name = "FILE")]
    pub(in crate::cli) html: Option<PathBuf>,
}

fn possible_model(model: &Model) -> PossibleValue {
    PossibleValue::new(model.name)
        .help(format!("{}: {}", model.about, model.functions))
        .aliases(model.other_names())
}

fn parse_workload(name: &str) -> Result<Workload, String> {
    match name {
        "list-append" => Ok(Workload::ListAppend),
        "rw-register" => Ok(Workload::RwRegister),
        _ => Err("expected list-append or rw-register".to_owned()),
    }
}

fn parse_anomaly(name: &str) -> Result<Anomaly, String> {
    Anomaly::named(name).ok_or_else(|| {
        let names: Vec<_> = Anomaly::all().map(Anomaly::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn parse_initial(text: &str) -> Result<Value, String> {
    match Reader::new(text).value() {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err("expected a value".to_owned()),
        Err(error) => Err(error.reason),
    }
}
