//! Control of nodes over SSH, local or remote alike: who they are, how to log in, what to run, and the long-lived
//! link to the agent on each.
//!
//! Only this module knows of SSH. A session belongs to one thread at a time: [`SshRemote`] keeps a pool of them, and
//! every [`AgentLink`] has its own.

mod access;
mod agent_link;
mod agent_upload;
mod connection;
mod error;
mod exchange;
mod host_key;
mod link_error;
mod link_thread;
mod login;
mod node_list;
mod remote;
mod ssh_remote;
mod tunnel;

pub use access::{Access, Patience, Target};
pub use agent_link::{AgentLink, HelloReply, LinkOptions};
pub(crate) use agent_upload::{Program, place as place_agent};
pub use error::{ControlError, ShownKey};
pub use link_error::AgentError;
pub use node_list::{NodeAddress, NodeListError, parse_jump, parse_nodes, parse_nodes_file};
pub(crate) use remote::command_line;
pub use remote::{Output, Remote, Status, quote};
pub use ssh_remote::SshRemote;
