//! What the system's log says of itself: phases, marks, and where each of its members stands.

use regex::Regex;
use shakedown_checker::history::{Event, EventKind, Process, WindowMark};
use shakedown_nemesis::protocol::{Notice, RequestBody};
use shakedown_reports::results::{MemberSpan, Span};

use super::Conductor;
use crate::run::schedule::PHASE;

impl Conductor {
    /// Has the agents watch the logs that announce phases and marks.
    pub(super) async fn watch_logs(&mut self) {
        let scene = self.scene.clone();
        for (number, rule) in scene.system.event.iter().enumerate() {
            let regex = match Regex::new(rule.pattern.get_ref()) {
                Ok(regex) => regex,
                Err(error) => {
                    return self
                        .out
                        .errors
                        .push(format!("pattern of lane `{}`: {error}", rule.lane));
                }
            };
            self.rules.push((rule.lane.clone(), regex));
            for placed in scene
                .deployment
                .placed
                .iter()
                .filter(|p| *p.spec.name.get_ref() == rule.service)
            {
                let (path, pattern) = (placed.log.clone(), rule.pattern.get_ref().clone());
                let watch = RequestBody::Watch {
                    watch: number as u64,
                    path,
                    pattern,
                };
                if let Err(error) = scene.fleet.ask(&placed.node.name, watch).await {
                    self.out.errors.push(error.to_string());
                }
            }
        }
    }

    pub(super) async fn notice(&mut self, node: &str, notice: Notice) {
        match notice {
            Notice::Line { watch, line } => {
                let Some((lane, regex)) = self.rules.get(watch as usize) else {
                    return;
                };
                let captures = regex.captures(&line);
                let group = |name| {
                    let found = captures.as_ref().and_then(|c| c.name(name));
                    found.map(|found| found.as_str().to_owned())
                };
                let Some(name) = group("name") else {
                    return;
                };
                let lane = lane.clone();
                let now_ns = self.scene.clock.now_ns();
                self.schedule.mark(&lane, &name, now_ns);
                self.marked.insert((lane.clone(), name.clone()), now_ns);
                if let Some(of) = group("of") {
                    self.enter_member(&lane, of, &name, now_ns);
                } else if lane == PHASE {
                    self.enter_phase(&name, now_ns).await;
                }
                self.out.marks.entry(lane).or_default().insert(name);
            }
            Notice::LeaseExpired { faults } => {
                let faults = faults.join(", ");
                self.out.errors.push(format!(
                    "{node}: the lease ran out and its faults were undone: {faults}"
                ));
            }
        }
    }

    /// A member of the system stands elsewhere now.
    fn enter_member(&mut self, lane: &str, of: String, name: &str, now_ns: u64) {
        let member = (lane.to_owned(), of);
        if let Some((before, start_ns)) = self.open_members.remove(&member) {
            self.out
                .members
                .push(span_of(member.clone(), before, start_ns, now_ns));
        }
        if !self.scene.system.terminal_phases.contains(name) {
            self.open_members.insert(member, (name.to_owned(), now_ns));
        }
    }

    /// Ends what is known of members.
    pub(super) fn close_members(&mut self, now_ns: u64) {
        for (member, (name, start_ns)) in std::mem::take(&mut self.open_members) {
            self.out
                .members
                .push(span_of(member, name, start_ns, now_ns));
        }
    }

    async fn enter_phase(&mut self, phase: &str, now_ns: u64) {
        self.progress.phase(phase);
        self.close_phase(now_ns).await;
        if !self.scene.system.terminal_phases.contains(phase) {
            self.open_phase = Some((phase.to_owned(), now_ns));
            self.mark(Process::SYSTEM, WindowMark::START, "phase", phase)
                .await;
        }
    }

    pub(super) async fn close_phase(&mut self, now_ns: u64) {
        if let Some((name, start_ns)) = self.open_phase.take() {
            self.mark(Process::SYSTEM, WindowMark::END, "phase", &name)
                .await;
            self.out.phases.push(Span {
                name,
                start_ns,
                end_ns: now_ns,
            });
        }
    }

    /// Records the start or end of a window in the history.
    pub(super) async fn mark(
        &mut self,
        process: Process,
        f: &'static str,
        lane: &'static str,
        name: &str,
    ) {
        let mark = WindowMark {
            lane: lane.into(),
            name: name.to_owned(),
        };
        let event = Event {
            op: self.scene.sink.next_ops(1),
            process,
            kind: EventKind::Info,
            f: f.into(),
            time_ns: self.scene.clock.now_ns(),
            intended_ns: None,
            key: None,
            value: None,
            detail: Some(
                serde_json::to_string(&mark)
                    .expect("two strings")
                    .into_boxed_str(),
            ),
        };
        if let Err(error) = self.scene.sink.record([event]).await {
            self.out.errors.push(error.to_string());
        }
    }
}

fn span_of((lane, of): (String, String), name: String, start_ns: u64, end_ns: u64) -> MemberSpan {
    MemberSpan {
        lane,
        of,
        name,
        start_ns,
        end_ns,
    }
}
