//! The real agent on throw-away nodes: two network and PID namespaces joined by a veth pair.
//!
//! Nothing here touches the machine's own namespaces: the pair of interfaces is made inside the nodes,
//! which have no default route, and a node dies with everything in it when its guard is dropped or the
//! test process ends, however it ends.

// The functions that tests share are tests too, though the lint can't see it.
#![allow(clippy::unwrap_used)]

mod channel;
mod clock;
mod corrupt;
mod death;
mod delay;
mod disk;
mod dns;
mod every_form;
mod layer;
mod local;
mod node;
mod noop;
mod partition;
mod ports;
mod prepared;
mod real_systems;
mod reset;
mod service;
mod shape;
mod split;
mod stream;
mod tenure;
mod traffic;
mod watch;
