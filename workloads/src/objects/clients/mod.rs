//! Clients of databases, by protocol.

mod errors;
pub mod etcd;
pub mod exec;
pub mod redis;

use crate::objects::{Answer, Client, Invocation, KnownError, Spec};
use etcd::{EtcdClient, EtcdConfig};
use exec::{ExecClient, ExecConfig};
use redis::{RedisClient, RedisConfig};

/// How one process speaks to a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientConfig {
    /// To etcd.
    Etcd(EtcdConfig),
    /// To Redis.
    Redis(RedisConfig),
    /// Through a program of one's own.
    Exec(ExecConfig),
}

/// A client of any protocol.
#[derive(Debug)]
pub enum AnyClient {
    /// Of etcd.
    Etcd(EtcdClient),
    /// Of Redis.
    Redis(RedisClient),
    /// A program of one's own.
    Exec(Box<ExecClient>),
}

impl AnyClient {
    /// A client for this workload. It connects when it is first asked for something.
    pub fn new(config: &ClientConfig, spec: &Spec) -> Self {
        match config.clone() {
            ClientConfig::Etcd(config) => AnyClient::Etcd(EtcdClient::new(config, spec)),
            ClientConfig::Redis(config) => AnyClient::Redis(RedisClient::new(config, spec)),
            ClientConfig::Exec(config) => AnyClient::Exec(Box::new(ExecClient::new(config, spec))),
        }
    }
}

impl Client for AnyClient {
    fn errors(&self) -> &[KnownError] {
        match self {
            AnyClient::Etcd(client) => client.errors(),
            AnyClient::Redis(client) => client.errors(),
            AnyClient::Exec(client) => client.errors(),
        }
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        match self {
            AnyClient::Etcd(client) => client.invoke(asked).await,
            AnyClient::Redis(client) => client.invoke(asked).await,
            AnyClient::Exec(client) => client.invoke(asked).await,
        }
    }
}
