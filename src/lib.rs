//! kofn, an authoritative DNS nameserver that deals k of n healthy backends.

pub mod wire;
pub mod zone;
