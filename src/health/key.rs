//! What is probed: an address, by a check.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Rules;

/// What a check asks and by which rules, in a form that two equal checks share, wherever they are written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId {
    target: Arc<str>,
    rules: Rules,
}

impl CheckId {
    /// `target` says in full what is asked (kind, port, path …): equal text must mean equal probes.
    pub fn new(target: impl Into<Arc<str>>, rules: Rules) -> Self {
        Self { target: target.into(), rules }
    }

    /// What is asked.
    pub fn target(&self) -> &Arc<str> {
        &self.target
    }

    /// How often, and how many results decide.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

impl fmt::Debug for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.target())
    }
}

/// One probe. Pools that hold the same address and use equal checks share it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeKey {
    /// The member.
    pub address: IpAddr,
    /// How it is asked.
    pub check: CheckId,
}

impl fmt::Display for ProbeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.address, self.check.target())
    }
}

impl fmt::Debug for ProbeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
