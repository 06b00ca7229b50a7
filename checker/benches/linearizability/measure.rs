//! What a check takes: time of this thread, memory of this process.

use shakedown_checker::linearizability::{
    CheckedKey, History, Keyed, Limits, Model, Verdict, check, check_keyed, overall,
};

/// What came of a case.
pub(crate) struct Measured {
    pub(crate) verdict: String,
    pub(crate) seconds: f64,
}

pub(crate) fn verdict<S>(verdict: &Verdict<S>) -> String {
    match verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::NotLinearizable(_) => "not linearizable".to_owned(),
        Verdict::Unknown(reason) => format!("unknown: {reason}"),
    }
}

pub(crate) fn measure<M: Model>(model: &M, history: &History<M::Op>) -> Measured {
    mean(3, || check(model, history, &Limits::default()).verdict).1
}

/// Runs a check at least so many times, and for a tenth of a second, which the clock needs to tell:
/// its last result, and its mean time.
pub(crate) fn mean<S>(times: usize, run: impl Fn() -> Verdict<S>) -> (Verdict<S>, Measured) {
    let before = cpu_seconds();
    let mut runs = 0;
    loop {
        let found = run();
        runs += 1;
        let seconds = cpu_seconds() - before;
        if runs >= times && seconds >= 0.1 {
            let measured = Measured {
                verdict: verdict(&found),
                seconds: seconds / runs as f64,
            };
            return (found, measured);
        }
    }
}

/// The verdict about all objects of a history.
pub(crate) fn all_keys<M: Model>(model: &M, history: &History<Keyed<M::Op>>) -> Verdict<M::State>
where
    M::State: Clone + Send,
{
    worst(&check_keyed(model, history, &Limits::default()))
}

fn worst<O, S: Clone>(keys: &[CheckedKey<O, S>]) -> Verdict<S> {
    match overall(keys) {
        None => Verdict::Linearizable,
        Some(key) => key.checked.verdict.clone(),
    }
}

/// Time this thread has run, in seconds: on a busy machine, what a quiet one would have needed.
pub(crate) fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = line.split(' ').next().and_then(|word| word.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}
