//! Everything that needs the real program: one binary, one harness, a file per topic.
//!
//! ```text
//! layers   the import table of docs/architecture.md, executed over src/
//! scenarios   transcripts of what the engine answers
//! ```

mod layers;
mod scenarios;
