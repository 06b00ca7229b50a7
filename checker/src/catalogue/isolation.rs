//! The models of [`crate::isolation`]: from a file to an outcome.

use serde_json::json;

use crate::clock::Clock;
use crate::import::recorded_transactions;
use crate::import::transactions::{self, Imported};
use crate::import::{Format, ImportError, Source, SourceError};
use crate::isolation::{
    self as iso, Anomaly, Case, Class, Report, Workload, WrittenTwice, check_until, describe, draw,
};
use crate::verdict::Verdict;

use super::{Check, Finding, Model, Options, Outcome};

/// A row per consistency model.
pub(super) static MODELS: [Model; COUNT] = {
    let mut rows = [row(0); COUNT];
    let mut at = 0;
    while at < COUNT {
        rows[at] = row(at);
        at += 1;
    }
    rows
};

const COUNT: usize = iso::Model::ALL.len();

const fn row(at: usize) -> Model {
    let model = iso::Model::ALL[at];
    Model {
        name: model.name(),
        about: model.about(),
        functions: "transactions of :r with :append (lists) or :w (registers)",
        check: Check::Isolation(model),
    }
}

/// Judges a history by one of the models.
pub(super) fn judge(
    model: iso::Model,
    source: &Source,
    options: &Options,
    clock: Clock,
) -> Result<Outcome, SourceError> {
    let written;
    let mut truncated = source.truncated().map(str::to_owned);
    let text = match source.format() {
        Format::Edn => source.text(),
        Format::Arrow | Format::JsonLines => {
            let mut events = source.events(clock.for_reading())?;
            let limit_bytes = options.memory_bytes.saturating_sub(source.text().len());
            let edn = recorded_transactions::as_edn(&mut events, limit_bytes);
            written = edn.map_err(|error| source.error(error))?;
            truncated = truncated.or(events.truncated().map(str::to_owned));
            &written
        }
        other => {
            let reason = format!(
                "{model} is judged from transactions, in EDN or our own formats, and this is {other}"
            );
            return Err(source.error(ImportError::new(1, reason)));
        }
    };
    let found = options.workload.or_else(|| transactions::workload_of(text));
    let workload = found.unwrap_or_default();
    let limit_bytes = options.memory_bytes.saturating_sub(text.len());
    let imported = transactions::read(text, workload, limit_bytes, clock.for_reading());
    let imported = imported.map_err(|error| source.error(error))?;
    let how = iso::Options {
        models: vec![model],
        forbidden: options.forbidden.clone(),
        versions: options.versions,
        ..iso::Options::default()
    };
    let (history, names) = (&imported.history, &imported.names);
    let mut outcome = match check_until(history, workload, names, &how, clock) {
        Ok(report) => tell(model, workload, &imported, &report),
        Err(twice) => not_unique(&imported, twice),
    };
    if let Some(why) = truncated.or(imported.cut_off) {
        outcome.cut_off(why);
    }
    Ok(outcome)
}

fn not_unique(imported: &Imported, twice: WrittenTwice) -> Outcome {
    let [one, other] = twice.txns.map(|txn| imported.history.txn(txn).label);
    Outcome {
        reason: format!(
            "T{one} and T{other} both wrote {} to {}: values must be unique for reads to tell whose they saw",
            imported.names.show_value(twice.value),
            imported.names.show_key(twice.key),
        ),
        operations: imported.history.txns().len(),
        ..Outcome::default()
    }
}

fn tell(model: iso::Model, workload: Workload, imported: &Imported, report: &Report) -> Outcome {
    let names = |classes: &[Anomaly]| -> String {
        let told = classes.iter().map(|class| match report.found[class].count {
            1 => class.to_string(),
            count => format!("{class} ({count})"),
        });
        told.collect::<Vec<_>>().join(", ")
    };
    let verdict = match report.verdict {
        iso::Verdict::Valid => Verdict::Valid,
        iso::Verdict::Invalid => Verdict::Invalid,
        iso::Verdict::Unknown => Verdict::Unknown,
    };
    let reason = match report.verdict {
        iso::Verdict::Valid => format!("{model} as far as the history shows"),
        iso::Verdict::Invalid => format!("not {model}: {}", names(&report.forbidden)),
        iso::Verdict::Unknown => report.notes.join("; "),
    };
    let cases = report
        .found
        .iter()
        .flat_map(|(class, found)| found.cases.iter().map(move |case| (*class, found, case)));
    let findings: Vec<Finding> = cases
        .map(|(class, found, case)| finding(model, workload, imported, report, class, found, case))
        .collect();
    let all: u64 = report.found.values().map(|class| class.count).sum();
    let anomalies = report
        .found
        .iter()
        .map(|(class, found)| (class.to_string(), found.count));
    let violated = report.violated();
    Outcome {
        verdict,
        reason,
        operations: (report.committed + report.open.1) as usize,
        method: match workload {
            Workload::ListAppend => {
                "cycles of dependencies between transactions over lists".to_owned()
            }
            Workload::RwRegister => {
                "cycles of dependencies between transactions over registers".to_owned()
            }
        },
        findings_left_out: (all as usize).saturating_sub(findings.len()),
        findings,
        facts: json!({
            "anomalies": anomalies.collect::<std::collections::BTreeMap<_, _>>(),
            "forbidden": report.forbidden.iter().map(|class| class.name()).collect::<Vec<_>>(),
            "models": {
                "not": violated.weakest().names(),
                "also_not": violated.names(),
                "hold": report.hold().names(),
                "strongest_that_hold": report.hold().strongest().names(),
                "not_examined": report.not_examined().names(),
            },
            "transactions": {
                "committed": report.committed,
                "unknown": report.open.0,
                "unknown_but_seen": report.open.1,
                "aborted": report.aborted,
            },
            "dependencies": report.edges,
            "notes": report.notes,
        }),
        ..Outcome::default()
    }
}

fn finding(
    model: iso::Model,
    workload: Workload,
    imported: &Imported,
    report: &Report,
    class: Anomaly,
    found: &Class,
    case: &Case,
) -> Finding {
    let history = &imported.history;
    let lists = workload == Workload::ListAppend;
    let forbidden = report.forbidden.contains(&class);
    let mut evidence: Vec<String> = case.text.lines().map(str::to_owned).collect();
    let txns = case
        .txns
        .iter()
        .map(|txn| describe(history, &imported.names, *txn, lists));
    evidence.extend(txns);
    let allowed = if forbidden {
        String::new()
    } else {
        format!("; {model} allows it")
    };
    let cycle = case.cycle.as_ref().map(|cycle| {
        let steps = cycle.steps.iter().map(|step| {
            json!({"transaction": history.txn(step.txn).label, "precedes_by": step.edge.name()})
        });
        json!({"steps": steps.collect::<Vec<_>>(), "shortest": cycle.shortest})
    });
    Finding {
        about: class.to_string(),
        reason: format!("{} ({} found){allowed}", class.meaning(), found.count),
        evidence,
        facts: json!({
            "class": class.name(),
            "forbidden": forbidden,
            "transactions": case.txns.iter().map(|txn| history.txn(*txn).label).collect::<Vec<_>>(),
            "cycle": cycle,
        }),
        drawing: draw(history, &imported.names, class, case, lists),
    }
}
