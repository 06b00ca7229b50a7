//! A client that is a program of one's own: it reads operations from its standard input and writes how they ended to
//! its standard output, as lines of JSON. `docs/clients.md` describes the protocol.
//!
//! | what happened | operation |
//! |---|---|
//! | an answer | as it says |
//! | no answer in time: the program is killed, and started again for the next operation | may have happened |
//! | the program ended before it answered; it is started again for the next operation | may have happened |
//! | the program cannot be started, does not greet, or breaks the protocol | a defect: nothing is known of it |

mod program;
mod protocol;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

pub use program::LONGEST_LINE;
use program::{NoLine, Program, last_words};
use protocol::{Greeting, Hello, Reply, Request, VERSION};

use crate::objects::{Answer, Client, Effect, Invocation, KnownError, Spec};

/// How to run a program as a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecConfig {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The directory it runs in.
    pub dir: PathBuf,
    /// A file that what it says on its standard error is appended to.
    pub stderr: PathBuf,
    /// Number of the process in the load that it is to be.
    pub process: u32,
    /// The node it is to speak to.
    pub endpoint: String,
    /// All nodes that clients speak to.
    pub endpoints: Vec<String>,
    /// Whatever else it has to know.
    pub settings: BTreeMap<String, String>,
    /// It is to answer each operation within this time.
    pub timeout: Duration,
}

/// A program has so much longer for an answer than it is told, so that it can tell of a time-out itself.
const GRACE: Duration = Duration::from_secs(1);
/// Time for a program to start and greet.
const GREETING: Duration = Duration::from_secs(20);
/// Pause before a program that did not greet is started again.
const PAUSE: Duration = Duration::from_secs(1);

const NO_ANSWER: KnownError = KnownError::new(
    "program-silent",
    Effect::Maybe,
    "the program did not answer in time and was killed: what it has sent is not known",
);
const ENDED: KnownError = KnownError::new(
    "program-ended",
    Effect::Maybe,
    "the program ended before it answered: what it has sent is not known",
);

/// A client that is a program.
#[derive(Debug)]
pub struct ExecClient {
    config: ExecConfig,
    spec: Spec,
    errors: Vec<KnownError>,
    running: Option<Running>,
    not_before: Option<Instant>,
    requests: u64,
}

#[derive(Debug)]
struct Running {
    program: Program,
    functions: Vec<String>,
}

impl ExecClient {
    /// A client that starts its program when it is first asked for something.
    pub fn new(config: ExecConfig, spec: &Spec) -> Self {
        ExecClient {
            config,
            spec: spec.clone(),
            errors: vec![NO_ANSWER, ENDED],
            running: None,
            not_before: None,
            requests: 0,
        }
    }

    /// The program, started and greeted.
    async fn running(&mut self) -> Result<Running, String> {
        if let Some(mut running) = self.running.take()
            && running.program.is_running()
        {
            return Ok(running);
        }
        if let Some(moment) = self.not_before.take() {
            sleep_until(moment).await;
        }
        let started = self.start().await;
        started.map_err(|why| {
            self.not_before = Some(Instant::now() + PAUSE);
            self.told(&why)
        })
    }

    async fn start(&mut self) -> Result<Running, String> {
        let mut program = Program::start(&self.config)
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let hello = Hello {
            protocol: VERSION,
            process: self.config.process,
            endpoint: &self.config.endpoint,
            endpoints: &self.config.endpoints,
            workload: &self.spec,
            timeout_ms: u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX),
            settings: &self.config.settings,
        };
        let hello = serde_json::to_vec(&hello).map_err(|error| error.to_string())?;
        let greeted = timeout(GREETING, async {
            program.write(hello).await?;
            program.read().await
        });
        let line = match greeted.await {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => return Err(format!("it did not greet: {error}")),
            Err(_) => return Err(format!("it did not greet within {} s", GREETING.as_secs())),
        };
        let greeting = Greeting::parse(&line)?;
        self.errors = vec![NO_ANSWER, ENDED];
        self.errors.extend(greeting.known_errors());
        let functions = greeting.functions;
        Ok(Running { program, functions })
    }

    /// Asks a program; `None` for the program if it is of no further use.
    async fn ask(&mut self, mut running: Running, asked: &Invocation) -> Answer {
        if !running.functions.iter().any(|f| *f == asked.f) {
            let can = running.functions.join(", ");
            self.running = Some(running);
            return Answer::Defect(self.told(&format!(
                "a {} workload asks for {}, and it greeted with functions: {can}",
                self.spec.kind(),
                asked.f
            )));
        }
        self.requests += 1;
        let id = self.requests;
        let request = Request {
            id,
            f: &asked.f,
            key: asked.key,
            value: &asked.value,
        };
        let request = serde_json::to_vec(&request).expect("operations are JSON");
        let answered = timeout(self.config.timeout + GRACE, async {
            running.program.write(request).await?;
            running.program.read().await
        });
        let line = match answered.await {
            Ok(Ok(line)) => line,
            Ok(Err(error @ NoLine::TooLong)) => {
                return Answer::Defect(self.told(&error.to_string()));
            }
            Ok(Err(NoLine::Ended | NoLine::Io(_))) => {
                return Answer::Error(ENDED, last_words(&self.config.stderr));
            }
            Err(_) => return Answer::Error(NO_ANSWER, String::new()),
        };
        let answer = match Reply::parse(&line, id) {
            Ok(Reply::Ok(value)) => Answer::Ok(value),
            Ok(Reply::Error { name, detail }) => match self.declared(&name) {
                Some(error) => Answer::Error(error, detail),
                None => {
                    let why = format!("it has not declared the error {name:?}");
                    return Answer::Defect(self.told(&why));
                }
            },
            Err(why) => return Answer::Defect(self.told(&why)),
        };
        self.running = Some(running);
        answer
    }

    fn declared(&self, name: &str) -> Option<KnownError> {
        self.errors.iter().find(|error| error.name == name).cloned()
    }

    fn told(&self, why: &str) -> String {
        let program = self.config.argv.join(" ");
        let words = last_words(&self.config.stderr);
        format!("client program `{program}`: {why}{words}")
    }
}

impl Client for ExecClient {
    fn errors(&self) -> &[KnownError] {
        &self.errors
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        match self.running().await {
            Ok(running) => self.ask(running, asked).await,
            Err(why) => Answer::Defect(why),
        }
    }
}
