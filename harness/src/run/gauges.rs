//! Values read while a scenario runs: the system's gauges and the memory of its services. What cannot be
//! read is a gap; nothing here changes what a run comes to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use shakedown_nemesis::protocol::{Reply, RequestBody, ServiceState};
use shakedown_reports::results::GaugeSeries;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::command;
use super::scene::Scene;
use crate::system::GaugeSpec;

/// Longest time a read may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the memory of services is read.
const MEMORY_EVERY: Duration = Duration::from_secs(1);
/// The file in the scenario's directory to which each value goes as it is read.
const FILE: &str = "gauges.jsonl";

/// Series as they grow, in memory and in a file; clones share them.
#[derive(Debug, Clone)]
struct Kept(Arc<Mutex<Series>>);

#[derive(Debug)]
struct Series {
    file: Option<File>,
    /// Unit and points by name.
    points: BTreeMap<String, (String, Vec<(u64, f64)>)>,
}

impl Kept {
    /// Series kept in a scenario's directory. Without a file (the disk is full, say) they are still in the results.
    fn in_dir(dir: &Path) -> Self {
        Kept(Arc::new(Mutex::new(Series {
            file: File::create(dir.join(FILE)).ok(),
            points: BTreeMap::new(),
        })))
    }

    fn add(&self, name: &str, unit: &str, time_ns: u64, value: f64) {
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = json!({ "gauge": name, "unit": unit, "time_ns": time_ns, "value": value });
        let written = series.file.as_mut().map(|file| writeln!(file, "{line}"));
        if let Some(Err(_)) = written {
            series.file = None;
        }
        let new = || (unit.to_owned(), Vec::new());
        let (_, points) = series.points.entry(name.to_owned()).or_insert_with(new);
        points.push((time_ns, value));
    }

    fn take(&self) -> Vec<GaugeSeries> {
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut series.points)
            .into_iter()
            .map(|(name, (unit, points))| GaugeSeries { name, unit, points })
            .collect()
    }
}

/// Readers at work; dropped, they end.
pub(crate) struct Gauges {
    kept: Kept,
    readers: JoinSet<()>,
}

impl Gauges {
    /// Begins to read every gauge of the system, and the memory of its services.
    pub(crate) fn start(scene: &Arc<Scene>) -> Self {
        let kept = Kept::in_dir(&scene.dir);
        let mut readers = JoinSet::new();
        for number in 0..scene.system.gauge.len() {
            readers.spawn(read_gauge(scene.clone(), number, kept.clone()));
        }
        readers.spawn(read_memory(scene.clone(), kept.clone()));
        Gauges { kept, readers }
    }

    /// Ends all reading and gives what was read.
    pub(crate) async fn finish(mut self) -> Vec<GaugeSeries> {
        self.readers.shutdown().await;
        self.kept.take()
    }
}

async fn read_gauge(scene: Arc<Scene>, number: usize, kept: Kept) {
    let gauge = &scene.system.gauge[number];
    let http = reqwest::Client::new();
    let mut ticks = interval(gauge.every.0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let time_ns = scene.clock.now_ns();
        let read = timeout(PATIENCE, read_once(&scene, gauge, &http)).await;
        if let Ok(Some(value)) = read {
            kept.add(gauge.name.get_ref(), &gauge.unit, time_ns, value);
        }
    }
}

/// The value now, if it can be had.
async fn read_once(scene: &Scene, gauge: &GaugeSpec, http: &reqwest::Client) -> Option<f64> {
    let text = match (&gauge.url, &gauge.command) {
        (Some(url), _) => {
            let url = scene.deployment.context().fill(url).ok()?;
            let answer = http.get(url).send().await.ok()?;
            answer.error_for_status().ok()?.text().await.ok()?
        }
        (None, Some(spec)) => {
            let asked = command::run(&scene.fleet, &scene.deployment, spec).await;
            asked.ok().filter(|output| output.success())?.text()
        }
        (None, None) => return None,
    };
    number_in(&text, gauge.pointer.as_deref())
}

/// The number a text is, or that a pointer into it as JSON shows.
fn number_in(text: &str, pointer: Option<&str>) -> Option<f64> {
    let Some(pointer) = pointer else {
        return text.trim().parse().ok();
    };
    let value: Value = serde_json::from_str(text).ok()?;
    value.pointer(pointer)?.as_f64()
}

async fn read_memory(scene: Arc<Scene>, kept: Kept) {
    let mut ticks = interval(MEMORY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let time_ns = scene.clock.now_ns();
        let asked = scene.deployment.placed.iter().map(|placed| {
            let service = placed.spec.name.get_ref();
            let status = RequestBody::Status {
                service: service.clone(),
            };
            let (scene, node) = (&scene, &placed.node.name);
            async move {
                let state = timeout(PATIENCE, scene.fleet.ask(node, status)).await;
                (format!("memory {node}/{service}"), state)
            }
        });
        for (name, state) in futures_util::future::join_all(asked).await {
            if let Ok(Ok(Reply::Service(ServiceState::Running { rss_kib, .. }))) = state {
                kept.add(&name, "KiB", time_ns, rss_kib as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_plain_or_from_json_and_nothing_else_is_a_number() {
        assert_eq!(number_in(" 7.5\n", None), Some(7.5));
        assert_eq!(number_in("{\"a\":{\"b\":3}}", Some("/a/b")), Some(3.0));
        for (text, pointer) in [
            ("seven", None),
            ("{\"a\":\"3\"}", Some("/a")),
            ("{}", Some("/a")),
            ("<html>", Some("/a")),
        ] {
            assert_eq!(number_in(text, pointer), None, "{text}");
        }
    }

    #[test]
    fn what_is_read_is_in_the_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::in_dir(dir.path());
        kept.add("repairs", "documents", 5, 2.0);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(
            text,
            "{\"gauge\":\"repairs\",\"time_ns\":5,\"unit\":\"documents\",\"value\":2.0}\n"
        );
        kept.add("repairs", "documents", 9, 3.0);
        assert_eq!(kept.take()[0].points, [(5, 2.0), (9, 3.0)]);
    }
}
