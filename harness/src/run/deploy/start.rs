//! Starting a service on its node: directory, files, process, readiness.

use std::time::{Duration, Instant};

use shakedown_nemesis::protocol::{Reply, RequestBody, Service, ServiceState};

use super::{DeployError, Deployment, NotReady, Placed};
use crate::run::fleet::Fleet;
use crate::system::TemplateContext;

/// How often a readiness URL is asked.
const READY_POLL: Duration = Duration::from_millis(20);

impl Deployment {
    fn context_of(&self, placed: &Placed) -> TemplateContext {
        TemplateContext {
            dir: placed.dir.clone(),
            node: Some(placed.node.clone()),
            ..self.context.clone()
        }
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
        let url = context.fill(&placed.spec.ready)?;
        self.wait_ready(fleet, placed, &url).await
    }

    async fn wait_ready(
        &self,
        fleet: &Fleet,
        placed: &Placed,
        url: &str,
    ) -> Result<(), DeployError> {
        let deadline = Instant::now() + placed.spec.ready_within.0;
        let service = placed.spec.name.get_ref();
        loop {
            let asked = self.http.get(url).timeout(Duration::from_secs(1));
            let last = match asked.send().await {
                Ok(answer) if answer.status() == reqwest::StatusCode::OK => return Ok(()),
                Ok(answer) => format!("answered {}", answer.status()),
                Err(error) => format!("{error}"),
            };
            let status = RequestBody::Status {
                service: service.clone(),
            };
            let state = fleet.ask(&placed.node.name, status).await?;
            let dead = !matches!(state, Reply::Service(ServiceState::Running { .. }));
            if dead || Instant::now() >= deadline {
                let tail = fleet
                    .node(&placed.node.name)?
                    .exec(&format!("tail -n 20 {}", placed.log))
                    .await?;
                return Err(DeployError::NotReady(Box::new(NotReady {
                    service: service.clone(),
                    node: placed.node.name.clone(),
                    url: url.to_owned(),
                    within: placed.spec.ready_within.to_string(),
                    last: if dead {
                        "its process has ended".to_owned()
                    } else {
                        last
                    },
                    log: tail.text(),
                })));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
}
