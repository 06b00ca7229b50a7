//! What an answer means for the operation: the tables of the module above.

use reqwest::StatusCode;
use serde_json::Value;

use crate::client::Completion;
use crate::documents::Documents;
use crate::documents::http::{Answer, Unanswered};

/// Value of the outcome header by which a system says that a write certainly was not applied.
const NOT_APPLIED: &str = "none";

/// What an answer to a write settles.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The write's completion.
    Now(Completion),
    /// That the write's task decides.
    ByTask(String),
}

/// Where a task stands.
#[derive(Debug, PartialEq, Eq)]
enum TaskStatus {
    Succeeded,
    Failed,
    Pending,
}

/// Settles a write.
pub(super) fn settle_write(
    answer: Result<Answer, Unanswered>,
    outcome_header: Option<&str>,
) -> Settled {
    let answer = match answer {
        Ok(answer) if answer.status.is_success() => answer,
        other => return Settled::Now(settle_error(other, outcome_header)),
    };
    let body = match &answer.body {
        Ok(body) => body,
        Err(error) => return Settled::Now(indeterminate(error)),
    };
    match (task_status(body), task_uid(body)) {
        (Some(TaskStatus::Succeeded), _) => Settled::Now(Completion::Done { seen: None }),
        (Some(TaskStatus::Failed), _) => Settled::Now(failed("task failed")),
        (Some(TaskStatus::Pending), Some(uid)) => Settled::ByTask(uid),
        _ => Settled::Now(indeterminate(
            "the answer does not say what became of the task",
        )),
    }
}

/// Settles a write by its task; `None` if it is worth asking again.
pub(super) fn settle_task(answer: Result<Answer, Unanswered>) -> Option<Completion> {
    // Asking is without effect, so whatever goes wrong on the way is asked again.
    let answer = answer.ok()?;
    if answer.status.is_client_error() {
        return Some(indeterminate("the task is not known"));
    }
    match task_status(answer.body.as_ref().ok()?).filter(|_| answer.status.is_success())? {
        TaskStatus::Succeeded => Some(Completion::Done { seen: None }),
        TaskStatus::Failed => Some(failed("task failed")),
        TaskStatus::Pending => None,
    }
}

/// Settles a read of `key`.
pub(super) fn settle_read(
    answer: Result<Answer, Unanswered>,
    outcome_header: Option<&str>,
    key: i64,
    documents: &Documents,
) -> Completion {
    let answer = match answer {
        Ok(answer) if says_absent(&answer) => return Completion::Done { seen: None },
        Ok(answer) if answer.status.is_success() => answer,
        other => return settle_error(other, outcome_header),
    };
    let document = match answer.body {
        Ok(body) => body,
        Err(error) => return indeterminate(&error),
    };
    let detail = match documents.verify(&document) {
        Ok((found, version)) if found == key => {
            return Completion::Done {
                seen: Some(version),
            };
        }
        Ok(_) => "another key's document".to_owned(),
        Err(unfit) => unfit.to_string(),
    };
    Completion::Corrupt { detail }
}

/// Whether a 404 says that the document, or the whole index, is not there, rather than the path.
fn says_absent(answer: &Answer) -> bool {
    says_no_index(answer) || says_404(answer, "document_not_found")
}

/// Whether a 404 says that there is no such index.
pub(in crate::documents) fn says_no_index(answer: &Answer) -> bool {
    says_404(answer, "index_not_found")
}

fn says_404(answer: &Answer, code: &str) -> bool {
    let body = answer.body.as_ref().ok();
    let found = body
        .and_then(|body| body.get("code"))
        .and_then(Value::as_str);
    answer.status == StatusCode::NOT_FOUND && found == Some(code)
}

/// The completion of a request that was not answered with success.
fn settle_error(answer: Result<Answer, Unanswered>, outcome_header: Option<&str>) -> Completion {
    let answer = match answer {
        Ok(answer) => answer,
        Err(no) if no.unsent => return failed(&no.reason),
        Err(no) => return indeterminate(&no.reason),
    };
    let error = format!("http {}", answer.status.as_u16());
    let outcome = outcome_header
        .and_then(|name| answer.headers.get(name))
        .map(|value| value == NOT_APPLIED);
    let certain = match outcome {
        Some(not_applied) => not_applied && is_error(answer.status),
        None => answer.status.is_client_error(),
    };
    if certain {
        failed(&error)
    } else {
        indeterminate(&error)
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn task_status(body: &Value) -> Option<TaskStatus> {
    match body.get("status")?.as_str()? {
        "succeeded" => Some(TaskStatus::Succeeded),
        "failed" => Some(TaskStatus::Failed),
        "enqueued" | "processing" => Some(TaskStatus::Pending),
        _ => None,
    }
}

/// Task numbers are integers; systems in front of several nodes have names of their own.
fn task_uid(body: &Value) -> Option<String> {
    match body.get("taskUid")? {
        Value::Number(uid) => Some(uid.to_string()),
        Value::String(uid) if !uid.is_empty() => Some(uid.clone()),
        _ => None,
    }
}

fn failed(error: &str) -> Completion {
    Completion::Failed {
        error: error.to_owned(),
    }
}

fn indeterminate(error: &str) -> Completion {
    Completion::Indeterminate {
        error: error.to_owned(),
    }
}
