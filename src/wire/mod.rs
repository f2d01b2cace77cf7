//! Layer 0: DNS messages as bytes.
//!
//! ```text
//! query bytes ──► query ──► (name, type, class, edns) ──► … ──► response ──► reply bytes
//! ```
//!
//! Everything here works on slices that the caller owns: nothing allocates on the way from a query to its reply,
//! except [`Name`], which is for what is kept.
//!
//! Not here: what the reply says (`answer`), and what RDATA means (`zone`).

mod code;
mod compressed;
mod edns;
mod lower;
mod name;
mod name_text;
mod query;
mod response;

pub use code::{Class, Opcode, Rcode, Type};
pub use compressed::expand_name;
pub use edns::{BadOption, Cookie, Edns, ExtendedError, ReplyEdns, Subnet};
pub use lower::LowerName;
pub use name::{Labels, MAX_LABEL, MAX_NAME, Name, NameError, NameRef};
pub use name_text::read_escape;
pub use query::{Extras, HEADER, Malformed, Query, Question, Unanswerable};
pub use response::{Names, Sink};
