//! kofn, an authoritative DNS nameserver that deals k of n healthy backends.

pub mod metrics;
pub mod net;
pub mod wire;
pub mod zone;
