//! When passes run by themselves.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::pass::{Order, run_pass};
use crate::log;
use crate::router::Cluster;

/// Refuses what is not a cron expression; empty means no schedule.
pub(crate) fn check_schedule(schedule: &str) -> Result<(), String> {
    if schedule.is_empty() {
        return Ok(());
    }
    let parsed = Cron::from_str(schedule).map(drop);
    parsed.map_err(|e| format!("anti_entropy.schedule = \"{schedule}\": {e}"))
}

/// The next time of a schedule, strictly after `now`.
pub(super) fn next(schedule: &str, now: &Zoned) -> Option<Zoned> {
    let cron = Cron::from_str(schedule).ok()?;
    cron.find_next_occurrence(now, false).ok()
}

/// The time in UTC, which schedules are written in.
pub(super) fn now() -> Zoned {
    Zoned::now().with_time_zone(TimeZone::UTC)
}

/// Runs passes by the configured schedule, if there is one.
pub(crate) async fn run_by_schedule(cluster: &Arc<Cluster>) {
    let config = &cluster.config.anti_entropy;
    if !config.enabled || config.schedule.is_empty() {
        return;
    }
    loop {
        let now = now();
        let Some(at) = next(&config.schedule, &now) else {
            log::warn("anti_entropy.schedule never comes again");
            return;
        };
        let pause = now.duration_until(&at);
        tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()).await;
        run_pass(cluster, Order::Scheduled).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Zoned {
        text.parse::<jiff::Timestamp>()
            .unwrap()
            .to_zoned(TimeZone::UTC)
    }

    #[test]
    fn the_default_schedule_is_every_six_hours_in_utc() {
        let now = utc("2026-03-01T05:59:30Z");
        let at = next("0 */6 * * *", &now).unwrap();
        assert_eq!(at, utc("2026-03-01T06:00:00Z"));
        let later = next("0 */6 * * *", &at).unwrap();
        assert_eq!(later, utc("2026-03-01T12:00:00Z"));
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_six_fields_begin_with_seconds() {
        assert!(check_schedule("").is_ok() && check_schedule("*/2 * * * * *").is_ok());
        assert!(check_schedule("every day").is_err());
        let now = utc("2026-03-01T00:00:00Z");
        let at = next("*/2 * * * * *", &now).unwrap();
        assert_eq!(at, utc("2026-03-01T00:00:02Z"));
    }
}
