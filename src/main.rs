//! The kofn program.

fn main() {}
