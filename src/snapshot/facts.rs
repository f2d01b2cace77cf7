//! What is known of members beside the zone and its policy: here verdicts and an operator's decisions meet.

use std::net::IpAddr;
use std::sync::Arc;

use super::served::Pool;
use crate::health::Table;
use crate::pool::Member;

/// Everything that is known of members. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What probes have found.
    pub table: Arc<Table>,
}

impl Facts {
    /// What probes have found, and nothing else against anyone.
    pub fn of(table: Arc<Table>) -> Self {
        Self { table }
    }

    /// The member of `pool` at `address` as it stands, whose RRset has a TTL of `zone_ttl` seconds.
    pub(super) fn member(&self, pool: &Pool, address: IpAddr, zone_ttl: u32) -> Member {
        let mut member = Member::new(address, &pool.policy, zone_ttl);
        if let Some(probe) = pool.probe_of(address) {
            member.verdict = self.table.verdict(&probe);
            member.drained |= self.table.drains(&probe);
        }
        member
    }
}
