//! Waiting for a task: a Meilisearch accepts a request first, and carries it out later, in the order of acceptance.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::http::CallError;
use super::super::operations::PeerError;
use super::api::{Api, Task, TaskStatus};

/// The first look comes after this, each further one after twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Waits until a task has succeeded. A task that failed or was canceled has changed nothing; one whose end is not
/// seen before the deadline may have, or may yet.
pub(super) async fn succeed(api: &Api, uid: u64, deadline: Instant) -> Result<Task, PeerError> {
    let task = end(api, uid, deadline).await?;
    if task.status == TaskStatus::Succeeded {
        return Ok(task);
    }
    let (code, message) = match task.error {
        Some(error) => (error.code, error.message),
        None => ("task_canceled".to_owned(), "it was canceled".to_owned()),
    };
    Err(PeerError::Task {
        node: api.node.clone(),
        task: uid,
        code,
        message,
    })
}

/// Waits until a task is over, whichever way.
pub(super) async fn end(api: &Api, uid: u64, deadline: Instant) -> Result<Task, PeerError> {
    let mut pause = FIRST_PAUSE;
    loop {
        if Instant::now() + pause >= deadline {
            return Err(api.timed_out());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match api.task(uid, deadline).await {
            Ok(task) if is_over(task.status) => return Ok(task),
            Ok(_) => {}
            // Looking changes nothing: it can be repeated. Nothing is certain about the task itself.
            Err(PeerError::Call {
                error: CallError::NotSent(_) | CallError::Reset | CallError::Broken(_),
                ..
            }) => {}
            Err(PeerError::Answer { status: 500.., .. }) => {}
            Err(PeerError::Answer { code, .. }) => {
                return Err(api.broken(format!("task {uid} cannot be followed: {code}")));
            }
            Err(_) => return Err(api.timed_out()),
        }
    }
}

fn is_over(status: TaskStatus) -> bool {
    match status {
        TaskStatus::Enqueued | TaskStatus::Processing => false,
        TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Canceled => true,
    }
}
