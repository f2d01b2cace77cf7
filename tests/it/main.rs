//! Everything that needs the real program: one binary, one harness, a file per topic.
//!
//! ```text
//! layers   the import table of docs/architecture.md, executed over src/
//! probing  dead backends and the hands they leave
//! scenarios   transcripts of what the engine answers
//! ```

mod layers;
mod probing;
mod scenarios;
