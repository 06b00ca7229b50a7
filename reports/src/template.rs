//! The template engine with the filters every form of the report uses.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use shakedown_checker::rate::Rate;

use crate::facts::ANOMALIES_SHOWN;
use crate::{ReportError, quantity};

/// Lines of evidence shown of what a model found; its page has more.
const EVIDENCE_SHOWN: usize = 12;

/// What an error of a client means for the operation that ended with it.
fn effect(effect: &str) -> &'static str {
    match effect {
        "none" => "certainly did not happen",
        "happened" => "certainly happened",
        _ => "may have happened",
    }
}

/// Undefined names are errors; block tags leave no lines behind.
pub(crate) fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.add_filter("count", quantity::count);
    environment.add_filter("us", |us: u64| quantity::duration(us.saturating_mul(1_000)));
    environment.add_filter("ms", |ms: u64| {
        quantity::duration(ms.saturating_mul(1_000_000))
    });
    environment.add_filter("offset", quantity::offset);
    environment.add_filter("of", |rate: Serde<Rate>| quantity::events_of_trials(&rate));
    environment.add_filter("share", |rate: Serde<Rate>| quantity::share(&rate));
    environment.add_filter("interval", |rate: Serde<Rate>| quantity::interval(&rate));
    environment.add_filter("effect", effect);
    environment.add_function("length", |start: u64, end: u64| {
        quantity::duration(end.saturating_sub(start))
    });
    environment.add_function("per_second", quantity::per_second);
    environment.add_global("anomalies_shown", ANOMALIES_SHOWN);
    environment.add_global("evidence_shown", EVIDENCE_SHOWN);
    Ok(environment)
}
