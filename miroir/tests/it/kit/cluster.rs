//! A router and its nodes.

use std::net::SocketAddr;
use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, miroir};

/// A router with nodes `n1`, `n2`, ...; `initial` of them are members from the beginning.
pub(crate) struct Cluster {
    pub(crate) directory: TempDir,
    pub(crate) nodes: Vec<Node>,
    pub(crate) router: Process,
    pub(crate) address: String,
    pub(crate) http: reqwest::Client,
    options: String,
    environment: Vec<(String, String)>,
    groups: Vec<String>,
}

/// A storage node.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) address: String,
    data: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Where a process of this test may listen: at a loopback address that no other test uses, so that a port is still free
/// when the process is started again.
fn any_port() -> String {
    let [a, b, c, d] = std::process::id().to_be_bytes();
    format!("127.{}.{c}.{d}:0", 1 + (a ^ b) % 250)
}

impl Node {
    pub(crate) fn start(data: PathBuf) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// With more arguments, and environment variables.
    pub(crate) fn start_with(
        data: PathBuf,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let environment = owned(environment);
        let (process, address) = Self::launch(&data, &any_port(), &arguments, &environment);
        Node {
            process,
            address,
            data,
            arguments,
            environment,
        }
    }

    /// Starts again where it was, with the same data.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        let (data, address) = (&self.data, &self.address);
        self.process = Self::launch(data, address, &self.arguments, &self.environment).0;
    }

    /// Starts again with these arguments.
    pub(crate) fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        self.restart();
    }

    fn launch(
        data: &std::path::Path,
        listen: &str,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> (Process, String) {
        let mut command = miroir(&["node", "--listen", listen, "--data"]);
        command.arg(data).args(arguments);
        command.envs(environment.iter().cloned());
        let process = Process::start(command);
        let address = process.wait_for_event("listening")["address"]
            .as_str()
            .unwrap()
            .to_owned();
        (process, address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Cluster {
    /// `total` nodes, `initial` of them members; `options` are more lines of the configuration.
    pub(crate) fn start(total: usize, initial: usize, options: &str) -> Self {
        Self::start_with(total, initial, options, &[])
    }

    pub(crate) fn start_with(
        total: usize,
        initial: usize,
        options: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::launched(total, &vec!["g0"; initial], options, environment)
    }

    /// `total` nodes, the first of them members, in these groups.
    pub(crate) fn start_in_groups(total: usize, groups: &[&str], options: &str) -> Self {
        Self::launched(total, groups, options, &[])
    }

    fn launched(
        total: usize,
        groups: &[&str],
        options: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let nodes: Vec<Node> = (1..=total)
            .map(|n| Node::start(directory.path().join(format!("n{n}"))))
            .collect();
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        let environment = owned(environment);
        let config = Self::config(&directory, &nodes, &groups, &any_port(), options);
        let (router, address) = Self::launch(&config, &environment);
        let http = reqwest::Client::new();
        Cluster {
            directory,
            nodes,
            router,
            address,
            http,
            options: options.to_owned(),
            environment,
            groups,
        }
    }

    fn config(
        directory: &TempDir,
        nodes: &[Node],
        groups: &[String],
        listen: &str,
        options: &str,
    ) -> PathBuf {
        let nodes: Vec<String> = nodes
            .iter()
            .zip(groups)
            .zip(1..)
            .map(|((n, group), i)| {
                format!(
                    "{{ name = 'n{i}', url = 'http://{}', group = '{group}' }}",
                    n.address
                )
            })
            .collect();
        let text = format!(
            "listen = '{listen}'\ndata_dir = '{0}/router'\naudit_log = '{0}/audit.jsonl'\nnodes = [{1}]\n{options}",
            directory.path().display(),
            nodes.join(", ")
        );
        let path = directory.path().join("router.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn launch(config: &std::path::Path, environment: &[(String, String)]) -> (Process, String) {
        let mut command = miroir(&["router", "--config", config.to_str().unwrap()]);
        command.envs(environment.iter().cloned());
        let router = Process::start(command);
        let address = router.wait_for_event("listening")["address"]
            .as_str()
            .unwrap()
            .to_owned();
        router.wait_for_event("ready");
        (router, address)
    }

    /// Kills the router with SIGKILL, and starts it again where it was.
    pub(crate) fn crash_router(&mut self) {
        self.router.kill();
        let config = Self::config(
            &self.directory,
            &self.nodes,
            &self.groups,
            &self.address,
            &self.options,
        );
        self.router = Self::launch(&config, &self.environment).0;
    }

    /// Starts the nodes again with environment variables.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn replant_nodes(&mut self, environment: &[(&str, &str)]) {
        for node in &mut self.nodes {
            node.environment = owned(environment);
            node.restart();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.1
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Adds node `n` (counted from 1), at another address if given.
    pub(crate) async fn add_node(&self, n: usize, through: Option<SocketAddr>) {
        let address = through.map_or_else(|| self.nodes[n - 1].address.clone(), |a| a.to_string());
        let body = json!({"name": format!("n{n}"), "url": format!("http://{address}")});
        assert_eq!(self.post("/_miroir/nodes", body).await.0, 201);
    }

    /// Adds node `n` and begins a migration to it.
    pub(crate) async fn migrate_to(
        &self,
        n: usize,
        through: Option<SocketAddr>,
        auto_cutover: bool,
    ) {
        self.add_node(n, through).await;
        let body = json!({"to": format!("n{n}"), "auto_cutover": auto_cutover});
        let (status, answer) = self.post("/_miroir/migrations", body).await;
        assert_eq!(status, 202, "{answer}");
    }

    /// Adds node `n` to a group.
    pub(crate) async fn add_node_to(&self, n: usize, group: &str) {
        let url = format!("http://{}", self.nodes[n - 1].address);
        let body = json!({"name": format!("n{n}"), "url": url, "group": group});
        assert_eq!(self.post("/_miroir/nodes", body).await.0, 201);
    }

    /// Sends a request that begins a migration; answers with its id.
    pub(crate) async fn begin(&self, method: Method, path: &str, body: Option<Value>) -> u64 {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 202, "{answer}");
        answer["id"].as_u64().unwrap()
    }

    /// Every document that node `n` holds, with its internal fields.
    pub(crate) async fn held_by(&self, n: usize) -> Vec<Value> {
        let url = self.nodes[n - 1].url("/indexes/docs/documents?limit=1000000");
        let page: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(page["total"], page["results"].as_array().unwrap().len());
        page["results"].as_array().unwrap().clone()
    }

    /// Asserts that no node holds documents of shards it does not own.
    pub(crate) async fn assert_nothing_misplaced(&self) {
        let placement = self.get("/_miroir/placement").await;
        for (node, n) in self.nodes.iter().zip(1..) {
            for document in self.held_by(n).await {
                let shard = document["_miroir_shard"].as_u64().unwrap() as usize;
                let owners = &placement["shards"][shard]["owners"];
                assert!(
                    owners.as_array().unwrap().contains(&json!(node.address)),
                    "document on the wrong node: {document}"
                );
            }
        }
    }
}

fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = environment.iter();
    owned
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}
