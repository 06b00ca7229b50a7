//! After the last fault: whether the system came back, and how long it says that writes waited.

use std::time::{Duration, Instant};

use shakedown_reports::results::WritePause;

use super::command;
use super::scene::Scene;

/// Time a system has to become healthy after the last fault.
const RECOVERY: Duration = Duration::from_secs(30);
/// How often its health is asked.
const RECOVERY_POLL: Duration = Duration::from_millis(100);

/// Waits until the system says that it is healthy.
pub(crate) async fn recover(scene: &Scene) -> Result<(), String> {
    let Some(healthy) = &scene.system.healthy else {
        return Ok(());
    };
    let deadline = Instant::now() + RECOVERY;
    loop {
        let asked = command::run(&scene.fleet, &scene.deployment, healthy).await;
        let reason = match asked {
            Ok(output) if output.success() => return Ok(()),
            Ok(output) => format!(
                "{}: {} {}",
                output.status,
                output.text(),
                output.error_text()
            ),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(format!(
                "not healthy within {} s: {reason}",
                RECOVERY.as_secs()
            ));
        }
        tokio::time::sleep(RECOVERY_POLL).await;
    }
}

/// What a system says of how long writes waited.
#[derive(serde::Deserialize)]
struct MeasuredPause {
    count: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// How long writes waited, where the system measures it. A system that cannot say, or at which none
/// waited, has none.
pub(crate) async fn write_pause(scene: &Scene) -> Option<WritePause> {
    let spec = scene.system.write_pause.as_ref()?;
    let asked = command::run(&scene.fleet, &scene.deployment, &spec.command);
    let output = asked.await.ok()?;
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let measured: MeasuredPause =
        serde_json::from_value(printed.pointer(&spec.pointer)?.clone()).ok()?;
    let micros = |ms: f64| (ms * 1000.0).round() as u64;
    (measured.count > 0).then(|| WritePause {
        writes: measured.count,
        p50_us: micros(measured.p50_ms),
        p99_us: micros(measured.p99_ms),
        max_us: micros(measured.max_ms),
    })
}
