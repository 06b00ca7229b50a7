//! Clients that do not tell the truth, made of ones that do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use shakedown_workloads::objects::{Answer, Client, Effect, Invocation, KnownError};

/// What is wrong with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It takes what it does not know for a failure.
    MaybeIsNone,
    /// It takes what it does not know for a success.
    MaybeIsOk,
    /// It sends again what was not answered.
    Repeats,
}

#[derive(Debug)]
pub(crate) struct Liar<C> {
    client: C,
    lie: Lie,
    errors: Vec<KnownError>,
}

impl<C: Client> Liar<C> {
    pub(crate) fn new(client: C, lie: Lie) -> Self {
        Liar {
            errors: Vec::new(),
            client,
            lie,
        }
    }

    fn said(&self, answer: Answer) -> Answer {
        let Answer::Error(error, text) = answer else {
            return answer;
        };
        match (self.lie, error.effect) {
            (Lie::MaybeIsNone, _) => Answer::Error(self.declared(&error), text),
            (Lie::MaybeIsOk, Effect::Maybe) => Answer::Ok(serde_json::Value::Null),
            _ => Answer::Error(error, text),
        }
    }

    fn declared(&self, error: &KnownError) -> KnownError {
        match self.lie {
            Lie::MaybeIsNone => KnownError {
                effect: Effect::None,
                ..error.clone()
            },
            _ => error.clone(),
        }
    }
}

impl<C: Client> Client for Liar<C> {
    fn errors(&self) -> &[KnownError] {
        &self.errors
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        let mut answer = self.client.invoke(asked).await;
        let maybe = matches!(&answer, Answer::Error(error, _) if error.effect == Effect::Maybe);
        if self.lie == Lie::Repeats && maybe {
            answer = self.client.invoke(asked).await;
        }
        let errors = self.client.errors().iter();
        self.errors = errors.map(|error| self.declared(error)).collect();
        self.said(answer)
    }
}

/// Says of one write in so many, or of none, that time ran out, whatever became of it.
#[derive(Debug)]
pub(crate) struct Hesitant<C> {
    pub(crate) client: C,
    pub(crate) one_in: Option<u32>,
    /// Writes so far.
    pub(crate) asked: Arc<AtomicU32>,
}

impl<C: Client> Client for Hesitant<C> {
    fn errors(&self) -> &[KnownError] {
        self.client.errors()
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        let answer = self.client.invoke(asked).await;
        let Some(one_in) = self.one_in.filter(|_| asked.f != "read") else {
            return answer;
        };
        let earlier = self.asked.fetch_add(1, Ordering::SeqCst);
        if !earlier.is_multiple_of(one_in) {
            return answer;
        }
        let mut errors = self.client.errors().iter();
        let maybe = errors.find(|error| error.effect == Effect::Maybe);
        Answer::Error(maybe.unwrap().clone(), String::new())
    }
}
