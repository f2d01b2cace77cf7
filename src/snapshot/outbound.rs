//! What others get of a zone by transfer: its serial, and of each pool all members or those that may be handed out.
//!
//! A flip does not change it at once: what is shown stays until [`ServedZone::settled`] is asked for, so that whoever asks
//! decides how often secondaries have work. A change of the zone or its policy moves the serial anyway, and shows what is
//! true then.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::served::{FamilyPool, Pool, ServedZone};
use crate::config::{PoolConfig, PoolTransfer};
use crate::wire::{Name, Type};
use crate::zone::{Image, Narrowed, NodeId, Serial, Zone};

/// The serial and the members that others see of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// What SOA queries, transfers and NOTIFY say.
    pub serial: Serial,
    /// Pools of which not all members are shown.
    pub narrowed: Vec<NarrowedPool>,
}

/// The members of one family of a pool that others see, where they are not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarrowedPool {
    /// The owner, in lower case.
    pub owner: Name,
    /// A or AAAA.
    pub rtype: Type,
    /// Who is shown.
    pub members: BTreeSet<IpAddr>,
}

/// What was shown of a zone before this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What was shown.
    pub outbound: Outbound,
    /// [`Zone::digest`] of the zone behind it.
    pub digest: u64,
}

impl ServedZone {
    /// The zone as clients with this view of its pools get it; `None` while it has no data.
    pub fn image(&self, view: Option<PoolTransfer>) -> Option<Image> {
        let zone = self.zone.as_ref()?;
        let Some(outbound) = &self.outbound else { return Some(Image::of(Arc::clone(zone))) };
        let is_narrowed = |pool: &&NarrowedPool| match view {
            Some(view) => view == PoolTransfer::Healthy,
            None => self.policy.pools.get(&pool.owner).is_some_and(|pool| pool.transfer == PoolTransfer::Healthy),
        };
        let narrow = |pool: &NarrowedPool| {
            let node = zone.exact(pool.owner.borrow().as_bytes())?;
            Narrowed::new(zone, node, pool.rtype, |address| pool.members.contains(&address))
        };
        let narrowed = outbound.narrowed.iter().filter(is_narrowed).filter_map(narrow).collect();
        Some(Image::new(Arc::clone(zone), outbound.serial, narrowed))
    }

    /// The serial that others see; `None` while there is no data.
    pub fn serial(&self) -> Option<Serial> {
        let zone = self.zone.as_ref()?;
        Some(self.outbound.as_ref().map_or(zone.serial(), |outbound| outbound.serial))
    }

    /// The serial of SOA records in answers, where it is not the zone's own.
    #[inline]
    pub fn serial_in_answers(&self) -> Option<Serial> {
        self.outbound.as_ref().map(|outbound| outbound.serial)
    }

    /// What is shown instead of the zone as it is.
    pub fn outbound(&self) -> Option<&Arc<Outbound>> {
        self.outbound.as_ref()
    }

    /// The pools of which others see something else than what is true now, and how long each keeps what it shows.
    pub fn unsettled(&self) -> Vec<(Name, Duration)> {
        let Some(outbound) = &self.outbound else { return Vec::new() };
        let configs = self.pools.iter().filter_map(|pool| Some((pool, self.policy.pools.get(&pool.owner)?)));
        configs
            .filter(|(pool, config)| self.is_shown(config) && outbound.of(&pool.owner) != outbound.now(pool, config))
            .map(|(pool, config)| (pool.owner.clone(), config.transfer_hold))
            .collect()
    }

    /// The same zone with what is true now of these pools, under the next serial if that changes anything.
    pub(super) fn settled(&self, owners: &[Name]) -> Self {
        let mut settled = self.copy();
        let Some(outbound) = &self.outbound else { return settled };
        let mut next = Outbound::clone(outbound);
        next.narrowed.retain(|pool| !owners.contains(&pool.owner));
        for pool in self.pools.iter().filter(|pool| owners.contains(&pool.owner)) {
            let config = self.policy.pools.get(&pool.owner).filter(|config| self.is_shown(config));
            next.narrowed.extend(config.map(|config| outbound.now(pool, config)).into_iter().flatten());
        }
        next.sort();
        if next.narrowed != outbound.narrowed {
            next.serial = outbound.serial.next();
            settled.outbound = Some(Arc::new(next));
        }
        settled
    }

    /// What is shown of a zone that was just built, after `before` or what is remembered of an earlier start.
    pub(super) fn show(&self, before: Option<&Self>, remembered: Option<&Remembered>) -> Option<Arc<Outbound>> {
        let last = before.and_then(|before| before.outbound.as_ref());
        let Some(zone) = &self.zone else { return last.cloned() };
        let before_zone = before.and_then(|before| before.zone.as_ref());
        let unchanged = match (before_zone, remembered) {
            (Some(before), _) => Arc::ptr_eq(before, zone),
            (None, Some(remembered)) => remembered.digest == zone.digest(),
            (None, None) => false,
        };
        let last = last.map(Arc::as_ref).or(remembered.map(|remembered| &remembered.outbound));
        let healthy = self.policy.has_healthy_view() && !is_signed(zone);
        let last_serial = last.map(|last| last.serial).or(before_zone.map(|before| before.serial()));
        let is_behind = last.is_some_and(|last| last.serial.is_after(zone.serial()));
        if !healthy && !is_behind {
            return None;
        }
        let same_policy = before.is_none_or(|before| Arc::ptr_eq(&before.policy, &self.policy));
        let mut next = Outbound { serial: zone.serial(), narrowed: Vec::new() };
        match last.filter(|_| unchanged && same_policy && healthy) {
            Some(last) => {
                let is_shown = |pool: &&NarrowedPool| {
                    self.policy.pools.get(&pool.owner).is_some_and(|config| self.is_shown(config))
                };
                next.narrowed.extend(last.narrowed.iter().filter(is_shown).cloned());
            }
            None if healthy => next.narrowed = self.now(last),
            None => {}
        }
        let Some(last_serial) = last_serial else { return Some(Arc::new(next)) };
        let same = unchanged && last.map_or(next.narrowed.is_empty(), |last| last.narrowed == next.narrowed);
        if !zone.serial().is_after(last_serial) {
            next.serial = if same { last_serial } else { last_serial.next() };
        }
        Some(Arc::new(next))
    }

    /// What is true now of all pools.
    fn now(&self, last: Option<&Outbound>) -> Vec<NarrowedPool> {
        let none = Outbound { serial: Serial(0), narrowed: Vec::new() };
        let mut now = Outbound::clone(&none);
        for pool in &self.pools {
            let config = self.policy.pools.get(&pool.owner).filter(|config| self.is_shown(config));
            now.narrowed.extend(config.map(|config| last.unwrap_or(&none).now(pool, config)).into_iter().flatten());
        }
        now.sort();
        now.narrowed
    }

    /// Whether somebody gets the healthy members of a pool.
    fn is_shown(&self, config: &PoolConfig) -> bool {
        let by_client = self.policy.transfer.to.iter().any(|grant| grant.view == Some(PoolTransfer::Healthy));
        by_client || config.transfer == PoolTransfer::Healthy
    }
}

impl Outbound {
    /// What is shown of one pool.
    fn of(&self, owner: &Name) -> Vec<NarrowedPool> {
        self.narrowed.iter().filter(|pool| pool.owner == *owner).cloned().collect()
    }

    /// What is true of one pool; of too many, those that are shown already are kept.
    fn now(&self, pool: &Pool, config: &PoolConfig) -> Vec<NarrowedPool> {
        let families = [(Type::A, &pool.a), (Type::AAAA, &pool.aaaa)];
        families
            .into_iter()
            .filter_map(|(rtype, family)| {
                let shown = self.narrowed.iter().find(|shown| shown.owner == pool.owner && shown.rtype == rtype);
                let members = members(family.as_ref()?, config, shown.map(|shown| &shown.members))?;
                Some(NarrowedPool { owner: pool.owner.clone(), rtype, members })
            })
            .collect()
    }

    fn sort(&mut self) {
        self.narrowed.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
    }
}

/// Who of a family is to be shown; `None` for all: also when nobody may be handed out, as health makes no transfer fail.
fn members(family: &FamilyPool, config: &PoolConfig, shown: Option<&BTreeSet<IpAddr>>) -> Option<BTreeSet<IpAddr>> {
    let eligible = || family.selection.eligible.iter().map(|eligible| eligible.address);
    let most = config.transfer_max.map_or(usize::MAX, usize::from);
    let kept = eligible().filter(|address| shown.is_some_and(|shown| shown.contains(address)));
    let mut members: BTreeSet<IpAddr> = kept.take(most).collect();
    for address in eligible() {
        if members.len() >= most {
            break;
        }
        members.insert(address);
    }
    if members.is_empty() {
        let all = family.members.iter().map(|member| member.address);
        members.extend(all.take(most));
    }
    (members.len() < family.members.len()).then_some(members)
}

/// Signatures made elsewhere hold for the zone as it is: no member can be left out.
pub(super) fn is_signed(zone: &Zone) -> bool {
    zone.signatures(NodeId::APEX, Type::SOA).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Instant;

    use super::super::{Facts, Publisher, ZoneSource};
    use super::*;
    use crate::config::{Settings, ZonePolicy};
    use crate::health::Reason;
    use crate::wire::LowerName;
    use crate::zone::{WalkPlace, text};

    const HEALTHY: &str =
        "[check.c]\ntype = \"tcp\"\nport = 1\nfall = 1\n[pool.www]\ncheck = \"c\"\ntransfer = \"healthy\"\n";

    struct World {
        publisher: Arc<Publisher>,
        facts: Facts,
        policy: Arc<ZonePolicy>,
    }

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    fn zone(serial: u32, members: &str) -> Arc<Zone> {
        let records: String = members.bytes().map(|last| format!("www A 192.0.2.{}\n", last - b'0')).collect();
        let source = format!("$TTL 60\n@ SOA ns host {serial} 1 1 1 5\n@ NS ns.elsewhere.\n{records}\n");
        let loaded =
            text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&name("test.")), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        Arc::new(Zone::build(&name("test."), &loaded.records).unwrap())
    }

    impl World {
        fn new(policy: &str) -> Self {
            let facts = Facts::default();
            let publisher = Publisher::new(Arc::new(Settings::default()), facts.clone());
            let policy = ZonePolicy::parse(policy, Path::new("policy"), name("test.").borrow()).unwrap();
            Self { publisher, facts, policy: Arc::new(policy) }
        }

        fn serve(&self, zone: Arc<Zone>) {
            let policy = Arc::clone(&self.policy);
            self.publisher.replace_zones(vec![ZoneSource { apex: name("test."), zone: Some(zone), policy }]);
        }

        /// Has the members whose last digit is in `down` fail, and the others pass.
        fn probe(&self, down: &str) {
            let probes = self.publisher.reader().load().probes();
            let keys: Vec<_> = probes.into_iter().map(|(key, _)| key).collect();
            self.facts.table.follow(&keys, Instant::now());
            for key in &keys {
                let IpAddr::V4(address) = key.address else { panic!("IPv4") };
                let is_down = down.bytes().any(|last| last - b'0' == address.octets()[3]);
                for _ in 0..5 {
                    let result = if is_down { Err(Reason::new("down")) } else { Ok(()) };
                    self.facts.table.observe(key, result, Instant::now());
                }
            }
            self.publisher.refresh(&keys);
        }

        fn served(&self) -> Arc<ServedZone> {
            let snapshot = self.publisher.reader().load();
            Arc::clone(snapshot.zones().exact(&LowerName::of(name("test.").borrow())).unwrap())
        }

        fn settle(&self) {
            let owners = self.served().unsettled().into_iter().map(|(owner, _)| owner).collect();
            self.publisher.settle(&BTreeMap::from([(name("test."), owners)]));
        }

        /// The serial and the members that others see.
        fn shown(&self, view: Option<PoolTransfer>) -> (u32, String) {
            let image = self.served().image(view).unwrap();
            let (mut place, mut members) = (WalkPlace::default(), Vec::new());
            while let Some(shown) = image.step(&mut place) {
                let addresses = shown.rrset.iter().filter(|_| shown.rrset.rtype == Type::A);
                members.extend(addresses.map(|record| char::from(b'0' + record.rdata[3])));
            }
            members.sort_unstable();
            (image.serial().0, members.into_iter().collect())
        }
    }

    #[test]
    fn a_flip_is_shown_when_it_is_settled_and_moves_the_serial_once() {
        let world = World::new(HEALTHY);
        world.serve(zone(10, "123"));
        world.probe("1");
        assert_eq!(world.shown(None), (10, "123".into()));
        assert_eq!(world.served().unsettled(), [(name("www.test."), Duration::from_secs(30))]);
        world.settle();
        assert_eq!(world.shown(None), (11, "23".into()));
        assert_eq!(world.shown(Some(PoolTransfer::Members)), (11, "123".into()), "one serial for all");
        assert!(world.served().unsettled().is_empty());
        world.settle();
        assert_eq!(world.shown(None).0, 11, "nothing has changed");
        world.probe("123");
        world.settle();
        assert_eq!(world.shown(None), (12, "123".into()), "all are down, all stay");
    }

    #[test]
    fn the_serial_follows_the_file_only_forward() {
        let world = World::new(HEALTHY);
        world.serve(zone(10, "123"));
        world.probe("1");
        world.settle();
        world.serve(zone(11, "1234"));
        assert_eq!(world.shown(None), (12, "234".into()), "11 was shown for another zone");
        world.serve(zone(40, "1234"));
        assert_eq!(world.shown(None), (40, "234".into()));
        world.serve(zone(u32::MAX / 2 + 60, "12"));
        assert_eq!(world.shown(None), (41, "2".into()), "more than half the circle ahead is behind");
    }

    #[test]
    fn what_was_shown_before_a_restart_is_shown_after_it() {
        let (outbound, digest) = {
            let world = World::new(HEALTHY);
            world.serve(zone(10, "123"));
            world.probe("1");
            world.settle();
            (Outbound::clone(world.served().outbound().unwrap()), zone(10, "123").digest())
        };
        let restart = |zone| {
            let world = World::new(HEALTHY);
            let remembered = Remembered { outbound: outbound.clone(), digest };
            world.facts.remember([(name("test."), remembered)].into());
            world.serve(zone);
            world.shown(None)
        };
        assert_eq!(restart(zone(10, "123")), (11, "23".into()));
        assert_eq!(restart(zone(10, "12")), (12, "12".into()), "another zone, and no verdicts yet");
        assert_eq!(restart(zone(20, "12")), (20, "12".into()));
    }

    #[test]
    fn at_most_so_many_are_shown_and_those_that_are_shown_stay() {
        let world = World::new(&format!("{HEALTHY}transfer_max = 2\n"));
        world.serve(zone(10, "1234"));
        assert_eq!(world.shown(None), (10, "12".into()));
        world.probe("1");
        world.settle();
        assert_eq!(world.shown(None), (11, "23".into()));
        world.probe("");
        world.settle();
        assert_eq!(world.shown(None), (11, "23".into()), "who comes back takes nobody's place");
    }

    #[test]
    fn zones_without_a_healthy_view_keep_the_serial_of_their_file() {
        let world = World::new(&HEALTHY.replace("healthy", "members"));
        world.serve(zone(10, "123"));
        world.probe("1");
        assert!(world.served().unsettled().is_empty());
        world.serve(zone(9, "12"));
        assert_eq!((world.shown(None), world.served().serial_in_answers()), ((9, "12".into()), None));
    }
}
