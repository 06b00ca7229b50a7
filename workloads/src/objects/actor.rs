//! One process of a workload on objects, with its client.

use std::num::NonZeroU32;

use shakedown_checker::history::{Event, Process};

use crate::load::Actor;
use crate::objects::answers::misfit;
use crate::objects::load::Weights;
use crate::objects::rows::{self, Ended};
use crate::objects::shared::Slot;
use crate::objects::{Answer, Client, Invocation, KnownError, Objects};

/// What processes of a load are asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) weights: Weights,
    /// Processes among which the operations on a key are shared out.
    pub(super) processes: NonZeroU32,
}

pub(super) struct ObjectActor<C> {
    objects: Objects,
    /// There until it is dropped.
    slot: Option<Slot>,
    client: C,
    asked: Asked,
    /// An operation of this process is under way.
    outstanding: bool,
}

const TAKEN: &str = "only drop takes the slot";

impl<C> ObjectActor<C> {
    pub(super) fn new(objects: &Objects, slot: Slot, client: C, asked: Asked) -> Self {
        ObjectActor {
            objects: objects.clone(),
            slot: Some(slot),
            client,
            asked,
            outstanding: false,
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.slot.as_ref().expect(TAKEN).number
    }

    fn process(&self) -> Process {
        Process(self.slot.as_ref().expect(TAKEN).process)
    }
}

impl<C: Client> ObjectActor<C> {
    /// What may be believed of an answer.
    fn judge(&self, asked: &Invocation, answer: Answer) -> Ended {
        let ended = match answer {
            Answer::Ok(value) => match misfit(&self.objects.spec().0, asked, &value) {
                Some(why) => Ended::Defect(why),
                None => Ended::Ok(written(asked).unwrap_or(value)),
            },
            Answer::Error(error, text) => match undeclared(&error, self.client.errors()) {
                Some(why) => Ended::Defect(format!("{why}: {text}")),
                None => Ended::Error(error, text),
            },
            Answer::Defect(text) => Ended::Defect(text),
        };
        match &ended {
            Ended::Ok(_) => {}
            Ended::Error(error, _) => self.objects.error(error),
            Ended::Defect(text) => self.objects.defect(text),
        }
        ended
    }
}

/// What a write is recorded with, whatever its answer: its argument.
fn written(asked: &Invocation) -> Option<serde_json::Value> {
    let answers = matches!(&*asked.f, "read" | "txn");
    (!answers).then(|| asked.value.clone())
}

fn undeclared(error: &KnownError, declared: &[KnownError]) -> Option<String> {
    let KnownError { name, effect, .. } = error;
    match declared.iter().find(|known| known.name == *name) {
        None => Some(format!("the client has not declared the error {name:?}")),
        Some(known) if known.effect != *effect => {
            let declared = known.effect;
            Some(format!(
                "the client has declared the error {name:?} as {declared:?} and calls it {effect:?}"
            ))
        }
        Some(_) => None,
    }
}

impl<C: Client> Actor for ObjectActor<C> {
    type Request = Invocation;
    type Answer = Answer;

    fn next(&mut self, _most: u64) -> Invocation {
        let Asked { weights, processes } = &self.asked;
        let slot = self.slot.as_mut().expect(TAKEN);
        slot.generator.next(weights, *processes)
    }

    fn operations(_: &Invocation) -> u64 {
        1
    }

    fn invocations(&self, asked: &Invocation, op: u64, into: &mut Vec<Event>) {
        into.push(rows::invoked(asked, op, self.process()));
    }

    async fn send(&mut self, asked: &Invocation) -> Answer {
        self.outstanding = true;
        self.client.invoke(asked).await
    }

    fn completions(&self, asked: &Invocation, answer: Answer, op: u64, into: &mut Vec<Event>) {
        let ended = self.judge(asked, answer);
        into.push(rows::completed(asked, ended, op, self.process()));
    }

    fn end(&mut self, settled: bool) {
        self.outstanding = false;
        if !settled {
            self.slot.as_mut().expect(TAKEN).renumber();
        }
    }
}

impl<C> Drop for ObjectActor<C> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.objects.give_back(slot, !self.outstanding);
        }
    }
}
