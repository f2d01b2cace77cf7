//! Everything that needs the real program: one binary, one harness, a file per topic.
//!
//! ```text
//! layers   the import table of docs/architecture.md, executed over src/
//! ```

mod layers;
