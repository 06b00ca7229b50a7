//! Miroir as its users meet it: real processes on the loopback interface, spoken to over HTTP.

mod crash;
mod kit;
mod migration;
mod node;
mod operator;
mod prediction;
mod safety;
