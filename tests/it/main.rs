//! Everything that needs the real program: one binary, one harness, a file per topic.
//!
//! ```text
//! doors    every transport gives the same replies; certificates, half handshakes, proxies
//! serve    the shipped zones, answered          reload     files that change under it
//! health   backends that die and come back      cli        each command, its print and its exit code
//! restart  one process takes over from another, and every door with it
//! stop     signals, crashes                     layers     the import table of docs/architecture.md over src/
//! limits   what one network may take, and who may ask
//! taps     single queries, for collectors and in the log
//! admin    what is read over HTTP: who was handed out, the description of the API, refusals
//! alert    who is told when something breaks       import     files of other servers, served
//! explain  why an answer is what it is
//! drains   members out of new answers, and their clocks
//! large    a zone of many names that is read again
//! probing  dead backends and the hands they leave
//! transfers   zones that others take: whole, as differences, signed, over a restart
//! secondaries zones between two kofns: expiry, several primaries, hundreds at once, policies that change
//! simulate    what a crowd does to a pool, against what must hold for every crowd
//! chaos       fifty backends that die, hang, flap and come back, and the answers meanwhile
//! spread      the worst overload against the optimum, and what holds for every ring
//! sandbox     what it leaves to be read, and the words of what it refuses
//! scenarios   transcripts of what the engine answers, and garbage: broken queries
//! zone_text   what is printed reads back, and the `domain` crate reads the same octets
//! ```

mod admin;
mod alert;
mod chaos;
mod cli;
#[cfg(feature = "encrypted")]
mod docs;
mod doors;
mod drains;
mod explain;
mod export;
mod garbage;
mod harness;
mod health;
mod import;
mod large;
mod layers;
mod limits;
mod probing;
mod reload;
mod restart;
#[cfg(feature = "encrypted")]
mod restart_doors;
#[cfg(feature = "encrypted")]
mod sandbox;
mod scenarios;
mod secondaries;
mod serve;
mod service;
mod simulate;
mod spread;
mod stop;
mod taps;
mod transfers;
mod transfers_in;
mod zone_text;
