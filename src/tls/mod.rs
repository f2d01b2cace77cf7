//! Layer 1: TLS over the streams of whoever has one; it exists with the feature `encrypted`.
//!
//! ```text
//! config::Trust ─► Client ──handshake(host, stream)──► TlsStream ─► certificate_end
//! ```
//!
//! * Certificates are verified unless the operator said otherwise, and the words for a refusal are an operator's.
//! * Every handshake is a whole one: nothing is resumed, so each verifies the certificate that is shown now.
//!
//! Not here: sockets, timeouts, and what is spoken over the stream.

mod client;

pub use client::{Client, ClientError, HandshakeError, certificate_end, is_server_name};
