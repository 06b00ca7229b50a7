//! Everything the router's parts share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::Semaphore;

use super::config::{Config, Member, NodeKind, address_of};
use super::hlc::Hlc;
use super::key_locks::KeyLocks;
use super::table::{Route, Table};
use super::waits::Waits;
use crate::anti_entropy::Journal;
use crate::audit::Audit;
use crate::changes::FeedCounts;
use crate::coordinator::{Coordinator, Phase, State, StateStore};
use crate::log;
use crate::metrics::RouterMetrics;
use crate::peer::{Identity, Peer, Writer};
use crate::wire::error::ApiError;
use crate::wire::message::{FenceRequest, Origin};

/// The nodes by name.
pub(crate) struct Peers {
    by_name: RwLock<BTreeMap<String, Arc<Peer>>>,
    timeout: Duration,
    locks: Arc<KeyLocks>,
    identity: Arc<Identity>,
    /// What Miroir's own nodes want.
    node_key: Option<String>,
}

impl Peers {
    /// The node of that name, which must have been added.
    pub(crate) fn get(&self, name: &str) -> Arc<Peer> {
        let peers = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            peers
                .get(name)
                .expect("the state names only nodes that were added before"),
        )
    }

    /// Adds a node. Nodes that are forgotten later stay here: somebody may still be talking to them.
    pub(crate) fn add(&self, member: &Member) -> Result<(), String> {
        let peer = Peer::new(
            member.name.clone(),
            address_of(&member.url)?,
            self.timeout,
            member.kind,
            match member.kind {
                NodeKind::Miroir => self.node_key.as_deref(),
                NodeKind::Meilisearch => member.key.as_deref(),
            },
            Arc::clone(&self.locks),
            Arc::clone(&self.identity),
        );
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(member.name.clone(), Arc::new(peer));
        Ok(())
    }
}

/// Everything the router's parts share.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    /// This incarnation of the router.
    pub(crate) identity: Arc<Identity>,
    /// Phase of the last migration when this incarnation began.
    pub(crate) recovered_phase: Option<Phase>,
    pub(crate) state: StateStore,
    pub(crate) peers: Peers,
    pub(crate) table: Table,
    pub(crate) hlc: Hlc,
    pub(crate) locks: Arc<KeyLocks>,
    pub(crate) waits: Waits,
    pub(crate) audit: Audit,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) coordinator: Coordinator,
    pub(crate) anti_entropy: Journal,
    pub(crate) feed: FeedCounts,
    pub(crate) metrics: RouterMetrics,
    /// Keys of writes that failed on NEW: all that the planted bug's delta pass looks at.
    #[cfg(feature = "planted-bugs")]
    pub(crate) failed_on_new: std::sync::Mutex<Vec<(u32, String)>>,
    ready: AtomicBool,
    stopping: AtomicBool,
}

impl Cluster {
    /// Opens the persisted state and restores routing as it was. The epoch is still to be registered.
    pub(crate) fn open(config: Config) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data_dir).with_context(|| {
            format!(
                "cannot make the data directory {}",
                config.data_dir.display()
            )
        })?;
        let state = StateStore::open(&config.data_dir).context("cannot open the router's state")?;
        if state.read(|s| s.owners.is_empty()) {
            let initial = State::initial(&config);
            state.update(|s| *s = initial)?;
        }
        let persisted = state.read(|s| s.owners.len());
        ensure!(
            persisted == config.shards as usize,
            "shards = {}, but the data directory was made with {persisted}",
            config.shards
        );
        state.update(|s| s.term += 1)?;
        let identity = Arc::new(Identity::new());
        let locks = Arc::new(KeyLocks::default());
        let peers = Peers {
            by_name: RwLock::default(),
            timeout: config.node_timeout(),
            node_key: config.node_key.clone(),
            locks: Arc::clone(&locks),
            identity: Arc::clone(&identity),
        };
        let mut members = state.read(|s| s.nodes.clone());
        for member in &mut members {
            // A key may change; it is no part of the topology.
            let configured = config.nodes.iter().find(|n| n.name == member.name);
            member.key = configured.map_or_else(|| member.key.take(), |n| n.key.clone());
        }
        if config.nodes.iter().any(|n| !members.contains(n)) {
            log::warn("`nodes` differs from the persisted topology, which counts");
        }
        for member in &members {
            if let Some(warning) = member.warning() {
                log::warn(&warning);
            }
            peers.add(member).map_err(anyhow::Error::msg)?;
        }
        let table = Table::new(state.read(|s| Route::of(s, &peers)));
        let audit = Audit::open(config.audit_log.as_deref())?;
        Ok(Cluster {
            identity,
            recovered_phase: state.read(|s| s.migrations.last().map(|m| m.phase)),
            hlc: Hlc::new(state.reserved_stamps()),
            locks,
            waits: Waits::new(),
            permits: Arc::new(Semaphore::new(config.max_writes)),
            coordinator: Coordinator::default(),
            feed: FeedCounts::default(),
            metrics: RouterMetrics::new(),
            anti_entropy: Journal::open(&config.data_dir),
            #[cfg(feature = "planted-bugs")]
            failed_on_new: std::sync::Mutex::default(),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            state,
            peers,
            table,
            audit,
            config,
        })
    }

    /// All nodes of the topology, owners or not.
    pub(crate) fn known_nodes(&self) -> Vec<Arc<Peer>> {
        let names: Vec<String> = self
            .state
            .read(|s| s.nodes.iter().map(|n| n.name.clone()).collect());
        names.iter().map(|n| self.peers.get(n)).collect()
    }

    /// What writes of the coordinator carry now.
    pub(crate) fn writer(&self) -> Writer {
        Writer {
            term: self.table.current().term,
            origin: Origin::Copy,
        }
    }

    /// Brings routing in line with the persisted state.
    pub(crate) fn reroute(&self) {
        self.table
            .switch(|| self.state.read(|s| Route::of(s, &self.peers)));
    }

    /// A fence for these shards against everything admitted before a term.
    pub(crate) fn fence(&self, shards: Vec<u32>, term: u64) -> FenceRequest {
        FenceRequest {
            epoch: self.identity.epoch(),
            incarnation: self.identity.incarnation,
            count: self.config.shards,
            index: self.config.index.clone(),
            shards,
            term,
        }
    }

    /// Refuses requests while the router recovers, after a newer one has taken over, and at the end.
    pub(crate) fn check_serving(&self) -> Result<(), ApiError> {
        self.check_not_superseded()?;
        if self.stopping.load(Ordering::Acquire) {
            return Err(ApiError::unavailable(
                "shutting_down",
                "the router is shutting down",
            ));
        }
        if self.is_ready() {
            Ok(())
        } else {
            Err(ApiError::unavailable(
                "recovering",
                "the router is still recovering",
            ))
        }
    }

    /// Refuses requests after a newer router has taken over.
    pub(crate) fn check_not_superseded(&self) -> Result<(), ApiError> {
        if self.identity.is_superseded() {
            return Err(ApiError::unavailable(
                "superseded",
                "a newer router has taken over: this one does not act any more",
            ));
        }
        Ok(())
    }

    /// Lets waiting writes see that they are refused from now on.
    pub(crate) fn stop_serving(&self) {
        self.stopping.store(true, Ordering::Release);
        self.table.wake();
    }

    /// Keeps keys whose write failed on NEW, for the planted bug.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn remember_failed(&self, keys: impl Iterator<Item = (u32, String)>) {
        let mut failed = self
            .failed_on_new
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed.extend(keys);
    }

    /// Waits until all writes have settled on every target, so that their audit records are complete.
    pub(crate) async fn settle_writes(&self) {
        let all = u32::try_from(self.config.max_writes).unwrap_or(u32::MAX);
        let settled = self.permits.acquire_many(all);
        if tokio::time::timeout(self.config.node_timeout(), settled)
            .await
            .is_err()
        {
            log::warn("writes under way were cut off at the end");
        }
    }

    /// Whether recovery is over.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Recovery is over.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }
}
