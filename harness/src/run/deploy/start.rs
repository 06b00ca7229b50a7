//! Starting a service on its node: directory, files, process, readiness.

use std::time::{Duration, Instant};

use shakedown_nemesis::protocol::{Reply, RequestBody, Service, ServiceState};
use tokio::net::TcpStream;

use super::{DeployError, Deployment, NotReady, Placed};
use crate::run::command;
use crate::run::fleet::Fleet;
use crate::system::{Probe, Ready, TemplateContext};

/// How often a service is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(20);
/// Time it has to answer.
const ASK_WITHIN: Duration = Duration::from_secs(1);
/// Time a command has that asks it.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);

impl Deployment {
    fn context_of(&self, placed: &Placed) -> TemplateContext {
        let mut context = TemplateContext {
            dir: placed.dir.clone(),
            node: Some(placed.node.clone()),
            ..self.context.clone()
        };
        if let Some((name, path)) = self.versions().get(&placed.key()) {
            context.bin.insert(name.clone(), path.clone());
        }
        context
    }

    /// Makes a service's directory with its files.
    pub(super) async fn place_files(
        &self,
        fleet: &Fleet,
        placed: &Placed,
    ) -> Result<(), DeployError> {
        let context = self.context_of(placed);
        let node = fleet.node(&placed.node.name)?;
        node.exec(&format!("mkdir -p {}", placed.dir)).await?;
        for (name, template) in &placed.spec.files {
            let content = context.fill(template)?.into_bytes();
            node.upload(content, format!("{}/{name}", placed.dir))
                .await?;
        }
        if !placed.spec.files.is_empty() {
            // A power failure must not take the service's configuration along.
            node.exec(&format!("sync {}/*", placed.dir)).await?;
        }
        Ok(())
    }

    /// Starts a service whose files are in place and waits until it is ready.
    pub(super) async fn start_one(
        &self,
        fleet: &Fleet,
        placed: &Placed,
    ) -> Result<(), DeployError> {
        let context = self.context_of(placed);
        let mut env = self.env.clone();
        for (name, template) in &placed.spec.env {
            env.insert(name.clone(), context.fill(template)?);
        }
        let service = Service {
            name: placed.spec.name.get_ref().clone(),
            argv: context.fill_argv(&placed.spec.argv)?,
            env,
            dir: placed.dir.clone(),
            log: placed.log.clone(),
        };
        fleet
            .ask(&placed.node.name, RequestBody::Start(service))
            .await?;
        let probe = match placed.spec.ready.get_ref() {
            Ready::Url(url) => Probe::url(&context.fill(url)?)
                .expect("validation saw to the scheme, which is not filled in"),
            Ready::Command(ready) => Probe::Command(context.fill_argv(&ready.command)?),
        };
        self.wait_ready(fleet, placed, &probe).await
    }

    async fn wait_ready(
        &self,
        fleet: &Fleet,
        placed: &Placed,
        probe: &Probe,
    ) -> Result<(), DeployError> {
        let deadline = Instant::now() + placed.spec.ready_within.0;
        let service = placed.spec.name.get_ref();
        loop {
            let last = match self.ask(fleet, placed, probe).await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            let status = RequestBody::Status {
                service: service.clone(),
            };
            let state = fleet.ask(&placed.node.name, status).await?;
            let ended = match state {
                Reply::Service(ServiceState::Running { .. }) => None,
                Reply::Service(ServiceState::Dead { how: Some(how), .. }) => {
                    Some(format!("its process has ended: {how}"))
                }
                _ => Some("its process has ended".to_owned()),
            };
            if ended.is_some() || Instant::now() >= deadline {
                let tail = fleet
                    .node(&placed.node.name)?
                    .exec(&format!("tail -n 20 {}", placed.log))
                    .await?;
                return Err(DeployError::NotReady(Box::new(NotReady {
                    service: service.clone(),
                    node: placed.node.name.clone(),
                    asked: probe.to_string(),
                    within: placed.spec.ready_within.to_string(),
                    last: ended.unwrap_or(last),
                    log: tail.text(),
                })));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Asks once whether a service is ready; if not, why not.
    async fn ask(&self, fleet: &Fleet, placed: &Placed, probe: &Probe) -> Result<(), String> {
        match probe {
            Probe::Http(url) => {
                let asked = self.http.get(url).timeout(ASK_WITHIN).send().await;
                match asked.map_err(|error| error.to_string())?.status() {
                    reqwest::StatusCode::OK => Ok(()),
                    other => Err(format!("answered {other}")),
                }
            }
            Probe::Tcp(place) => {
                let connected = tokio::time::timeout(ASK_WITHIN, TcpStream::connect(place)).await;
                let connected = connected.map_err(|_| "no answer".to_owned())?;
                connected.map(drop).map_err(|error| error.to_string())
            }
            Probe::Command(argv) => {
                let ran = command::run_on(fleet, &placed.node, argv, COMMAND_WITHIN).await;
                let (_, output) = ran.map_err(|error| error.to_string())?;
                if output.success() {
                    return Ok(());
                }
                let (said, complained) = (output.text(), output.error_text());
                Err(format!("{}: {said}{complained}", output.status))
            }
        }
    }
}
