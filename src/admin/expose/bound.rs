//! Who has metrics of its own: a pool of thousands must not fill the memory of whoever collects them.

use std::collections::HashSet;

use crate::admin::api::{Pool, Status, Zone, ZoneState};

/// The pools whose members, and the zones that, have metrics of their own.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pools: HashSet<(String, String)>,
    zones: HashSet<String>,
    /// Members and zones that have none.
    pub(super) omitted: [(&'static str, usize); 2],
}

impl Bound {
    /// So many members, and so many zones, at most: whole pools, small ones first, and zones with faults first.
    pub(super) fn of(status: &Status, limit: usize) -> Self {
        let members = |pool: &Pool| pool.families.iter().map(|family| family.members.len()).sum::<usize>();
        let mut pools: Vec<&Pool> = status.pools.iter().collect();
        pools.sort_by_key(|pool| members(pool));
        let mut left = limit;
        let kept: HashSet<_> = pools
            .iter()
            .map_while(|pool| {
                left = left.checked_sub(members(pool))?;
                Some(key(pool))
            })
            .collect();
        let all: usize = pools.iter().map(|pool| members(pool)).sum();
        let mut zones: Vec<&Zone> = status.zones.iter().collect();
        zones.sort_by_key(|zone| zone.state == ZoneState::Current);
        let omitted = [("members", all - (limit - left)), ("zones", zones.len().saturating_sub(limit))];
        let zones = zones.iter().take(limit).map(|zone| zone.name.clone()).collect();
        Self { pools: kept, zones, omitted }
    }

    pub(super) fn has(&self, pool: &Pool) -> bool {
        self.pools.contains(&key(pool))
    }

    pub(super) fn has_zone(&self, zone: &str) -> bool {
        self.zones.contains(zone)
    }
}

fn key(pool: &Pool) -> (String, String) {
    (pool.zone.clone(), pool.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn small_pools_and_zones_with_faults_come_first() {
        let member = |host: usize| {
            json!({"address": format!("192.0.2.{host}"), "weight": 1.0, "verdict": "up", "served": true, "standing": "served",
                   "since": null, "last_probe": null, "last_error": null, "certificate_end": null})
        };
        let pool = |name: &str, size: usize| {
            let members: Vec<_> = (1..=size).map(member).collect();
            json!({"name": name, "zone": "test.", "check": null,
                   "families": [{"type": "A", "k": 2, "eligible": size, "panic": false, "members": members}]})
        };
        let zone = |name: &str, state: &str| {
            json!({"name": name, "file": "x", "state": state, "serial": 1, "records": 1, "loaded": null,
                   "errors": [], "held": [], "warnings": []})
        };
        let status: Status = serde_json::from_value(json!({
            "version": "1", "pid": 1, "started": "1970-01-01T00:00:00Z", "generation": 1, "faults": [],
            "zones": [zone("a.", "current"), zone("b.", "current"), zone("c.", "current"), zone("d.", "current"),
                      zone("e.", "current"), zone("f.", "stale")],
            "pools": [pool("large", 9), pool("small", 2), pool("middle", 3)],
            "drains": { "faults": [], "drains": [], "members": [] }, "certificates": [],
            "queries": {"received": 0, "outcomes": {}},
        }))
        .expect("a status");
        let bound = Bound::of(&status, 5);
        let has: Vec<bool> = status.pools.iter().map(|pool| bound.has(pool)).collect();
        assert_eq!(has, [false, true, true]);
        assert_eq!(["a.", "d.", "e.", "f."].map(|zone| bound.has_zone(zone)), [true, true, false, true]);
        assert_eq!(bound.omitted, [("members", 9), ("zones", 1)]);
        assert_eq!(Bound::of(&status, 14).omitted, [("members", 0), ("zones", 0)]);
        assert_eq!(Bound::of(&status, 0).omitted, [("members", 14), ("zones", 6)]);
    }
}
