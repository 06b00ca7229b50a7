//! Retrying with growing pauses, for ever or until a deadline.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often to try again, and how long.
pub(crate) struct Patience {
    pause: Duration,
    deadline: Option<Instant>,
}

impl Patience {
    /// Never gives up.
    pub(crate) fn endless() -> Self {
        Patience {
            pause: FIRST_PAUSE,
            deadline: None,
        }
    }

    /// Gives up after `limit`.
    pub(crate) fn limited(limit: Duration) -> Self {
        Patience {
            pause: FIRST_PAUSE,
            deadline: Some(Instant::now() + limit),
        }
    }

    /// Pauses before the next attempt; hands the error back when patience has run out.
    pub(crate) async fn or_give_up<E>(&mut self, error: E) -> Result<(), E> {
        if self
            .deadline
            .is_some_and(|d| Instant::now() + self.pause > d)
        {
            return Err(error);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Starts with short pauses again, after a success.
    pub(crate) fn renew(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}
