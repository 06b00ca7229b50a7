//! The agent: what runs on a node, inflicts faults there and undoes them.
//!
//! Its one promise: a fault that was begun is undone, whatever happens to the harness, to the channel
//! or to the agent. Before a fault has an effect, what undoes it is on disk in the ledger; four
//! parties read that ledger: the agent (lease, end of the channel), the watchdog (death or hang of
//! the agent), the next agent (its `Hello`), and a person (`shakedown-agent heal`). Each takes the
//! state directory's lock first, so only one of them undoes a fault.

mod abilities;
mod account;
mod addresses;
mod attendant;
mod cgroup;
mod clock;
mod core_dump;
mod disk;
mod durable;
mod ended;
mod error;
mod evidence;
mod filter;
mod held_thread;
mod helper;
mod inflict;
mod layer;
mod lease;
mod ledger;
mod leftovers;
mod local;
mod nft;
mod port_rules;
mod probe;
mod process;
mod queue;
mod rules;
mod serve;
mod server;
mod service;
mod session;
mod signals;
mod spawn;
mod state_dir;
mod tail;
mod tenure;
mod undo;
mod watch;
mod watchdog;

pub use abilities::{Ability, abilities, fault_names};
pub use clock::change_main;
pub use error::AgentError;
pub use helper::helper_main;
pub use layer::layer_main;
pub use leftovers::{Leftover, leftovers};
pub use probe::send as send_probes;
pub use process::ProcessId;
pub use queue::queue_main;
pub use serve::serve;
pub use server::server_main;
pub use spawn::spawn_main;
pub use state_dir::{DEFAULT_STATE_DIR, StateDir};
pub use undo::{HealReport, Undone, Unhealed, heal};
pub use watchdog::watchdog_main;
