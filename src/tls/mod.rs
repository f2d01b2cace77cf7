//! Layer 1: TLS over the streams of whoever has one; it exists with the feature `encrypted`.
//!
//! ```text
//! config::Trust ─► Client ──handshake(host, stream)──► TlsStream ─► certificate_end
//! files, folders ─► pairs ─► Certificates ──server_config(protocol)──► the doors, by the name that a client asks for
//! ```
//!
//! * Certificates are verified unless the operator said otherwise, and the words for a refusal are an operator's.
//! * A certificate is exchanged without a restart, and a bad new one takes no good one away.
//! * Every handshake with a peer is a whole one: nothing is resumed, so each verifies the certificate that is shown now.
//!
//! Not here: sockets, timeouts, and what is spoken over the stream.

mod client;
mod pairs;
mod server;

pub use client::{Client, ClientError, HandshakeError, certificate_end, is_server_name};
pub use pairs::CertificateFault;
pub use server::{Certificate, Certificates, Refreshed};
