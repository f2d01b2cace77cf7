//! The ladder of decisions for one question in one zone (RFC 1034 section 4.3.2, as 2181, 4592 and 6672 have it since).
//!
//! ```text
//! name ──find──► hidden below a cut ─► referral          (DS at the cut itself is ours)
//!                hidden below a DNAME ─► CNAME made of it ─┐
//!                there: CNAME ────────────────────────────┤ again with the target, while it stays in the zone
//!                there: the type ─► answer, or a hand     │
//!                there: another type ─► NODATA            │
//!                not there: wildcard ─► as if there ◄─────┘
//!                not there: `_explain` under a pool, for who may ask ─► how the pool stands
//!                not there ─► NXDOMAIN
//! ```

use std::hash::{BuildHasher, Hasher};

use super::Client;
use super::additional;
use super::dealer::Cursors;
use super::denial::Proof;
use super::explain;
use super::reply::{Full, Owner, Reply, Section};
use crate::metrics::Outcome;
use crate::pool::Spread;
use crate::snapshot::{FamilyPool, Pool, ServedZone, Snapshot};
use crate::wire::{LowerName, MAX_NAME, NameRef, Rcode, Subnet, Type};
use crate::zone::{Found, NodeId, Rrset, Zone};

/// Links of CNAME and DNAME that are followed: more than any sane zone has, few enough to bound the work of an insane one.
const MOST_LINKS: usize = 16;

/// The name that an alias led to, and the one that it leads to next.
pub(super) type Links = [LowerName; 2];

/// One question on its way through one zone.
pub(super) struct Lookup<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) served: &'a ServedZone,
    pub(super) zone: &'a Zone,
    pub(super) qtype: Type,
    pub(super) dnssec: bool,
    pub(super) client: &'a Client,
    pub(super) subnet: Option<Subnet>,
    pub(super) cursors: &'a mut Cursors,
    /// Bits of the client subnet that the answer depends on.
    pub(super) scope: u8,
    /// Whether the name looked at is still that of the question.
    asked: bool,
    proof: Proof,
    /// The DNAME owners whose records are written: a name that grows meets the same one again.
    dnames: [Option<NodeId>; MOST_LINKS],
}

/// What an RRset that may be a pool's came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dealt {
    /// A hand of it is written.
    Hand,
    /// It is a pool's, and nobody may be handed out.
    Nobody,
    /// It is no pool's: it is to be written as the zone has it.
    NoPool,
}

/// What one name led to.
enum Step {
    Done(Outcome),
    /// The name is an alias, and its target is known.
    Follow,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        (served, zone): (&'a ServedZone, &'a Zone),
        qtype: Type,
        dnssec: bool,
        client: &'a Client,
        cursors: &'a mut Cursors,
    ) -> Self {
        Self {
            snapshot,
            served,
            zone,
            qtype,
            dnssec,
            client,
            subnet: None,
            cursors,
            scope: 0,
            asked: true,
            proof: Proof::new(dnssec),
            dnames: [None; MOST_LINKS],
        }
    }

    /// Answers into `reply`. `links` is scratch space for the names that aliases lead to.
    #[inline]
    pub(super) fn run(&mut self, links: &mut Links, reply: &mut Reply<'_, '_>) -> Result<Outcome, Full> {
        reply.authoritative = true;
        // The question itself was matched to this zone already, and most questions end where they begin.
        match self.step(reply.question(), &mut links[0], reply)? {
            Step::Done(outcome) => Ok(outcome),
            Step::Follow => self.follow(links, reply),
        }
    }

    /// Goes on with the targets of aliases. A target that was met before is found there again: the chain goes round.
    fn follow(&mut self, links: &mut Links, reply: &mut Reply<'_, '_>) -> Result<Outcome, Full> {
        let [current, target] = links;
        let (mut current, mut target) = (current, target);
        let mut seen = [loop_key(reply.question()); MOST_LINKS];
        for link in 1..MOST_LINKS {
            self.asked = false;
            let key = loop_key(current);
            if seen[..link].contains(&key) || !current.name().is_within(self.zone.apex()) {
                break;
            }
            seen[link] = key;
            if let Step::Done(outcome) = self.step(current, target, reply)? {
                return Ok(outcome);
            }
            std::mem::swap(&mut current, &mut target);
        }
        self.proof.write(self, reply)?;
        // The chain leaves the zone, goes round, or is too long: what was found is the answer, and the rest is the resolver's.
        Ok(Outcome::Answer)
    }

    /// Looks for `current`; what it is an alias of goes to `target`.
    fn step(&mut self, current: &LowerName, target: &mut LowerName, reply: &mut Reply<'_, '_>) -> Result<Step, Full> {
        let found = self.zone.find(current);
        let exists = found.labels == current.labels();
        if let Some(above) = self.zone.hidden_by(found.node) {
            if self.zone.is_cut(above) {
                return self.refer(above, reply).map(Step::Done);
            }
            return self.substitute(above, current, target, reply);
        }
        if self.zone.is_cut(found.node) && !(exists && self.qtype == Type::DS) {
            return self.refer(found.node, reply).map(Step::Done);
        }
        if exists {
            return self.at(found.node, None, (current, target), reply);
        }
        if self.zone.has_dname(found.node) {
            return self.substitute(found.node, current, target, reply);
        }
        if let Some(pool) = self.explained(found, current) {
            return explain::answer(self, pool, reply).map(Step::Done);
        }
        let wildcard = self.zone.has_wildcard(found.node).then(|| current.wildcard_at(found.labels)).flatten();
        match wildcard.and_then(|wildcard| self.zone.exact(wildcard.octets())) {
            Some(source) => self.at(source, Some(found.labels), (current, target), reply),
            None => {
                reply.rcode = Rcode::NXDOMAIN;
                self.proof.no_such_name(self.zone, current, found);
                self.deny(reply)?;
                Ok(Step::Done(Outcome::NxDomain))
            }
        }
    }

    /// The name is at `node`, or stands for it by a wildcard whose closest encloser has `wildcard` labels.
    fn at(
        &mut self,
        node: NodeId,
        wildcard: Option<usize>,
        (current, target): (&LowerName, &mut LowerName),
        reply: &mut Reply<'_, '_>,
    ) -> Result<Step, Full> {
        if let Some(labels) = wildcard {
            self.proof.expanded_wildcard(self.zone, current, labels);
        }
        if self.qtype == Type::RRSIG && self.put_all_signatures(node, current, reply)? {
            self.proof.write(self, reply)?;
            return Ok(Step::Done(Outcome::Answer));
        }
        let sought = match self.qtype {
            Type::ANY => {
                let is_told = |rrset: &Rrset<'_>| rrset.rtype != Type::RRSIG && !self.is_withheld(node, rrset.rtype);
                self.zone.rrsets(node).find(is_told)
            }
            Type::RRSIG => None,
            qtype => self.zone.rrset(node, qtype),
        };
        // NSEC and RRSIG may stand beside a CNAME, so that their absence is an answer and no reason to follow (RFC 4034
        // sections 3 and 4).
        let alias = match sought {
            None if !matches!(self.qtype, Type::NSEC | Type::RRSIG) => self.zone.rrset(node, Type::CNAME),
            _ => None,
        };
        let Some(rrset) = sought.or(alias) else {
            return self.no_data(node, wildcard, current, reply);
        };
        match self.put_hand(Section::Answer, node, &rrset, self.owner(current), reply)? {
            Dealt::Hand => {}
            Dealt::Nobody => return self.no_data(node, wildcard, current, reply),
            Dealt::NoPool => {
                reply.put_rrset(Section::Answer, self.owner(current), &rrset)?;
                self.set_serial(&rrset, reply);
                self.put_signatures(Section::Answer, node, self.owner(current), rrset.rtype, reply)?;
            }
        }
        if alias.is_some() {
            let named = rrset.iter().next().and_then(|record| NameRef::parse(record.rdata).ok());
            target.set(named.unwrap_or(NameRef::ROOT));
            return Ok(Step::Follow);
        }
        self.proof.write(self, reply)?;
        additional::for_answer(self, &rrset, reply);
        Ok(Step::Done(Outcome::Answer))
    }

    /// The name is there, and what was asked for is not.
    fn no_data(
        &mut self,
        node: NodeId,
        wildcard: Option<usize>,
        current: &LowerName,
        reply: &mut Reply<'_, '_>,
    ) -> Result<Step, Full> {
        self.proof.no_such_type(self.zone, current, node, wildcard);
        self.deny(reply)?;
        Ok(Step::Done(Outcome::NoData))
    }

    /// Deals a hand where the RRset is a pool's.
    pub(super) fn put_hand(
        &mut self,
        section: Section,
        node: NodeId,
        rrset: &Rrset<'_>,
        owner: Owner<'_>,
        reply: &mut Reply<'_, '_>,
    ) -> Result<Dealt, Full> {
        let Some((pool, family)) = self.family_at(node, rrset.rtype) else { return Ok(Dealt::NoPool) };
        let cursor = match pool.policy.spread {
            Spread::Affinity => {
                let (network, scope) = self.client.network(self.subnet);
                self.scope = scope;
                family.rotation.slot_of(network)
            }
            _ => self.cursors.step(family.cursor),
        };
        let hand = family.rotation.deal(cursor);
        if hand.count == 0 {
            return Ok(Dealt::Nobody);
        }
        reply.put_records(section, owner, hand.count, hand.records)?;
        Ok(Dealt::Hand)
    }

    #[inline]
    fn family_at(&self, node: NodeId, rtype: Type) -> Option<(&'a Pool, &'a FamilyPool)> {
        let pool = self.served.pool_at(node)?;
        let family = match rtype {
            Type::A => &pool.a,
            Type::AAAA => &pool.aaaa,
            _ => return None,
        };
        family.as_ref().map(|family| (pool, family))
    }

    /// Whether these are the addresses of a pool of which nobody may be handed out.
    fn is_withheld(&self, node: NodeId, rtype: Type) -> bool {
        self.family_at(node, rtype).is_some_and(|(_, family)| family.selection.eligible.is_empty())
    }

    /// The pool at NAME, where the question is for `_explain.NAME` and from somebody who may ask it. The list of those is
    /// mostly empty, and then nothing else is looked at.
    fn explained(&self, found: Found, current: &LowerName) -> Option<&'a Pool> {
        let allowed = &self.snapshot.settings.explain;
        let is_meant = !allowed.is_empty()
            && self.asked
            && found.labels + 1 == current.labels()
            && current.octets().starts_with(explain::LABEL)
            && allowed.iter().any(|prefix| prefix.contains(self.client.address));
        if is_meant { self.served.pool_at(found.node) } else { None }
    }

    /// Follows the DNAME at `node` (RFC 6672 section 3.2).
    fn substitute(
        &mut self,
        node: NodeId,
        current: &LowerName,
        target: &mut LowerName,
        reply: &mut Reply<'_, '_>,
    ) -> Result<Step, Full> {
        let dname = self.zone.rrset(node, Type::DNAME).expect("the node is flagged for its DNAME");
        let record = dname.iter().next().expect("an RRset has a record");
        let owner = self.zone.name(node);
        if !self.dnames.contains(&Some(node)) {
            if let Some(free) = self.dnames.iter_mut().find(|slot| slot.is_none()) {
                *free = Some(node);
            }
            reply.put_rrset(Section::Answer, Owner::Other(owner), &dname)?;
            self.put_signatures(Section::Answer, node, Owner::Other(owner), Type::DNAME, reply)?;
        }
        let head = current.octets().len() - owner.len();
        let mut made = [0; MAX_NAME];
        let end = head + record.rdata.len();
        let Some(made) = made.get_mut(..end) else {
            reply.rcode = Rcode::YXDOMAIN;
            return Ok(Step::Done(Outcome::YxDomain));
        };
        made[..head].copy_from_slice(&current.octets()[..head]);
        made[head..].copy_from_slice(record.rdata);
        let made = NameRef::from_valid(made);
        reply.put_cname(self.owner(current), record.ttl, made)?;
        target.set(made);
        Ok(if matches!(self.qtype, Type::CNAME | Type::ANY) { Step::Done(Outcome::Answer) } else { Step::Follow })
    }

    /// Sends the client to the servers of the zone below `cut` (RFC 1034 section 4.2.1).
    fn refer(&mut self, cut: NodeId, reply: &mut Reply<'_, '_>) -> Result<Outcome, Full> {
        reply.authoritative = reply.count(Section::Answer) > 0;
        let owner = Owner::Other(self.zone.name(cut));
        let servers = self.zone.rrset(cut, Type::NS).expect("a cut has NS");
        reply.put_rrset(Section::Authority, owner, &servers)?;
        // DS without a signature is of a zone that is not signed, where it proves nothing.
        let signed = self.zone.rrset(cut, Type::DS).zip(self.zone.signatures(cut, Type::DS)).filter(|_| self.dnssec);
        match signed {
            Some((signers, signatures)) => {
                reply.put_rrset(Section::Authority, owner, &signers)?;
                reply.put_rrset(Section::Authority, owner, &signatures)?;
            }
            // RFC 4035 section 3.1.4.1, RFC 5155 section 7.2.7.
            None => self.proof.no_such_type(self.zone, &LowerName::of(self.zone.name(cut)), cut, None),
        }
        self.proof.write(self, reply)?;
        additional::glue(self, cut, &servers, reply)?;
        Ok(Outcome::Referral)
    }

    /// SOA in the authority section, and the proofs where they are wanted (RFC 2308 section 2).
    pub(super) fn deny(&self, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
        let (soa, signatures) = self.zone.negative_soa();
        let apex = Owner::Ancestor(self.zone.apex_labels());
        reply.put_rrset(Section::Authority, apex, &soa)?;
        self.set_serial(&soa, reply);
        if let Some(signatures) = signatures.filter(|_| self.dnssec) {
            reply.put_rrset(Section::Authority, apex, &signatures)?;
        }
        self.proof.write(self, reply)
    }

    /// The SOA that was just written has the serial that secondaries see.
    fn set_serial(&self, rrset: &Rrset<'_>, reply: &mut Reply<'_, '_>) {
        if rrset.rtype == Type::SOA
            && let Some(serial) = self.served.serial_in_answers()
        {
            reply.set_soa_serial(serial);
        }
    }

    /// QTYPE RRSIG: all signatures of the name, as there is no other way to ask for them.
    fn put_all_signatures(&self, node: NodeId, current: &LowerName, reply: &mut Reply<'_, '_>) -> Result<bool, Full> {
        let mut any = false;
        for signatures in self.zone.rrsets(node).filter(|rrset| rrset.rtype == Type::RRSIG) {
            reply.put_rrset(Section::Answer, self.owner(current), &signatures)?;
            any = true;
        }
        Ok(any)
    }

    /// The signatures of one RRset, where they are wanted and there are any.
    pub(super) fn put_signatures(
        &self,
        section: Section,
        node: NodeId,
        owner: Owner<'_>,
        covers: Type,
        reply: &mut Reply<'_, '_>,
    ) -> Result<(), Full> {
        if !self.dnssec {
            return Ok(());
        }
        match self.zone.signatures(node, covers) {
            Some(signatures) => reply.put_rrset(section, owner, &signatures),
            None => Ok(()),
        }
    }

    fn owner<'n>(&self, current: &'n LowerName) -> Owner<'n> {
        if self.asked { Owner::Question } else { Owner::Other(current.name()) }
    }
}

/// Tells names of one chain apart. Two that collide end a chain early, once in 2^64.
fn loop_key(name: &LowerName) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(name.octets());
    hasher.finish()
}
